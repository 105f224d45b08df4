"""Expressions as plain tuples `(operation, *arguments)`, and their way to SymPy and back.

Atoms: `("num", integer)`, `("dec", text)`, `("var", name)`, `("pi",)`, `("e",)`, `("i",)`, `("sub", name, index)`.
Everything else holds expressions: `add`, `mul`, `neg`, `div`, `pow`, `root` (with its degree), `fn` (with the name of
the function), `log` (base, argument), `abs`, `floor`, `ceil`, `max`, `min`, `gcd`, `lcm`, `fact`, `binom`, `sum` and
`prod` (name, first, last, body), `apply` (name, arguments: a function without a meaning), `conj`.
"""

import functools
from fractions import Fraction

import sympy

FUNCTIONS = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "cot": sympy.cot,
    "sec": sympy.sec,
    "csc": sympy.csc,
    "ln": sympy.log,
    "arctan": sympy.atan,
    "arcsin": sympy.asin,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
}
NAMES_OF_FUNCTIONS = {function: name for name, function in FUNCTIONS.items()}
ASSUMPTIONS = {
    "real": {"real": True},
    "positive": {"positive": True},
    "whole": {"integer": True},
    "natural": {"integer": True, "positive": True},
    "complex": {},
}


def num(value):
    """A whole number; a negative one is the negation of its absolute value."""
    return ("neg", ("num", -value)) if value < 0 else ("num", value)


def rat(value):
    """A fraction as it is written in lowest terms."""
    value = Fraction(value)
    if value.denominator == 1:
        return num(value.numerator)
    node = ("div", ("num", abs(value.numerator)), ("num", value.denominator))
    return ("neg", node) if value < 0 else node


def var(name):
    """A letter."""
    return ("var", name)


def add(*terms):
    """The sum of its terms: a single term is itself."""
    return terms[0] if len(terms) == 1 else ("add", *terms)


def mul(*factors):
    """The product of its factors: a single factor is itself."""
    return factors[0] if len(factors) == 1 else ("mul", *factors)


def neg(node):
    """The negation; of a negation, what was negated."""
    return node[1] if node[0] == "neg" else ("neg", node)


def sub(left, right):
    """The difference."""
    return ("add", left, neg(right))


def children(node):
    """The places of a node's arguments that are expressions themselves."""
    return [place for place, part in enumerate(node) if place and isinstance(part, tuple)]


def replaced(node, place, part):
    """The node with another argument at a place."""
    return node[:place] + (part,) + node[place + 1 :]


def nodes(node):
    """The node and everything below it."""
    yield node
    for place in children(node):
        yield from nodes(node[place])


def letters(node):
    """The names of the letters in it, in order."""
    return sorted({part[1] for part in nodes(node) if part[0] == "var"})


def constants(node):
    """The whole numbers in it, in order."""
    return sorted({part[1] for part in nodes(node) if part[0] == "num"})


@functools.cache
def symbol(name, domain):
    """SymPy's symbol for a letter, with what its domain lets it assume."""
    return sympy.Symbol(name, **ASSUMPTIONS[domain])


def to_sympy(node, domain="real"):
    """The node as a SymPy expression (unevaluated where SymPy keeps it so)."""
    operation = node[0]
    if operation == "num":
        return sympy.Integer(node[1])
    if operation == "dec":
        return sympy.Rational(node[1])
    if operation == "var":
        return symbol(node[1], domain)
    if operation in ("pi", "e", "i"):
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}[operation]
    if operation == "sub":
        return sympy.Function(f"{node[1]}_", real=True)(to_sympy(node[2], domain))
    if operation in ("sum", "prod"):
        name, first, last, body = node[1:]
        limits = (symbol(name, domain), to_sympy(first, domain), to_sympy(last, domain))
        return (sympy.Sum if operation == "sum" else sympy.Product)(to_sympy(body, domain), limits)
    if operation == "fn":
        return FUNCTIONS[node[1]](to_sympy(node[2], domain))
    if operation == "root":
        return sympy.root(to_sympy(node[1], domain), node[2])
    if operation == "apply":
        arguments = [to_sympy(part, domain) for part in node[2:]]
        return sympy.Function(node[1], real=domain != "complex")(*arguments)
    return COMPOUND[operation](*(to_sympy(part, domain) for part in node[1:]))


COMPOUND = {
    "add": lambda *terms: sympy.Add(*terms),
    "mul": lambda *factors: sympy.Mul(*factors),
    "neg": lambda part: -part,
    "div": lambda top, bottom: top / bottom,
    "pow": lambda base, exponent: base**exponent,
    "log": lambda base, part: sympy.log(part) / sympy.log(base),
    "abs": sympy.Abs,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "max": sympy.Max,
    "min": sympy.Min,
    "gcd": sympy.Function("gcd", integer=True),
    "lcm": sympy.Function("lcm", integer=True),
    "fact": sympy.factorial,
    "binom": sympy.binomial,
    "conj": sympy.conjugate,
}


class NotATree(Exception):
    """SymPy made something that has no tree here."""


def from_sympy(expression):
    """A SymPy expression as a node, its products over one bar, as one writes them."""
    if expression.is_Integer:
        return num(int(expression))
    if expression.is_Rational:
        return rat(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        return var(expression.name)
    for constant, node in ((sympy.pi, ("pi",)), (sympy.E, ("e",)), (sympy.I, ("i",))):
        if expression == constant:
            return node
    if expression.is_Add:
        return ("add", *(from_sympy(term) for term in expression.as_ordered_terms()))
    if expression.is_Mul:
        return product_from_sympy(expression)
    if expression.is_Pow:
        return power_from_sympy(expression)
    if isinstance(expression, sympy.exp):
        return ("pow", ("e",), from_sympy(expression.args[0]))
    if expression.func in NAMES_OF_FUNCTIONS:
        return ("fn", NAMES_OF_FUNCTIONS[expression.func], from_sympy(expression.args[0]))
    for operation, function in COMPOUND.items():
        if isinstance(function, type) and isinstance(expression, function):
            return (operation, *(from_sympy(part) for part in expression.args))
    raise NotATree(str(expression)[:80])


def product_from_sympy(expression):
    """A product: its sign in front, its denominator under a bar."""
    if expression.could_extract_minus_sign() and expression.args[0].is_Number:
        return neg(from_sympy(-expression))
    top, bottom = sympy.fraction(expression)
    if bottom != 1:
        return ("div", from_sympy(top), from_sympy(bottom))
    factors = [factor for factor in expression.as_ordered_factors() if factor != 1]
    return mul(*(from_sympy(factor) for factor in factors))


def power_from_sympy(expression):
    """A power: roots and reciprocals as such."""
    base, exponent = expression.as_base_exp()
    if exponent.is_Rational and exponent.p == 1 and exponent.q > 1:
        return ("root", from_sympy(base), int(exponent.q))
    if exponent.could_extract_minus_sign():
        inverse = base ** (-exponent)
        if not inverse.is_Pow or inverse != expression:
            return ("div", ("num", 1), from_sympy(inverse))
    return ("pow", from_sympy(base), from_sympy(exponent))
