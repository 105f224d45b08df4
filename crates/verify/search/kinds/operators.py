"""Operators that are no products: of sets, of statements, of vectors; integrals.

Sets and statements are compared as SymPy's formulas of logic, by their truth tables; vectors as columns of symbols;
integrals as SymPy evaluates them.
"""

import sympy
from sympy.logic.boolalg import And, Implies, Not, Or, truth_table

from kinds.common import SYMPY, Pair, both
from spelling import Plain, spell
from tree import add, mul, num, sub, to_sympy, var

SIGNS_OF_SETS = {"or": "\\cup", "and": "\\cap", "less": "\\setminus"}
SIGNS_OF_STATEMENTS = {"or": "\\lor", "and": "\\land", "then": "\\to"}
FORMULAS = {
    "or": Or,
    "and": And,
    "less": lambda left, right: And(left, Not(right)),
    "then": Implies,
    "not": Not,
}


def formula(node):
    """A node `(operation, parts)` as SymPy's formula."""
    if isinstance(node, str):
        return sympy.Symbol(node)
    return FORMULAS[node[0]](*(formula(part) for part in node[1:]))


def same_formula(left, right):
    """Whether both are true together, whatever their letters are."""
    one, other = formula(left), formula(right)
    names = sorted(one.free_symbols | other.free_symbols, key=str)
    return all(
        first[1] == second[1]
        for first, second in zip(truth_table(one, names), truth_table(other, names), strict=True)
    )


def write_formula(node, signs, outer=True):
    """A formula with its operators between the parts, commuted or not."""

    def writer(style):
        if isinstance(node, str):
            return node
        if node[0] == "not":
            inside = write_formula(node[1], signs, isinstance(node[1], str))(style)
            return f"\\lnot {inside}" if "\\lor" in signs.values() else f"\\overline{{{inside}}}"
        parts = list(node[1:])
        if node[0] in ("or", "and") and style.random.random() < 0.3:
            style.random.shuffle(parts)
        text = f" {signs[node[0]]} ".join(write_formula(part, signs, False)(style) for part in parts)
        return text if outer else f"({text})"

    return writer


def changed_formula(node, random, signs, names):
    """A formula with one operator or name changed, or two parts swapped."""
    if isinstance(node, str):
        return random.choice([name for name in names if name != node]), "name"
    choice = random.randrange(3)
    if node[0] != "not" and choice == 0:
        return (random.choice([sign for sign in signs if sign != node[0]]), *node[1:]), "operator"
    if node[0] != "not" and choice == 1:
        return (node[0], node[2], node[1]), "order"
    place = random.randrange(1, len(node))
    part, change = changed_formula(node[place], random, signs, names)
    return (*node[:place], part, *node[place + 1 :]), change


def formulas(signs, names):
    """A kind of formulas."""

    def generate(random):
        first, second, third = random.sample(names, 3)
        sign, other = random.choice(list(signs)), random.choice(list(signs))
        node = random.choice(
            (
                (sign, first, second),
                (sign, first, (other, second, third)),
                (sign, (other, first, second), third),
                (sign, first, ("not", second)),
            )
        )
        own = write_formula(node, signs)
        yield Pair(own, own, True, "spelling", SYMPY)
        for _ in range(3):
            wrong, change = changed_formula(node, random, signs, names)
            if not same_formula(node, wrong):
                yield Pair(*both(random, own, write_formula(wrong, signs)), False, change, SYMPY)

    return generate


def column(name):
    """A vector of three symbols."""
    return sympy.Matrix(sympy.symbols(f"{name}1:4", real=True))


