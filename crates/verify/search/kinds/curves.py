"""Intervals and their unions, and the equations of curves."""

import sympy

import referee
from edits import edited
from kinds.common import SYMPY, Pair, both
from kinds.relations import normal, scaled, sign_text, write_region
from spelling import spell
from tree import add, letters, mul, num, rat, sub, to_sympy, var


def end_text(end, style):
    """An end of an interval."""
    if end in (sympy.oo, -sympy.oo):
        sign = "-" if end == -sympy.oo else style.random.choice(("", "", "+"))
        return sign + ("∞" if style.unicode else "\\infty")
    return spell(rat(str(end)), style)


def write_interval(part, style, form, name="x"):
    """One interval in one of its forms."""
    low, high = end_text(part.start, style), end_text(part.end, style)
    comma = ", " if style.spaced else ","
    if form == "interval":
        left, right = "(" if part.left_open else "[", ")" if part.right_open else "]"
        if style.left.startswith("\\left"):
            left, right = f"\\left{left}", f"\\right{right}"
        return f"{left}{low}{comma}{high}{right}"
    lower, upper = (
        sign_text("<" if part.left_open else "<=", style),
        sign_text("<" if part.right_open else "<=", style),
    )
    if part.start == -sympy.oo:
        return f"{name}{upper}{high}"
    if part.end == sympy.oo:
        return f"{name}{sign_text('>' if part.left_open else '>=', style)}{low}"
    if style.random.random() < 0.2:
        more, less = (">" if part.right_open else ">="), (">" if part.left_open else ">=")
        return f"{high}{sign_text(more, style)}{name}{sign_text(less, style)}{low}"
    return f"{low}{lower}{name}{upper}{high}"


def write_distance(parts, style):
    """An interval, or all but one, as a bound of the distance from its middle; nothing where that is none."""
    ends = [end for part in parts for end in (part.start, part.end) if end.is_finite]
    opened = {
        bool(side)
        for part in parts
        for end, side in ((part.start, part.left_open), (part.end, part.right_open))
        if end.is_finite
    }
    if len(ends) != 2 or len(opened) != 1:
        return None
    inner = len(parts) == 1
    middle, radius = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
    sign = ("<" if inner else ">") + ("" if opened.pop() else "=")
    left, right = style.bars
    inside = spell(var("x") if middle == 0 else sub(var("x"), rat(str(middle))), style)
    return f"{left}{inside}{right}{sign_text(sign, style)}{spell(rat(str(radius)), style)}"


def write_set(parts):
    """A union of intervals, in brackets, as inequalities, or as a set of numbers."""

    def writer(style):
        form = style.random.choice(("interval", "interval", "inequality", "member", "builder", "distance"))
        if form == "distance":
            form = "inequality"
            distance = write_distance(parts, style)
            if distance:
                return distance
        pieces = [
            write_interval(part, style, "inequality" if form in ("inequality", "builder") else "interval")
            for part in parts
        ]
        if form == "interval":
            return style.random.choice((" \\cup ", "\\cup ", "∪") if not style.unicode else ("∪",)).join(
                pieces
            )
        if form == "member":
            return "x \\in " + " \\cup ".join(pieces)
        text = " \\text{ or } ".join(pieces)
        if form == "builder":
            return f"\\{{x {style.random.choice((':', chr(92) + 'mid', '|'))} {text}\\}}"
        return text

    return writer


def generate_intervals(random):
    """Intervals and unions; SymPy's sets are equal or not."""
    ends = sorted(random.sample(range(-12, 30), random.choice((2, 2, 4))))
    ends = [sympy.Rational(end, random.choice((1, 1, 1, 2, 3))) for end in ends]
    if sorted(set(ends)) != ends:
        return
    if random.random() < 0.4:
        ends[0] = -sympy.oo
    if random.random() < 0.4:
        ends[-1] = sympy.oo
    if ends == [-sympy.oo, sympy.oo]:
        return
    parts = [
        sympy.Interval(low, high, random.random() < 0.5, random.random() < 0.5)
        for low, high in zip(ends[::2], ends[1::2])
    ]
    own = write_set(parts)
    yield Pair(own, own, True, "spelling", SYMPY)
    for _ in range(3):
        wrong = list(parts)
        place = random.randrange(len(parts))
        low, high, left, right = (
            (part := wrong[place]).start,
            part.end,
            bool(part.left_open),
            bool(part.right_open),
        )
        change = random.choice(("end", "end", "strictness", "strictness", "branch"))
        if change == "branch" and len(parts) > 1:
            wrong.pop(place)
        elif change == "strictness" and low.is_finite:
            wrong[place] = sympy.Interval(low, high, not left, right)
        elif change == "strictness":
            wrong[place] = sympy.Interval(low, high, left, not right)
        elif low.is_finite:
            wrong[place] = sympy.Interval(random.choice((low - 1, -low)), high, left, right)
        else:
            wrong[place] = sympy.Interval(low, high + random.choice((1, -1)), left, right)
        if not all(isinstance(piece, sympy.Interval) for piece in wrong):
            continue
        equal = sympy.Union(*parts) == sympy.Union(*wrong)
        if not equal and len(parts) == len(wrong) == 2 and sympy.Intersection(*wrong) != sympy.S.EmptySet:
            continue
        yield Pair(*both(random, own, write_set(wrong)), bool(equal), change, SYMPY)


