"""Sets, tuples, named values, matrices, cases, derivatives, options, boxes among other boxes."""

import sympy

import referee
from kinds.common import RULE, SYMPY, Pair, both, expressions, write
from kinds.relations import sign_text
from spelling import spell
from tree import add, letters, mul, neg, num, rat, sub, to_sympy, var


def element(random):
    """A member: mostly a small whole number, sometimes a fraction or a surd."""
    choice = random.random()
    if choice < 0.65:
        return num(random.randint(-20, 40))
    if choice < 0.85:
        return rat(sympy.Rational(random.randint(-9, 20), random.randint(2, 9)))
    return random.choice((("root", num(random.choice((2, 3, 5))), 2), ("pi",), add(num(1), ("root", num(5), 2))))


def changed(random, node):
    """A member one slip away."""
    return random.choice((neg(node), add(node, num(1)) if node[0] not in ("num", "neg") else num(int(to_sympy(node)) + 1)))


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
    """Named values in any order."""

    def writer(style):
        parts = [f"{name}{sign_text('=', style)}{spell(node, style)}" for name, node in values]
        if style.random.random() < 0.4:
            style.random.shuffle(parts)
        return style.random.choice((joined,) if joined else (", ", ",", " \\text{ and } ", ",\\ ", ", \\quad ")).join(parts)

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
        text = style.random.choice((" \\\\ ", "\\\\", " \\\\\n")).join(between.join(spell(node, style) for node in row) for row in rows)
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
    multiple = [[rat(str(sympy.Rational(to_sympy(node)) * factor)) for node in row] for row in rows] if all(value.is_Rational for value in exact) else None
    if multiple:
        inner = write_matrix(rows)
        outside = lambda style: f"{factor}{inner(style)}"
        whole = sympy.Matrix([[to_sympy(node) for node in row] for row in multiple])
        yield Pair(*both(random, write_matrix(multiple), outside), exact * factor == whole, "rewriting", SYMPY)


def piece(random, x):
    """One branch."""
    number = num(random.randint(1, 9))
    return random.choice((x, neg(x), number, add(x, number), sub(number, x), ("pow", x, num(2)), mul(number, x), num(0)))


def write_cases(first, second, at, strict):
    """Two branches that meet at a number; strict says that the number itself belongs to the second."""

    def writer(style):
        less, more = ("<", ">=") if strict else ("<=", ">")
        word = style.random.choice(("", "\\text{if } ", "\\text{if }", "\\text{for } "))
        comma = style.random.choice(("", ","))
        bound = spell(at, style)
        one = f"{spell(first, style)}{comma} & {word}x{sign_text(less, style)}{bound}"
        two = f"{spell(second, style)}{comma} & {word}x{sign_text(more, style)}{bound}"
        if style.random.random() < 0.2:
            two = f"{spell(second, style)}{comma} & \\text{{otherwise}}"
        elif style.random.random() < 0.4:
            one, two = two, one
        return f"\\begin{{cases}} {one} \\\\ {two} \\end{{cases}}"

    return writer


def generate_cases(random):
    """Answers by cases: SymPy compares at the border, beside it and far away."""
    x, at = var("x"), num(random.randint(-5, 9))
    first, second, strict = piece(random, x), piece(random, x), random.random() < 0.5
    if first == second:
        return

    def value(branches, place):
        one, two, border, open_end = branches
        below = place < to_sympy(border) or (place == to_sympy(border) and not open_end)
        return to_sympy(one if below else two).subs(to_sympy(x), place)

    own_branches = (first, second, at, strict)
    own = write_cases(*own_branches)
    yield Pair(own, own, True, "spelling", SYMPY)
    wrongs = {
        "strictness": (first, second, at, not strict),
        "branch": (second, first, at, strict),
        "bound": (first, second, num(int(to_sympy(at)) + 1), strict),
        "digit": (first, changed(random, second) if second[0] in ("num",) else neg(second), at, strict),
    }
    border = to_sympy(at)
    places = [border, border + 1, border - 1, border + sympy.Rational(1, 2), border - sympy.Rational(1, 3), border + 50, border - 50]
    for change in random.sample(sorted(wrongs), 3):
        if any(value(own_branches, place) != value(wrongs[change], place) for place in places):
            yield Pair(*both(random, own, write_cases(*wrongs[change])), False, change, SYMPY)


def write_derivative(function, name, order, kind):
    """A derivative as a fraction of differentials, or with primes."""

    def writer(style):
        if kind == "primes":
            prime = "'" * order if style.braced else ("^{" + "\\prime" * order + "}")
            return f"{function}{prime}{style.bracket(name)}"
        letter = "\\partial " if kind == "partial" else ("\\mathrm{d}" if style.braced and style.spaced else "d")
        power = f"^{order}" if order > 1 else ""
        command = style.fraction if style.fraction != "/" else "\\frac"
        return f"{command}{{{letter}{power}{function}}}{{{letter}{name}{power}}}"

    return writer


