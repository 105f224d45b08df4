"""Polynomials, rational functions, powers of letters, roots, exponentials."""

import sympy

from kinds.common import CANCEL, EXPAND, FACTOR, TOGETHER, UNCHANGED, by_sympy, expressions
from tree import add, mul, neg, num, rat, sub, var

LETTERS = "xyzabcknpqrtuvw"


def letters(random, count):
    """Some different letters, often those that people take first."""
    pool = "xyzab" if random.random() < 0.6 else LETTERS
    return random.sample(pool, count)


def real_letters(random, count):
    """Some different letters that nobody takes for complex numbers, beside a modulus."""
    return random.sample("xyab" if random.random() < 0.6 else LETTERS.replace("z", "").replace("w", ""), count)


def power(base, exponent):
    """A power, where the exponent is not one."""
    return base if exponent == 1 else ("pow", base, num(exponent))


def signed(random, node):
    """The node or its negation."""
    return neg(node) if random.random() < 0.4 else node


def coefficient(random, node):
    """The node with a small whole factor."""
    value = random.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 9, 10, 12))
    return node if value == 1 else mul(num(value), *(node[1:] if node[0] == "mul" else (node,)))


def monomial(random, names, degree=3):
    """A product of powers of some of the letters."""
    chosen = random.sample(names, random.randint(1, len(names)))
    return mul(*(power(var(name), random.choice((1, 1, 2, degree))) for name in chosen))


def linear(random, names):
    """A sum of one letter and a number, or of two letters."""
    first = coefficient(random, var(random.choice(names)))
    if len(names) > 1 and random.random() < 0.4:
        other = random.choice([name for name in names if var(name) not in (first, first[-1])])
        return add(first, signed(random, coefficient(random, var(other))))
    return add(first, signed(random, num(random.randint(1, 12))))


def make_polynomial(random):
    """Products and powers of sums, or a sum of monomials."""
    names = letters(random, random.choice((1, 1, 2, 2, 3)))
    shape = random.randrange(5)
    if shape == 0:
        return mul(linear(random, names), linear(random, names))
    if shape == 1:
        return ("pow", linear(random, names), num(random.randint(2, 4)))
    if shape == 2:
        return coefficient(random, mul(var(random.choice(names)), linear(random, names)))
    if shape == 3:
        return add(
            ("pow", linear(random, names), num(2)),
            signed(random, coefficient(random, var(random.choice(names)))),
        )
    degree = random.randint(2, 4)
    name = names[0]
    terms = [coefficient(random, power(var(name), exponent)) for exponent in range(degree, 0, -1)]
    terms = [signed(random, term) for term in terms if random.random() < 0.8] or [var(name)]
    return add(*terms, signed(random, num(random.randint(1, 30))))


def make_rational_function(random):
    """A quotient of small polynomials, or a sum of two."""
    names = letters(random, random.choice((1, 1, 2)))
    bottom = random.choice(
        (linear(random, names), mul(linear(random, names), linear(random, names)), var(names[0]))
    )
    top = random.choice((linear(random, names), num(random.randint(1, 9)), monomial(random, names)))
    quotient = ("div", top, bottom)
    if random.random() < 0.4:
        return add(quotient, signed(random, ("div", num(random.randint(1, 9)), linear(random, names))))
    return quotient


def make_monomial(random):
    """A product of letters, one of them with a power: what the power binds to is the point."""
    names = letters(random, random.randint(2, 3))
    exponent = random.choice(
        (num(2), num(2), num(3), num(4), num(10), var("n"), sub(var("n"), num(1)), num(-1))
    )
    names = [name for name in names if name != "n"]
    if len(names) < 2:
        names = ["x", "y"]
    factors = [var(name) for name in names[:-1]]
    if random.random() < 0.3:
        factors[0] = ("pow", factors[0], num(random.randint(2, 3)))
    tree = coefficient(random, mul(*factors, ("pow", var(names[-1]), exponent)))
    if random.random() < 0.25:
        other = mul(*(("pow", var(name), num(2)) if random.random() < 0.5 else var(name) for name in names))
        return add(tree, signed(random, other))
    return tree


def make_numeric_root(random):
    """Surds of numbers."""
    radicand = random.choice((2, 3, 5, 6, 7, 8, 10, 12, 13, 18, 20, 24, 27, 45, 48, 50, 72, 75, 98, 108, 200))
    root = ("root", num(radicand), random.choice((2, 2, 2, 3)))
    shape = random.randrange(5)
    if shape == 0:
        return coefficient(random, root)
    if shape == 1:
        return add(num(random.randint(1, 20)), signed(random, coefficient(random, root)))
    if shape == 2:
        return ("div", add(num(random.randint(1, 9)), signed(random, root)), num(random.randint(2, 7)))
    if shape == 3:
        return ("div", num(random.randint(1, 12)), root if root[2] == 2 else ("root", num(radicand), 2))
    other = random.choice((2, 3, 5, 7))
    return add(("root", num(radicand), 2), signed(random, ("root", num(other), 2)))