def generate_vectors(random):
    """Products and sums of vectors."""
    first, second = random.sample("abuvw", 2)
    mark = random.choice(("\\vec{%s}", "\\vec{%s}", "\\mathbf{%s}", "\\overrightarrow{%s}"))
    one, other = mark % first, mark % second
    factor = random.randint(2, 6)
    a, b = column(first), column(second)
    spelled = lambda text: (
        lambda style: text if style.spaced else text.replace(" + ", "+").replace(" - ", "-")
    )
    forms = [
        (f"{one} \\times {other}", a.cross(b)),
        (f"{other} \\times {one}", b.cross(a)),
        (f"-{other} \\times {one}", -b.cross(a)),
        (f"{one} \\cdot {other}", a.dot(b)),
        (f"{other} \\cdot {one}", b.dot(a)),
        (f"{one} + {factor}{other}", a + factor * b),
        (f"{factor}{other} + {one}", a + factor * b),
        (f"{factor}{one} + {other}", factor * a + b),
        (f"{one} - {factor}{other}", a - factor * b),
        (f"{one} + {factor + 1}{other}", a + (factor + 1) * b),
        (f"{factor}({one} + {other})", factor * (a + b)),
        (f"{factor}{one} + {factor}{other}", factor * (a + b)),
        (f"|{one}|", sympy.sqrt(a.dot(a))),
        (f"|{other}|", sympy.sqrt(b.dot(b))),
        (f"|{one}| |{other}|", sympy.sqrt(a.dot(a)) * sympy.sqrt(b.dot(b))),
    ]
    text, value = random.choice(forms)
    for wrong, result in random.sample(forms, 4):
        equal = same_vector(value, result)
        yield Pair(spelled(text), spelled(wrong), equal, "rewriting" if equal else "operator", SYMPY)


def same_vector(left, right):
    """Whether two values, columns or numbers, are the same in all their symbols."""
    if isinstance(left, sympy.MatrixBase) != isinstance(right, sympy.MatrixBase):
        return False
    difference = left - right
    parts = list(difference) if isinstance(difference, sympy.MatrixBase) else [difference]
    return all(sympy.expand(part) == 0 for part in parts)


def generate_integrals(random):
    """Definite integrals of polynomials, by another name and with other bounds; their value is not asked for."""
    name, other = random.sample(("x", "t", "u"), 2)
    low, high, power = random.randint(0, 2), random.randint(3, 6), random.randint(1, 3)
    factor, shift = random.randint(1, 5), random.randint(0, 4)

    def body(letter):
        tree = ("pow", var(letter), num(power)) if power > 1 else var(letter)
        tree = mul(num(factor), tree) if factor > 1 else tree
        return add(tree, num(shift)) if shift else tree

    def written(letter, first, last, integrand):
        def writer(style):
            space = style.random.choice(("\\,", " ", "\\, "))
            bounds = f"_{{{first}}}^{{{last}}}" if style.braced else f"_{first}^{last}"
            text = spell(integrand, style)
            return f"\\int{bounds} {style.bracket(text) if integrand[0] == 'add' else text}{space}d{letter}"

        return writer

    def value(letter, first, last, integrand):
        symbol = to_sympy(var(letter))
        return sympy.integrate(to_sympy(integrand), (symbol, first, last))

    exact = value(name, low, high, body(name))
    own = written(name, low, high, body(name))
    yield Pair(own, own, True, "spelling", SYMPY)
    yield Pair(own, written(other, low, high, body(other)), True, "rewriting", SYMPY)
    for change, wrong in (
        ("bound", (name, low, high + 1, body(name))),
        ("bound", (name, low + 1, high, body(name))),
        ("sign", (name, low, high, sub(body(name), num(1)))),
    ):
        if value(*wrong) != exact:
            yield Pair(*both(random, own, written(*wrong)), False, change, SYMPY)
    yield Pair(
        *both(random, own, lambda style: spell(("div", body(name), num(2)), Plain)), False, "operator", SYMPY
    )


KINDS = {
    "sets by letters": formulas(SIGNS_OF_SETS, "ABCD"),
    "statements": formulas(SIGNS_OF_STATEMENTS, "pqrs"),
    "vectors": generate_vectors,
    "integrals": generate_integrals,
}