def write_all_but(points):
    """The real numbers without some."""

    def writer(style):
        texts = [spell(rat(str(point)), style) for point in points]
        form = style.random.randrange(4)
        if form == 0:
            return style.random.choice((", ", " \\text{ and } ")).join(
                f"x{sign_text('!=', style)}{text}" for text in texts
            )
        if form == 1:
            less = style.random.choice(("\\setminus ", " \\setminus ", "\\backslash "))
            return f"\\mathbb{{R}}{less}\\{{{', '.join(texts)}\\}}"
        ends = ["-\\infty", *texts, "\\infty"]
        pieces = [style.bracket(f"{low},{high}") for low, high in zip(ends, ends[1:], strict=False)]
        return " \\cup ".join(pieces)

    return writer


def generate_all_but(random):
    """All real numbers but one or two."""
    points = sorted(random.sample(range(-9, 12), random.choice((1, 2))))
    points = [sympy.Rational(point, random.choice((1, 1, 1, 2))) for point in points]
    if sorted(set(points)) != points:
        return
    own = write_all_but(points)
    yield Pair(own, own, True, "spelling", SYMPY)
    place = random.randrange(len(points))
    wrongs = {
        "digit": [*points[:place], points[place] + 1, *points[place + 1 :]],
        "sign": [-point for point in points[::-1]],
    }
    if len(points) > 1:
        wrongs["missing"] = points[:place] + points[place + 1 :]
    exact = sympy.Complement(sympy.S.Reals, sympy.FiniteSet(*points))
    for change, wrong in wrongs.items():
        equal = sympy.Complement(sympy.S.Reals, sympy.FiniteSet(*wrong)) == exact
        if len(set(wrong)) == len(wrong):
            yield Pair(*both(random, own, write_all_but(sorted(wrong))), equal, change, SYMPY)


def generate_equations(random):
    """Lines, parabolas, circles: equal up to a factor that is not zero; different where one has a point of its own."""
    x, y = var("x"), var("y")
    factor = lambda node: node if random.random() < 0.4 else mul(num(random.randint(2, 7)), node)
    number = num(random.randint(1, 25))
    tree = random.choice(
        (
            ("=", y, add(factor(x), number)),
            ("=", y, sub(factor(x), number)),
            ("=", add(factor(x), factor(y)), number),
            ("=", sub(factor(x), factor(y)), number),
            ("=", y, add(factor(("pow", x, num(2))), number)),
            ("=", y, sub(("pow", sub(x, num(random.randint(1, 9))), num(2)), number)),
            ("=", add(("pow", x, num(2)), ("pow", y, num(2))), number),
            ("=", add(("pow", sub(x, num(random.randint(1, 5))), num(2)), ("pow", y, num(2))), number),
            ("=", mul(x, y), number),
        )
    )
    own = write_region(tree)
    yield Pair(own, own, True, "spelling", SYMPY)
    other = scaled(tree, random)
    if normal(tree) == normal(other):
        yield Pair(*both(random, own, write_region(other)), True, "rewriting", SYMPY)
    for _ in range(3):
        side = random.choice((1, 2))
        edit = edited(tree[side], random, ("x", "y")) if tree[side][0] != "var" else None
        if edit is None:
            continue
        wrong = ("=", edit[0], tree[2]) if side == 1 else ("=", tree[1], edit[0])
        if set(letters(add(wrong[1], wrong[2]))) != {"x", "y"}:
            continue
        verdict = referee.attempt(curve_verdict, tree, wrong)
        if verdict is not None:
            yield Pair(*both(random, own, write_region(wrong)), verdict, edit[1], SYMPY)


def curve_verdict(equation, other):
    """True if both have one normal form, False if a point lies on one alone, else nothing."""
    if normal(equation) == normal(other):
        return True
    return False if has_own_point(equation, other) else None


def has_own_point(equation, other):
    """Whether a real point of the first curve, exact, lies off the second."""
    x, y = to_sympy(var("x")), to_sympy(var("y"))
    curve = to_sympy(equation[1]) - to_sympy(equation[2])
    second = to_sympy(other[1]) - to_sympy(other[2])
    for place in (0, 1, sympy.Rational(1, 2), 3):
        for root in sympy.solve(curve.subs(x, place), y):
            if root.is_real and sympy.simplify(second.subs({x: place, y: root})) not in (
                0,
                sympy.zoo,
                sympy.nan,
            ):
                return True
    return False


KINDS = {
    "intervals and unions": generate_intervals,
    "all numbers but some": generate_all_but,
    "equations": generate_equations,
}