def generate_derivatives(random):
    """Derivatives of unknown functions: equal only to themselves; SymPy compares the operators."""
    kind = random.choice(("quotient", "quotient", "partial", "primes"))
    function = random.choice(("f", "g", "h") if kind == "primes" else ("y", "u", "f", "V"))
    name, order = random.choice(("x", "t", "x")), random.choice((1, 1, 2))
    other_name = random.choice([other for other in "xts" if other != name])

    def exact(function, name, order):
        return sympy.Derivative(sympy.Function(function)(*sympy.symbols("x t s")), (sympy.Symbol(name), order))

    own, itself = write_derivative(function, name, order, kind), exact(function, name, order)
    scale = random.choice(("", "", f"{random.randint(2, 9)}", "-"))
    scaled = lambda writer: lambda style: scale + writer(style)
    yield Pair(scaled(own), scaled(own), True, "spelling", SYMPY)
    wrongs = {
        "name": (function, other_name, order),
        "order": (function, name, 3 - order),
        "function": ("g" if function != "g" else "h", name, order),
    }
    for change in random.sample(sorted(wrongs), 2):
        if exact(*wrongs[change]) != itself:
            yield Pair(*both(random, scaled(own), scaled(write_derivative(*wrongs[change], kind))), False, change, SYMPY)
    plain = (lambda style: f"{function}{style.bracket(name)}") if kind == "primes" else (lambda style: f"\\frac{{{function}}}{{{name}}}")
    yield Pair(*both(random, scaled(own), scaled(plain)), False, "operator", SYMPY)
    if kind != "primes":
        turned = write_derivative(name, function, order, kind)
        yield Pair(*both(random, scaled(own), scaled(turned)), False, "upside down", SYMPY)


def generate_plus_minus(random):
    """Two solutions in one spelling."""
    middle, radicand = random.randint(-9, 12), random.choice((2, 3, 5, 7, 13, 19))
    bottom = random.choice((1, 1, 2, 3))
    root = ("root", num(radicand), 2)

    def short(center, inside, under):
        def writer(style):
            text = f"{spell(num(center), style)} \\pm {spell(('root', num(inside), 2), style)}"
            return text if under == 1 else f"\\frac{{{text}}}{{{under}}}"

        return writer

    def exact(center, inside, under):
        return sympy.FiniteSet(*((center + sign * sympy.sqrt(inside)) / under for sign in (1, -1)))

    over = lambda node: node if bottom == 1 else ("div", node, num(bottom))
    long = write_finite_set([over(add(num(middle), root)), over(sub(num(middle), root))])
    own, itself = short(middle, radicand, bottom), exact(middle, radicand, bottom)
    yield Pair(own, own, True, "spelling", SYMPY)
    yield Pair(*both(random, own, long), True, "rewriting", SYMPY)
    for change, wrong in (("sign", (-middle, radicand, bottom)), ("digit", (middle, radicand + 1, bottom)), ("digit", (middle, radicand, bottom + 1))):
        if exact(*wrong) != itself:
            yield Pair(*both(random, own, short(*wrong)), False, change, SYMPY)


def generate_congruences(random):
    """Residues."""
    modulus = random.randint(3, 30)
    residue = random.randrange(modulus)

    def written(value, by):
        def writer(style):
            modulo = style.random.choice(("\\pmod{%d}", "\\pmod{%d}", "\\ (\\bmod\\ %d)", "\\mod %d")) % by
            return f"x \\equiv {value} {modulo}"

        return writer

    own = written(residue, modulus)
    yield Pair(own, own, True, "spelling", SYMPY)
    for change, value, by in (("rewriting", residue + modulus, modulus), ("digit", residue + 1, modulus), ("bound", residue, modulus + 1)):
        equal = by == modulus and sympy.Mod(value, by) == sympy.Mod(residue, modulus)
        yield Pair(*both(random, own, written(value, by)), bool(equal), change, SYMPY)


def generate_options(random):
    """Lettered options, one or several."""
    count = random.choice((1, 1, 1, 2, 3))
    chosen = sorted(random.sample("ABCDE", count))

    def written(option_letters):
        def writer(style):
            parts = list(option_letters)
            if len(parts) > 1:
                style.random.shuffle(parts)
                text = style.random.choice((", ", ",", "", " and ")).join(parts)
                return style.random.choice((text, f"\\text{{{text}}}"))
            letter = parts[0]
            return style.random.choice((letter, f"({letter})", f"\\text{{{letter}}}", f"\\text{{({letter})}}", f"\\textbf{{({letter})}}", f"\\mathrm{{({letter})}}", f"\\mathbf{{{letter}}}", f"{letter}."))

        return writer

    gold = lambda style: ", ".join(chosen) if style.random.random() < 0.3 else "".join(chosen)
    yield Pair(gold, written(chosen), True, "spelling", RULE, "multiple_choice")
    wrong = sorted(random.sample("ABCDE", count))
    if wrong != chosen:
        yield Pair(gold, written(wrong), False, "member", RULE, "multiple_choice")
    if count > 1:
        yield Pair(gold, written(chosen[1:]), False, "missing", RULE, "multiple_choice")


KINDS = {
    "finite sets": generate_finite_sets,
    "tuples": generate_tuples,
    "named values": generate_named,
    "matrices": generate_matrices,
    "cases": generate_cases,
    "derivatives": generate_derivatives,
    "plus and minus": generate_plus_minus,
    "congruences": generate_congruences,
    "options": generate_options,
}
