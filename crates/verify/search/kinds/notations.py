"""Notations with rules of their own: cases, derivatives, plus and minus, congruences, lettered options."""

import sympy

from kinds.collected import changed, write_finite_set
from kinds.common import RULE, SYMPY, Pair, both
from kinds.relations import sign_text
from spelling import spell
from tree import add, mul, neg, num, sub, to_sympy, var


def piece(random, x):
    """One branch."""
    number = num(random.randint(1, 9))
    return random.choice(
        (x, neg(x), number, add(x, number), sub(number, x), ("pow", x, num(2)), mul(number, x), num(0))
    )


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
    places = [
        border,
        border + 1,
        border - 1,
        border + sympy.Rational(1, 2),
        border - sympy.Rational(1, 3),
        border + 50,
        border - 50,
    ]
    for change in random.sample(sorted(wrongs), 3):
        if any(value(own_branches, place) != value(wrongs[change], place) for place in places):
            yield Pair(*both(random, own, write_cases(*wrongs[change])), False, change, SYMPY)


def write_derivative(function, name, order, kind):
    """A derivative as a fraction of differentials, or with primes."""

    def writer(style):
        if kind == "primes":
            prime = "'" * order if style.braced else ("^{" + "\\prime" * order + "}")
            return f"{function}{prime}{style.bracket(name)}"
        letter = (
            "\\partial " if kind == "partial" else ("\\mathrm{d}" if style.braced and style.spaced else "d")
        )
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
        return sympy.Derivative(
            sympy.Function(function)(*sympy.symbols("x t s")), (sympy.Symbol(name), order)
        )

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
            yield Pair(
                *both(random, scaled(own), scaled(write_derivative(*wrongs[change], kind))),
                False,
                change,
                SYMPY,
            )
    plain = (
        (lambda style: f"{function}{style.bracket(name)}")
        if kind == "primes"
        else (lambda style: f"\\frac{{{function}}}{{{name}}}")
    )
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
    for change, wrong in (
        ("sign", (-middle, radicand, bottom)),
        ("digit", (middle, radicand + 1, bottom)),
        ("digit", (middle, radicand, bottom + 1)),
    ):
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
    for change, value, by in (
        ("rewriting", residue + modulus, modulus),
        ("digit", residue + 1, modulus),
        ("bound", residue, modulus + 1),
    ):
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
            return style.random.choice(
                (
                    letter,
                    f"({letter})",
                    f"\\text{{{letter}}}",
                    f"\\text{{({letter})}}",
                    f"\\textbf{{({letter})}}",
                    f"\\mathrm{{({letter})}}",
                    f"\\mathbf{{{letter}}}",
                    f"{letter}.",
                )
            )

        return writer

    gold = lambda style: ", ".join(chosen) if style.random.random() < 0.3 else "".join(chosen)
    yield Pair(gold, written(chosen), True, "spelling", RULE, "multiple_choice")
    wrong = sorted(random.sample("ABCDE", count))
    if wrong != chosen:
        yield Pair(gold, written(wrong), False, "member", RULE, "multiple_choice")
    if count > 1:
        yield Pair(gold, written(chosen[1:]), False, "missing", RULE, "multiple_choice")


KINDS = {
    "cases": generate_cases,
    "derivatives": generate_derivatives,
    "plus and minus": generate_plus_minus,
    "congruences": generate_congruences,
    "options": generate_options,
}
