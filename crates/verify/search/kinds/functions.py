"""Logarithms, trigonometry, absolute values, rounding, maxima, divisors, factorials, binomials, sums, applications."""

import sympy

from kinds.algebra import coefficient, letters, real_letters, signed
from kinds.common import EXPAND, UNCHANGED, by_sympy, expressions
from tree import add, mul, neg, num, sub, var


def make_logarithm(random):
    """Logarithms of positive letters."""
    names = letters(random, 2)
    x, y = var(names[0]), var(names[1])
    base = num(random.choice((2, 3, 5, 10)))
    count = num(random.randint(2, 9))
    ln = lambda part: ("fn", "ln", part)
    pairs = [
        (("log", base, x), [("div", ln(x), ln(base))]),
        (ln(mul(x, y)), [add(ln(x), ln(y))]),
        (ln(("div", x, y)), [sub(ln(x), ln(y))]),
        (ln(mul(count, x)), [add(ln(count), ln(x))]),
        (mul(count, ln(x)), [ln(("pow", x, count))] if count[1] % 2 else []),
        (("log", base, mul(base, x)), [add(num(1), ("log", base, x))]),
        (("log", num(base[1] ** 2), x), [("div", ("log", base, x), num(2))]),
        (mul(("pow", x, num(2)), ln(x)), []),
        (mul(x, ln(x)), []),
        (ln(add(x, count)), []),
        (add(ln(x), signed(random, coefficient(random, ln(y)))), []),
        (("div", ln(x), x), []),
        (mul(("pow", base, x), ln(base)), [mul(ln(base), ("pow", base, x))]),
        (mul(("pow", x, x), add(num(1), ln(x))), [add(("pow", x, x), mul(("pow", x, x), ln(x)))]),
    ]
    return random.choice(pairs)


def make_numeric_logarithm(random):
    """Logarithms of numbers."""
    base, part = random.choice((2, 3, 5, 6, 7, 10)), random.randint(2, 60)
    if base == part:
        part += 1
    ln = lambda value: ("fn", "ln", num(value))
    tree = ("log", num(base), num(part))
    pairs = [
        (tree, [("div", ln(part), ln(base)), ("div", num(1), ("log", num(part), num(base)))]),
        (tree, [("log", num(base**2), num(part**2))]),
        (ln(part), []),
        (add(num(random.randint(1, 9)), signed(random, ln(part))), []),
        (mul(num(2), ln(part)), [ln(part**2)]),
        (("log", num(base), num(base * part)), [add(num(1), tree)]),
    ]
    return random.choice(pairs)


def make_trigonometric(random):
    """Identities of the school book, with an angle and a factor of their own."""
    name = random.choice(("x", "x", "t", "a", "\\theta ", "\\alpha "))
    x = var(name) if random.random() < 0.6 else mul(num(random.randint(2, 5)), var(name))
    sine, cosine, tangent = (("fn", function, x) for function in ("sin", "cos", "tan"))
    square = lambda part: ("pow", part, num(2))
    double = (
        mul(num(2), *(x[1:] if x[0] == "mul" else (x,))) if x[0] != "mul" else mul(num(2 * x[1][1]), x[2])
    )
    pairs = [
        (square(sine), [sub(num(1), square(cosine)), ("div", sub(num(1), ("fn", "cos", double)), num(2))]),
        (square(cosine), [sub(num(1), square(sine)), ("div", add(num(1), ("fn", "cos", double)), num(2))]),
        (mul(num(2), sine, cosine), [("fn", "sin", double)]),
        (
            ("fn", "cos", double),
            [
                sub(square(cosine), square(sine)),
                sub(mul(num(2), square(cosine)), num(1)),
                sub(num(1), mul(num(2), square(sine))),
            ],
        ),
        (tangent, [("div", sine, cosine), ("div", num(1), ("fn", "cot", x))]),
        (square(("fn", "sec", x)), [add(num(1), square(tangent)), ("div", num(1), square(cosine))]),
        (("fn", "csc", x), [("div", num(1), sine)]),
        (add(sine, cosine), [mul(("root", num(2), 2), ("fn", "sin", add(x, ("div", ("pi",), num(4)))))]),
        (("fn", "sin", add(x, ("div", ("pi",), num(2)))), [cosine]),
        (("fn", "cos", sub(("pi",), x)), [neg(cosine)]),
        (coefficient(random, sine), []),
        (add(num(random.randint(1, 9)), signed(random, coefficient(random, cosine))), []),
        (mul(sine, add(cosine, num(1))), [add(mul(sine, cosine), sine)]),
        (
            ("fn", "sin", add(x, var("b"))),
            [add(mul(sine, ("fn", "cos", var("b"))), mul(cosine, ("fn", "sin", var("b"))))],
        ),
    ]
    return random.choice(pairs)


