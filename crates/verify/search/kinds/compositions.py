"""Random expressions of every operation over the real numbers, a few levels deep."""

import sympy

from kinds.algebra import real_letters, signed
from kinds.common import EXPAND, FACTOR, TOGETHER, UNCHANGED, by_sympy, expressions
from tree import add, mul, neg, num, rat, sub, var


def constant(random):
    """A small number, sometimes pi or a surd."""
    return random.choice(
        (
            num(random.randint(1, 12)),
            num(random.randint(1, 12)),
            num(random.randint(1, 12)),
            rat(sympy.Rational(random.randint(1, 9), random.randint(2, 9))),
            ("root", num(random.choice((2, 3, 5, 6, 7))), 2),
            ("pi",),
        )
    )


def compose(random, names, depth):
    """A tree of the given depth."""
    if depth == 0:
        return var(random.choice(names)) if random.random() < 0.7 else constant(random)
    part = compose(random, names, depth - 1)
    other = compose(random, names, random.randrange(depth))
    choice = random.randrange(14)
    if choice < 4:
        return (
            add(*terms(part), signed(random, other))
            if other[0] not in ("add", "neg")
            else sub(other, neg(part))
        )
    if choice < 7:
        return mul(*factors(other), *factors(part))
    if choice == 7:
        return ("div", part, other)
    if choice == 8:
        return ("pow", part, num(random.choice((2, 2, 3))))
    if choice == 9:
        return ("root", add(("pow", part, num(2)), num(random.randint(1, 9))), 2)
    if choice == 10:
        return ("pow", random.choice((("e",), num(2), num(3))), part)
    if choice == 11:
        return ("fn", random.choice(("sin", "cos", "arctan")), part)
    if choice == 12:
        return ("fn", "ln", add(("pow", part, num(2)), num(random.randint(1, 9))))
    return ("abs", part)


def terms(node):
    """The terms of a sum."""
    return node[1:] if node[0] == "add" else (node,)


def factors(node):
    """The factors of a product."""
    return node[1:] if node[0] == "mul" else (node,)


def make_composition(random):
    """A tree of two or three levels in one or two letters."""
    return compose(random, real_letters(random, random.choice((1, 1, 2))), random.choice((2, 2, 3)))


COLLECTED = by_sympy(
    lambda expression: sympy.expand(expression).collect(sorted(expression.free_symbols, key=str))
)

KINDS = {"compositions": expressions(make_composition, [EXPAND, FACTOR, TOGETHER, UNCHANGED, COLLECTED])}
