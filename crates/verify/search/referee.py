"""The labels: SymPy says whether two trees are the same, the same at every point that was tried, or different.

*Different* is a proof: exact values at a rational point that is in the domain of both, or, where values are
irrational, values of 30 digits that differ by more than 10^-12. *Same* is SymPy's own: the difference expands, cancels
or simplifies to zero. Points come from both sides of every branch: the constants of both trees, their neighbours,
halves, signs, whole and broken numbers, zero.
"""

import contextlib
import math
import signal
import zlib

import sympy
from sympy.core.function import AppliedUndef

from tree import constants, letters, nodes, to_sympy

POOLS = {
    "real": [
        0,
        1,
        -1,
        2,
        -2,
        3,
        -5,
        7,
        11,
        -13,
        100,
        -101,
        (1, 2),
        (-1, 3),
        (5, 7),
        (-9, 4),
        (17, 5),
        (-1, 100),
        (1001, 3),
    ],
    "positive": [1, 2, 3, 5, 7, 11, 100, (1, 2), (1, 3), (5, 7), (17, 5), (1, 100), (1001, 3)],
    "whole": [
        0,
        1,
        -1,
        2,
        -2,
        3,
        -3,
        4,
        5,
        6,
        7,
        -8,
        9,
        10,
        12,
        15,
        30,
        36,
        -35,
        60,
        72,
        77,
        97,
        100,
        120,
        210,
        1001,
    ],
    "natural": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    "complex": [0, 1, -1, 2, -3, (1, 2), (-7, 3)],
}
ALGEBRAIC = {"num", "dec", "var", "add", "mul", "neg", "div", "pow"}
ANSWERS = {}
MARGIN = sympy.Float("1e-12")


class TooLong(BaseException):
    """SymPy took longer than a verdict is worth; it has handlers of its own for every `Exception`."""


@contextlib.contextmanager
def limit(seconds):
    """Ends what runs in it after some seconds of work, however busy the machine is."""

    def ended(*_):
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, ended)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def attempt(function, *arguments, patience=1.5):
    """What a function gives, nothing if SymPy fails in it, which it does in many ways, or takes too long."""
    try:
        with limit(patience):
            return function(*arguments)
    except (TooLong, Exception):
        return None


def is_rational_function(node):
    """Whether only ring operations, quotients and whole powers occur."""
    return all(
        part[0] in ALGEBRAIC
        and (part[0] != "pow" or part[2][0] == "num" or part[2][0] == "neg" and part[2][1][0] == "num")
        for part in nodes(node)
    )


def points(left, right, domain, random, count):
    """Assignments of values to all the letters of both trees."""
    names = sorted(set(letters(left)) | set(letters(right)))
    pool = [
        sympy.Rational(*value) if isinstance(value, tuple) else sympy.Integer(value)
        for value in POOLS[domain]
    ]
    near = [constant for constant in set(constants(left)) | set(constants(right)) if 1 < constant < 10_000]
    for constant in near:
        pool += [sympy.Integer(constant), sympy.Integer(constant + 1), sympy.Integer(constant - 1)]
        if domain in ("real", "positive"):
            pool += [constant + sympy.Rational(1, 2), constant - sympy.Rational(1, 3)]
        if domain in ("real", "whole"):
            pool += [sympy.Integer(-constant), sympy.Integer(-constant - 1), sympy.Integer(1 - constant)]
    for _ in range(count if names else 1):
        yield {name: random.choice(pool) for name in names}


def value(expression, point, domain):
    """The value at a point, or nothing if it has none that is a finite number."""
    substituted = expression.subs({sympy_symbol(name, domain): number for name, number in point.items()})
    if substituted.has(sympy.zoo, sympy.nan, sympy.oo):
        return None
    if substituted.is_Rational:
        return substituted
    if substituted.has(sympy.Sum, sympy.Product):
        substituted = substituted.doit()
    substituted = substituted.replace(lambda part: isinstance(part, AppliedUndef), applied)
    if substituted.has(sympy.zoo, sympy.nan, sympy.oo):
        return None
    if substituted.is_Rational:
        return substituted
    return substituted.evalf(30)


def sympy_symbol(name, domain):
    """The letter's symbol."""
    return to_sympy(("var", name), domain)