def make_absolute(random):
    """Absolute values with a kink somewhere, often far from zero."""
    x, y = (var(name) for name in real_letters(random, 2))
    kink = num(random.choice((1, 2, 3, 5, 8, 10, 12, 50, 100)))
    bars = lambda part: ("abs", part)
    inside = sub(x, kink)
    pairs = [
        (
            bars(inside),
            [bars(sub(kink, x)), ("root", ("pow", inside, num(2)), 2), ("max", inside, sub(kink, x))],
        ),
        (add(bars(inside), num(random.randint(1, 9))), []),
        (bars(mul(x, y)), [mul(bars(x), bars(y))]),
        (add(bars(x), bars(y)), []),
        (sub(bars(add(x, kink)), bars(inside)), []),
        (mul(x, bars(y)), []),
        (bars(("div", x, kink)), [("div", bars(x), kink)]),
        (bars(mul(kink, inside)), [mul(kink, bars(inside))]),
        (("root", ("pow", x, num(2)), 2), [bars(x)]),
        (("div", inside, bars(inside)), [("div", bars(inside), inside)]),
        (("pow", ("e",), neg(bars(x))), []),
        (bars(sub(("pow", x, num(2)), kink)), [bars(sub(kink, ("pow", x, num(2))))]),
        (("root", ("pow", add(x, y), num(2)), 2), [bars(add(x, y))]),
    ]
    return random.choice(pairs)


def make_rounding(random):
    """Floors and ceilings of a real letter."""
    x = var(random.choice("xntk"))
    step = num(random.choice((2, 3, 4, 5, 6, 7, 9, 10, 12, 100)))
    shift = num(random.randint(1, 9))
    quotient = ("div", x, step)
    pairs = [
        (("floor", quotient), [neg(("ceil", neg(quotient)))]),
        (("ceil", quotient), [neg(("floor", neg(quotient)))]),
        (("floor", add(x, shift)), [add(("floor", x), shift)]),
        (("ceil", sub(x, shift)), [sub(("ceil", x), shift)]),
        (
            ("floor", add(quotient, num(1))),
            [add(("floor", quotient), num(1)), ("floor", ("div", add(x, step), step))],
        ),
        (add(("floor", quotient), ("floor", ("div", x, num(step[1] + 1)))), []),
        (sub(x, ("floor", x)), []),
        (mul(shift, ("floor", quotient)), []),
        (("floor", mul(shift, x)), []),
        (("floor", add(x, ("div", num(1), num(2)))), []),
    ]
    return random.choice(pairs)


def make_maximum(random):
    """Maxima and minima."""
    x, y = (var(name) for name in letters(random, 2))
    bound = num(random.choice((1, 2, 3, 5, 10, 100)))
    half = lambda part: ("div", part, num(2))
    pairs = [
        (("max", x, bound), [half(add(x, bound, ("abs", sub(x, bound)))), neg(("min", neg(x), neg(bound)))]),
        (("min", x, bound), [half(sub(add(x, bound), ("abs", sub(x, bound))))]),
        (("max", x, y), [half(add(x, y, ("abs", sub(x, y))))]),
        (("min", x, y), [sub(add(x, y), ("max", x, y))]),
        (("max", x, neg(x)), [("abs", x)]),
        (("max", add(x, bound), add(y, bound)), [add(("max", x, y), bound)]),
        (("max", x, y, bound), [("max", x, ("max", y, bound))]),
        (add(("max", x, bound), num(random.randint(1, 5))), []),
    ]
    return random.choice(pairs)


