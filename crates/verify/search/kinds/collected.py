"""Sets, tuples, named values, matrices."""

import sympy

from kinds.common import RULE, SYMPY, Pair, both
from kinds.relations import sign_text
from spelling import spell
from tree import add, neg, num, rat, to_sympy


def element(random):
    """A member: mostly a small whole number, sometimes a fraction or a surd."""
    choice = random.random()
    if choice < 0.65:
        return num(random.randint(-20, 40))
    if choice < 0.85:
        return rat(sympy.Rational(random.randint(-9, 20), random.randint(2, 9)))
    return random.choice(
        (("root", num(random.choice((2, 3, 5))), 2), ("pi",), add(num(1), ("root", num(5), 2)))
    )


def changed(random, node):
    """A member one slip away."""
    return random.choice(
        (neg(node), add(node, num(1)) if node[0] not in ("num", "neg") else num(int(to_sympy(node)) + 1))
    )


def elements(random, count):
    """Different members."""
    found = []
    while len(found) < count:
        node = element(random)
        if to_sympy(node) not in [to_sympy(other) for other in found]:
            found.append(node)
    return found


def listed(nodes, style):
    """Members with commas."""
    return (", " if style.spaced else ",").join(spell(node, style) for node in nodes)


def write_finite_set(nodes):
    """A set in braces, or its members as solutions."""

    def writer(style):
        parts = list(nodes)
        style.random.shuffle(parts)
        form = style.random.randrange(5)
        if form == 0 and len(parts) > 1:
            return " \\text{ or } ".join(f"x = {spell(part, style)}" for part in parts)
        if form == 1 and len(parts) > 1:
            return ", ".join(spell(part, style) for part in parts)
        left, right = ("\\left\\{", "\\right\\}") if style.left.startswith("\\left") else ("\\{", "\\}")
        return f"{left}{listed(parts, style)}{right}"

    return writer


def generate_finite_sets(random):
    """Finite sets, as SymPy compares them."""
    nodes = elements(random, random.randint(2, 5))
    own, exact = write_finite_set(nodes), sympy.FiniteSet(*map(to_sympy, nodes))
    yield Pair(own, own, True, "spelling", SYMPY)
    for change in random.sample(("member", "missing", "more"), 2):
        wrong = list(nodes)
        place = random.randrange(len(nodes))
        if change == "member":
            wrong[place] = changed(random, wrong[place])
        elif change == "missing":
            wrong.pop(place)
        else:
            wrong += [changed(random, wrong[place])]
        other = sympy.FiniteSet(*map(to_sympy, wrong))
        if len(other) == len(wrong) and len(wrong) > 1:
            yield Pair(*both(random, own, write_finite_set(wrong)), exact == other, change, SYMPY)


def write_tuple(nodes):
    """A tuple in round brackets."""

    def writer(style):
        return style.bracket(listed(nodes, style))

    return writer


def generate_tuples(random):
    """Points and longer tuples, where the order counts."""
    nodes = [element(random) for _ in range(random.randint(2, 4))]
    own, exact = write_tuple(nodes), sympy.Tuple(*map(to_sympy, nodes))
    yield Pair(own, own, True, "spelling", SYMPY)
    for change in random.sample(("member", "order", "missing", "bracket"), 3):
        wrong = list(nodes)
        place = random.randrange(len(nodes) - 1)
        if change == "member":
            wrong[place] = changed(random, wrong[place])
        elif change == "order":
            wrong[place], wrong[place + 1] = wrong[place + 1], wrong[place]
        elif change == "missing" and len(nodes) > 2:
            wrong.pop(place)
        elif change == "bracket" and len(set(map(to_sympy, nodes))) == len(nodes):
            braces = lambda style: "\\{" + listed(nodes, style) + "\\}"
            yield Pair(*both(random, own, braces), False, change, RULE)
            continue
        equal = sympy.Tuple(*map(to_sympy, wrong)) == exact
        yield Pair(*both(random, own, write_tuple(wrong)), equal, change if not equal else "spelling", SYMPY)


NAMES = (
    ("x", "y"),
    ("x", "y", "z"),
    ("a", "b"),
    ("a", "b", "c"),
    ("AB", "BC"),
    ("AB", "BC", "CA"),
    ("m", "n"),
    ("p", "q"),
    ("\\alpha", "\\beta"),
    ("\\angle A", "\\angle B"),
    ("P(A)", "P(B)"),
    ("a_1", "a_2"),
    ("f(0)", "f(1)"),
    ("f(1)", "g(1)"),
    ("x_1", "x_2"),
    ("E(X)", "D(X)"),
)