def applied(part):
    """The value of a function SymPy does not know: a divisor, or any number for a function without a meaning.

    What may be any function may be one whose values are these, so where they tell two trees apart, they are different.
    """
    if not all(argument.is_number for argument in part.args):
        return part
    if part.func.__name__ in ("gcd", "lcm"):
        if not all(argument.is_Integer for argument in part.args):
            return sympy.nan
        numbers = [int(argument) for argument in part.args]
        return sympy.Integer(math.gcd(*numbers) if part.func.__name__ == "gcd" else math.lcm(*numbers))
    digits = zlib.crc32(f"{part.func.__name__} {part.args}".encode())
    return sympy.Rational(digits % 1009 - 504, 1 + digits % 7)


def differs(left, right, domain, random, count=14):
    """True if a point tells them apart, False if none of those compared did, nothing if none could be compared."""
    first, second = to_sympy(left, domain), to_sympy(right, domain)
    compared = 0
    for point in points(left, right, domain, random, count):
        try:
            one, other = value(first, point, domain), value(second, point, domain)
        except Exception:  # no value there
            continue
        if one is None or other is None or not (is_value(one, domain) and is_value(other, domain)):
            continue
        if one.is_Rational and other.is_Rational:
            if one != other:
                return True
        else:
            distance = abs(one - other).evalf(30)
            if not distance.is_Number:
                continue
            if distance > MARGIN * (1 + abs(one).evalf(15)):
                return True
        compared += 1
    return False if compared else None


def is_value(number, domain):
    """Whether it is a finite number of the domain."""
    return bool(number.is_number and number.is_finite) and (
        domain == "complex" or number.is_real is not False
    )


def told_apart(left, right, domain, random, count=14):
    """As [`differs`], and nothing where SymPy fails."""
    return remembered(differs, left, right, domain, random, count)


def same(left, right, domain, random):
    """Whether two trees are the same: True and False are proofs, nothing if SymPy cannot tell.

    What is the same for positive letters and not for others counts as neither.
    """
    return remembered(_same, left, right, domain, random)


def remembered(function, left, right, domain, random, *more):
    """What a function says of two trees, asked once."""
    question = (function, left, right, domain)
    if question not in ANSWERS:
        ANSWERS[question] = attempt(function, left, right, domain, random, *more)
    return ANSWERS[question]


def _same(left, right, domain, random):
    if is_rational_function(left) and is_rational_function(right):
        return rationally_same(to_sympy(left, domain), to_sympy(right, domain))
    if differs(left, right, domain, random):
        return False
    if domain == "positive" and differs(left, right, "real", random) is not False:
        return None
    return vanishes(to_sympy(left, domain) - to_sympy(right, domain)) or None


def rationally_same(left, right):
    """Of rational functions, which are the same when the numerator of their difference expands to zero."""
    if left.has(sympy.zoo, sympy.nan) or right.has(sympy.zoo, sympy.nan):
        return None
    top, bottom = sympy.fraction(sympy.together(left - right))
    if sympy.expand(bottom) == 0:
        return None
    return sympy.expand(top) == 0


SIMPLIFIERS = (
    sympy.expand,
    lambda difference: sympy.expand(sympy.fraction(sympy.together(difference))[0]),
    lambda difference: sympy.expand_log(sympy.expand(difference, func=True), force=False),
    sympy.simplify,
    lambda difference: sympy.gammasimp(sympy.expand_func(difference)),
    lambda difference: sympy.expand(sympy.expand_trig(difference.rewrite(sympy.cos))),
    lambda difference: sympy.simplify(difference.rewrite(sympy.exp)),
    lambda difference: sympy.simplify(sympy.piecewise_fold(difference.rewrite(sympy.Piecewise))),
    lambda difference: sympy.radsimp(sympy.sqrtdenest(difference)),
    lambda difference: sympy.minimal_polynomial(difference) if not difference.free_symbols else difference,
)


def vanishes(difference):
    """Whether one of SymPy's ways makes the difference zero."""
    for simplifier in SIMPLIFIERS:
        try:
            if simplifier(difference) == 0:
                return True
        except Exception:  # SymPy fails in many ways: none is a proof
            continue
    return False