def make_divisor(random):
    """Greatest common divisors and least common multiples of whole numbers."""
    n, m = (var(name) for name in random.sample("nmkab", 2))
    modulus = num(random.choice((2, 4, 6, 8, 9, 10, 12, 15, 30, 36, 60, 77, 100)))
    gcd = lambda *parts: ("gcd", *parts)
    pairs = [
        (gcd(n, modulus), [gcd(add(n, modulus), modulus), gcd(neg(n), modulus)]),
        (gcd(m, n), [gcd(m, add(m, n)), gcd(sub(m, n), n)]),
        (gcd(mul(num(2), m), mul(num(2), n)), [mul(num(2), gcd(m, n))]),
        (add(gcd(n, modulus), num(1)), []),
        (("lcm", n, modulus), [("lcm", modulus, neg(n))]),
        (gcd(add(n, num(random.randint(1, 5))), modulus), []),
    ]
    return random.choice(pairs)


def make_factorial(random):
    """Factorials of a natural letter."""
    n = var(random.choice("nnkm"))
    fact = lambda part: ("fact", part)
    less, more = sub(n, num(1)), add(n, num(1))
    pairs = [
        (fact(n), [mul(n, fact(less)), ("div", fact(more), more)]),
        (("div", fact(more), fact(less)), [mul(n, more)]),
        (fact(more), [mul(more, fact(n))]),
        (("div", fact(n), num(2)), []),
        (mul(n, fact(n)), [sub(fact(more), fact(n))]),
        (sub(fact(more), num(1)), []),
        (("div", fact(mul(num(2), n)), ("pow", fact(n), num(2))), [("binom", mul(num(2), n), n)]),
        (mul(("pow", num(2), n), fact(n)), []),
    ]
    return random.choice(pairs)


def make_binomial(random):
    """Binomials of natural letters."""
    n, k = var("n"), var("k")
    small = random.randint(2, 4)
    binom = lambda top, bottom: ("binom", top, bottom)
    fact = lambda part: ("fact", part)
    falling = mul(*(n if step == 0 else sub(n, num(step)) for step in range(small)))
    factorial = 1
    for factor in range(2, small + 1):
        factorial *= factor
    pairs = [
        (binom(n, k), [("div", fact(n), mul(fact(k), fact(sub(n, k)))), binom(n, sub(n, k))]),
        (binom(n, num(small)), [("div", falling, num(factorial))]),
        (binom(add(n, num(1)), num(2)), [("div", mul(n, add(n, num(1))), num(2))]),
        (binom(sub(n, num(1)), sub(k, num(1))), [binom(sub(n, num(1)), sub(n, k))]),
        (binom(add(n, num(1)), k), [add(binom(n, k), binom(n, sub(k, num(1))))]),
        (mul(k, binom(n, k)), [mul(n, binom(sub(n, num(1)), sub(k, num(1))))]),
        (binom(mul(num(2), n), n), []),
        (mul(binom(n, k), ("pow", var("p"), k), ("pow", sub(num(1), var("p")), sub(n, k))), []),
        (binom(n, num(random.randint(5, 60))), []),
    ]
    return random.choice(pairs)


def make_series(random):
    """Sums with bounds, over terms that are known and over a function without a meaning."""
    name, other = random.sample("kji", 2)
    k, n = var(name), var("n")
    renamed = lambda body: ("sum", other, num(1), n, body)
    closed = ("div", mul(n, add(n, num(1))), num(2))
    pairs = [
        (("sum", name, num(1), n, k), [renamed(var(other)), closed]),
        (
            ("sum", name, num(1), n, ("pow", k, num(2))),
            [
                renamed(("pow", var(other), num(2))),
                ("div", mul(n, add(n, num(1)), add(mul(num(2), n), num(1))), num(6)),
            ],
        ),
        (("sum", name, num(0), n, ("pow", num(2), k)), [sub(("pow", num(2), add(n, num(1))), num(1))]),
        (("sum", name, num(1), n, ("div", num(1), k)), [renamed(("div", num(1), var(other)))]),
        (("sum", name, num(1), n, sub(mul(num(2), k), num(1))), [("pow", n, num(2))]),
        (("sum", name, num(1), num(random.randint(5, 20)), ("pow", k, num(2))), []),
        (("sum", name, num(2), n, ("div", num(1), ("pow", k, num(2)))), []),
        (("sum", name, num(1), n, ("sub", "a", k)), [renamed(("sub", "a", var(other)))]),
        (("sum", name, num(1), n, ("apply", "f", k)), [renamed(("apply", "f", var(other)))]),
        (("sum", name, num(0), n, mul(k, ("pow", num(2), k))), []),
        (("sum", name, num(1), n, ("binom", n, k)), [renamed(("binom", n, var(other)))]),
        (("prod", name, num(1), n, k), [("fact", n)]),
    ]
    return random.choice(pairs)