def write_named(values, joined=None):
    """Named values in any order: in a row, as a system, or, of x, y and z, as a point."""

    def writer(style):
        parts = [(name, spell(node, style)) for name, node in values]
        form = style.random.random() if joined is None else 1
        if form < 0.15 and "".join(name for name, _ in parts) in ("xy", "xyz"):
            comma = ", " if style.spaced else ","
            names, texts = (style.bracket(comma.join(side)) for side in zip(*parts, strict=True))
            return style.random.choice((f"{names}{sign_text('=', style)}{texts}", texts))
        if style.random.random() < 0.4:
            style.random.shuffle(parts)
        if form < 0.3:
            name, align = style.random.choice((("cases", ""), ("aligned", "&")))
            rows = " \\\\ ".join(f"{left} {align}= {text}" for left, text in parts)
            return f"\\begin{{{name}}} {rows} \\end{{{name}}}"
        between = joined or style.random.choice((", ", ",", " \\text{ and } ", ",\\ ", ", \\quad "))
        return between.join(f"{name}{sign_text('=', style)}{text}" for name, text in parts)

    return writer


def generate_named(random):
    """Named values: compared name by name."""
    names = random.choice(NAMES)
    nodes = elements(random, len(names))
    values = list(zip(names, nodes))
    exact = {name: to_sympy(node) for name, node in values}
    own = write_named(values)
    yield Pair(own, own, True, "spelling", SYMPY)
    wrongs = {
        "order": list(zip(names, [nodes[1], nodes[0], *nodes[2:]])),
        "member": [(names[0], changed(random, nodes[0])), *values[1:]],
        "name": [*values[:-1], (random.choice(("w", "CD", "k")), nodes[-1])],
    }
    for change in random.sample(sorted(wrongs), 2):
        wrong = wrongs[change]
        if {name: to_sympy(node) for name, node in wrong} != exact:
            yield Pair(*both(random, own, write_named(wrong)), False, change, SYMPY)
    yield Pair(*both(random, own, write_named(values, " \\text{ or } ")), False, "operator", RULE)


def write_matrix(rows):
    """A matrix in round or square brackets."""

    def writer(style):
        kind = style.random.choice(("pmatrix", "pmatrix", "bmatrix"))
        between = style.random.choice((" & ", "&"))
        text = style.random.choice((" \\\\ ", "\\\\", " \\\\\n")).join(
            between.join(spell(node, style) for node in row) for row in rows
        )
        return f"\\begin{{{kind}}} {text} \\end{{{kind}}}"

    return writer


def generate_matrices(random):
    """Matrices and columns."""
    height, width = random.choice(((2, 2), (2, 2), (2, 1), (3, 1), (2, 3), (3, 3)))
    rows = [[element(random) for _ in range(width)] for _ in range(height)]
    exact = sympy.Matrix([[to_sympy(node) for node in row] for row in rows])
    own = write_matrix(rows)
    yield Pair(own, own, True, "spelling", SYMPY)
    place, column = random.randrange(height), random.randrange(width)
    entry = [list(row) for row in rows]
    entry[place][column] = changed(random, entry[place][column])
    turned = [list(row) for row in zip(*rows)]
    signed = [[neg(node) for node in row] for row in rows]
    wrongs = {"member": entry, "order": [rows[1], rows[0], *rows[2:]], "sign": signed}
    if height == width:
        wrongs["bracket"] = turned
    for change in random.sample(sorted(wrongs), 2):
        other = sympy.Matrix([[to_sympy(node) for node in row] for row in wrongs[change]])
        yield Pair(*both(random, own, write_matrix(wrongs[change])), exact == other, change, SYMPY)
    factor = random.randint(2, 5)
    multiple = (
        [[rat(str(sympy.Rational(to_sympy(node)) * factor)) for node in row] for row in rows]
        if all(value.is_Rational for value in exact)
        else None
    )
    if multiple:
        inner = write_matrix(rows)
        outside = lambda style: f"{factor}{inner(style)}"
        whole = sympy.Matrix([[to_sympy(node) for node in row] for row in multiple])
        yield Pair(
            *both(random, write_matrix(multiple), outside), exact * factor == whole, "rewriting", SYMPY
        )


KINDS = {
    "finite sets": generate_finite_sets,
    "tuples": generate_tuples,
    "named values": generate_named,
    "matrices": generate_matrices,
}