def make_symbolic_root(random):
    """Roots of expressions in positive letters."""
    names = letters(random, 2)
    x, y = var(names[0]), var(names[1])
    count = num(random.randint(2, 9))
    pairs = [
        (("root", mul(x, ("pow", y, num(2))), 2), [mul(y, ("root", x, 2))]),
        (
            ("root", mul(x, y), 2),
            [mul(("root", x, 2), ("root", y, 2)), ("pow", mul(x, y), ("div", num(1), num(2)))],
        ),
        (
            ("root", ("div", x, y), 2),
            [("div", ("root", x, 2), ("root", y, 2)), ("div", ("root", mul(x, y), 2), y)],
        ),
        (("root", add(("pow", x, num(2)), ("pow", y, num(2))), 2), []),
        (
            ("root", add(("pow", x, num(2)), count), 2),
            [("pow", add(count, ("pow", x, num(2))), ("div", num(1), num(2)))],
        ),
        (("pow", x, ("div", num(3), num(2))), [mul(x, ("root", x, 2)), ("root", ("pow", x, num(3)), 2)]),
        (("root", ("pow", x, num(2)), 3), [("pow", x, ("div", num(2), num(3)))]),
        (("div", num(1), add(("root", x, 2), count)), []),
        (add(x, coefficient(random, ("root", y, 2))), []),
    ]
    return random.choice(pairs)


def make_exponential(random):
    """Powers whose exponent holds a letter."""
    names = letters(random, 2)
    x, y = var(names[0]), var(names[1])
    count = num(random.randint(2, 5))
    base = random.choice((("e",), ("e",), num(2), num(3), num(10)))
    pairs = [
        (mul(x, ("pow", base, x)), []),
        (mul(x, ("pow", base, mul(count, x))), []),
        (mul(x, ("pow", base, neg(x))), [("div", x, ("pow", base, x))]),
        (("pow", base, add(x, y)), [mul(("pow", base, x), ("pow", base, y))]),
        (("pow", base, sub(x, y)), [("div", ("pow", base, x), ("pow", base, y))]),
        (("pow", base, add(x, num(1))), [mul(base, ("pow", base, x))]),
        (("pow", base, mul(count, x)), [("pow", ("pow", base, x), count)]),
        (mul(add(x, count), ("pow", base, x)), [add(mul(x, ("pow", base, x)), mul(count, ("pow", base, x)))]),
        (add(("pow", base, x), signed(random, ("pow", base, neg(x)))), []),
        (mul(count, ("pow", base, ("div", x, num(2)))), []),
        (("pow", base, ("pow", x, num(2))), []),
        (("pow", base, neg(("pow", x, num(2)))), [("div", num(1), ("pow", base, ("pow", x, num(2))))]),
        (mul(y, ("pow", x, sub(var("n"), num(1)))), [("div", mul(y, ("pow", x, var("n"))), x)]),
        (("div", ("pow", base, x), count), [mul(("div", num(1), count), ("pow", base, x))]),
        (
            mul(x, ("pow", num(2), sub(var("n"), num(1)))),
            [("div", mul(x, ("pow", num(2), var("n"))), num(2))],
        ),
    ]
    return random.choice(pairs)


def make_half(random):
    """Physics' halves: a fraction before a product of letters."""
    names = letters(random, 2)
    x, y = var(names[0]), var(names[1])
    half = rat(sympy.Rational(1, random.choice((2, 3, 4, 6))))
    bottom = half[2]
    square = ("pow", y, num(2))
    return random.choice(
        (
            (mul(half, x, square), [("div", mul(x, square), bottom)]),
            (
                mul(half, ("pi",), ("pow", x, num(2)), y),
                [("div", mul(("pi",), ("pow", x, num(2)), y), bottom)],
            ),
            (mul(half, x, y), [("div", mul(x, y), bottom)]),
            (mul(("pi",), x, square), []),
            (mul(num(random.randint(2, 9)), ("pi",), x, y), []),
        )
    )


COLLECT = by_sympy(
    lambda expression: sympy.collect(sympy.expand(expression), sorted(expression.free_symbols, key=str)[:1])
)
APART = by_sympy(
    lambda expression: sympy.apart(expression) if len(expression.free_symbols) == 1 else expression
)
RADICALS = by_sympy(sympy.radsimp)

KINDS = {
    "polynomials": expressions(make_polynomial, [EXPAND, FACTOR, COLLECT], names="xyzab"),
    "rational functions": expressions(make_rational_function, [TOGETHER, CANCEL, APART, FACTOR]),
    "powers of letters": expressions(make_monomial, [UNCHANGED, FACTOR], "positive"),
    "roots of numbers": expressions(make_numeric_root, [UNCHANGED, RADICALS]),
    "roots of letters": expressions(make_symbolic_root, [UNCHANGED, RADICALS], "positive"),
    "exponentials": expressions(make_exponential, [UNCHANGED, EXPAND], "positive"),
    "products before a fraction": expressions(make_half, [UNCHANGED], "positive"),
}