FUNCTIONS_WITHOUT_MEANING = ("f", "g", "F", "G", "P", "Q", "\\phi", "\\psi")


def make_application(random):
    """Functions without a meaning: what stands in the brackets is an argument, no factor."""
    x, y = (var(name) for name in random.sample("xyabnt", 2))
    f, g = random.sample(random.choice(("fgh", "fgh", FUNCTIONS_WITHOUT_MEANING)), 2)
    of = lambda name, *parts: ("apply", name, *parts)
    number = num(random.randint(2, 9))
    return random.choice(
        (
            of(f, mul(number, x)),
            of(f, add(x, number)),
            mul(number, of(f, x)),
            add(of(f, x), signed(random, of(g, x))),
            add(of(f, x), signed(random, of(f, y))),
            mul(x, of(f, y)),
            mul(of(f, x), of(g, x)),
            of(f, of(g, x)),
            of(f, mul(x, y)),
            ("div", of(f, x), number),
            of(f, x, y),
            add(of(f, number), num(random.randint(1, 9))),
            of(f, sub(x, y)),
        )
    )


def make_subscript(random):
    """Names with an index."""
    name, other = random.sample("axybuS", 2)
    n = var(random.choice("nk"))
    index = random.choice((n, num(1), num(2), add(n, num(1)), sub(n, num(1)), num(10)))
    term = ("sub", name, index)
    number = num(random.randint(2, 9))
    return random.choice(
        (
            term,
            mul(number, term),
            add(term, signed(random, ("sub", name, add(n, num(2))))),
            add(mul(number, ("sub", name, n)), signed(random, number)),
            add(("sub", name, num(1)), signed(random, ("sub", other, num(1)))),
            mul(("sub", name, num(1)), ("sub", name, num(2))),
            ("pow", term, num(2)),
            ("div", add(("sub", name, num(1)), ("sub", name, num(2))), num(2)),
        )
    )


def make_complex(random):
    """Complex numbers."""
    real, imaginary = random.randint(1, 12), random.randint(1, 12)
    i = ("i",)
    part = i if imaginary == 1 else mul(num(imaginary), i)
    plain = add(signed(random, num(real)), signed(random, part))
    pairs = [
        (plain, []),
        (mul(plain, add(num(random.randint(1, 5)), i)), []),
        (("div", plain, num(random.randint(2, 9))), []),
        (("div", num(random.randint(1, 9)), plain), []),
        (("pow", plain, num(2)), []),
        (add(num(real), mul(("root", num(random.choice((2, 3, 5, 7))), 2), i)), []),
        (("conj", plain), []),
        (("abs", plain), []),
    ]
    return random.choice(pairs)


TRIGONOMETRIC = by_sympy(lambda expression: sympy.expand_trig(expression))
COMPLEX = by_sympy(lambda expression: sympy.expand(expression, complex=True))

KINDS = {
    "logarithms of letters": expressions(make_logarithm, [UNCHANGED, EXPAND], "positive"),
    "logarithms of numbers": expressions(make_numeric_logarithm, [UNCHANGED]),
    "trigonometry": expressions(make_trigonometric, [UNCHANGED, TRIGONOMETRIC]),
    "absolute values": expressions(make_absolute, [UNCHANGED]),
    "floors and ceilings": expressions(make_rounding, [UNCHANGED]),
    "maxima and minima": expressions(make_maximum, [UNCHANGED]),
    "gcd and lcm": expressions(make_divisor, [], "whole"),
    "factorials": expressions(make_factorial, [], "natural"),
    "binomials": expressions(make_binomial, [], "natural"),
    "sums with bounds": expressions(make_series, [], "natural"),
    "functions applied": expressions(make_application, [EXPAND], names="xyabnt"),
    "names with an index": expressions(make_subscript, [EXPAND], names="nk"),
    "complex numbers": expressions(make_complex, [COMPLEX, UNCHANGED], "complex"),
}
