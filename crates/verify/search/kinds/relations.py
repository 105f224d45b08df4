"""Inequalities and chains, as regions.

A region is `("and", ...)`, `("or", ...)` or a relation `(sign, left tree, right tree)`. Two regions are the same if
SymPy brings their relations to the same normal form; they are different if an exact rational point lies in one alone.
"""

import itertools

import sympy

import referee
from edits import edited
from kinds.common import SYMPY, Pair, both
from spelling import spell
from tree import add, letters, mul, neg, num, sub, to_sympy, var

TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
LOOSE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "!=": "="}
SIGNS = {
    "<": ("<", " < ", "<", "\\lt "),
    ">": (">", " > ", ">", "\\gt "),
    "<=": ("\\le ", " \\le ", "\\leq ", "\\leqslant ", "≤"),
    ">=": ("\\ge ", " \\ge ", "\\geq ", "\\geqslant ", "≥"),
    "=": ("=", " = "),
    "!=": ("\\ne ", "\\neq ", " \\neq ", "≠"),
}
COMPARED = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
}


def sign_text(sign, style):
    """A relation's sign."""
    return style.random.choice(SIGNS[sign])


def write_relation(relation, style):
    """A relation, either way round."""
    sign, left, right = relation
    if style.random.random() < 0.25:
        sign, left, right = TURNED[sign], right, left
    return spell(left, style) + sign_text(sign, style) + spell(right, style)


def write_region(region):
    """A region: its parts in any order."""

    def writer(style):
        if region[0] not in ("and", "or"):
            return write_relation(region, style)
        parts = list(region[1:])
        if style.random.random() < 0.4:
            style.random.shuffle(parts)
        between = (
            (" \\text{ or } ",) if region[0] == "or" else (", ", ",", " \\text{ and } ", ",\\ ", ", \\quad ")
        )
        return style.random.choice(between).join(write_relation(part, style) for part in parts)

    return writer


def relations_of(region):
    """The relations in it."""
    return region[1:] if region[0] in ("and", "or") else (region,)


def holds(region, point):
    """Whether a point of rational numbers lies in the region."""
    if region[0] in ("and", "or"):
        return (all if region[0] == "and" else any)(holds(part, point) for part in region[1:])
    sign, left, right = region
    ends = [referee.value(to_sympy(side), point, "real") for side in (left, right)]
    if not all(end is not None and end.is_Rational for end in ends):
        raise ValueError("no rational value")
    return bool(COMPARED[sign](*ends))


def normal(region):
    """SymPy's normal form: each difference expanded, by its positive content, turned so that less is asked."""
    if region[0] in ("and", "or"):
        return region[0], frozenset(normal(part) for part in region[1:])
    sign, left, right = region
    difference = sympy.expand(to_sympy(left) - to_sympy(right))
    if sign in (">", ">="):
        sign, difference = TURNED[sign], -difference
    content = (
        sympy.Poly(difference, *sorted(difference.free_symbols, key=str)).primitive()[0]
        if difference.free_symbols
        else 1
    )
    difference = sympy.expand(difference / content)
    if sign in ("=", "!=") and difference.could_extract_minus_sign():
        difference = sympy.expand(-difference)
    return sign, difference


def region_verdict(left, right, random):
    """True if both have one normal form, False if a point lies in one alone, else nothing."""
    if normal(left) == normal(right):
        return True
    parts = [*relations_of(left), *relations_of(right)]
    trees = add(num(0), *(side for part in parts for side in part[1:]))
    for point in referee.points(trees, trees, "real", random, 30):
        if holds(left, point) != holds(right, point):
            return False
    return None


def region_edit(region, random, pool):
    """A region with one slip."""
    if region[0] in ("and", "or"):
        choice = random.randrange(5)
        parts = list(region[1:])
        place = random.randrange(len(parts))
        if choice == 0:
            return ("or" if region[0] == "and" else "and", *parts), "operator"
        if choice == 1:
            rest = parts[:place] + parts[place + 1 :]
            return (rest[0] if len(rest) == 1 else (region[0], *rest)), "branch"
        if choice == 2 and len(parts) == 2:
            (one, left, right), (other, first, second) = parts
            return (region[0], (one, left, second), (other, first, right)), "name"
        edit = region_edit(parts[place], random, pool)
        return edit and ((region[0], *parts[:place], edit[0], *parts[place + 1 :]), edit[1])
    sign, left, right = region
    choice = random.randrange(5)
    if choice == 0:
        return (TURNED[sign], left, right), "direction"
    if choice == 1 and sign in LOOSE:
        return (LOOSE[sign], left, right), "strictness"
    side = 1 if random.random() < 0.5 and left[0] != "var" else 2
    edit = edited(region[side], random, pool)
    return edit and ((sign, edit[0], right) if side == 1 else (sign, left, edit[0]), edit[1])


def scaled(region, random):
    """The same region: a term moved over, a positive factor, or both sides negated."""
    if region[0] in ("and", "or"):
        return (region[0], *(scaled(part, random) for part in region[1:]))
    sign, left, right = region
    choice = random.randrange(4)
    if choice == 0:
        return sign, sub(left, right), num(0)
    if choice == 1 and left[0] == "add":
        return sign, left[1], sub(right, left[2]) if len(left) == 3 else sub(right, add(*left[2:]))
    if choice == 2:
        factor = num(random.randint(2, 5))
        return sign, mul(factor, left), mul(factor, right)
    return TURNED[sign], neg(left), neg(right)


def regions(make, signs=("<", ">", "<=", ">="), rewritten=True):
    """A kind of regions."""

    def generate(random):
        region = make(random, lambda: random.choice(signs))
        own = write_region(region)
        yield Pair(own, own, True, "spelling", SYMPY)
        if rewritten:
            other = scaled(region, random)
            if region_verdict(region, other, random):
                yield Pair(*both(random, own, write_region(other)), True, "rewriting", SYMPY)
        pool = sorted({name for part in relations_of(region) for side in part[1:] for name in letters(side)})
        for _ in range(3):
            edit = region_edit(region, random, pool if len(pool) > 1 else [*pool, "w"])
            if edit is None:
                continue
            verdict = referee.attempt(region_verdict, region, edit[0], random)
            if verdict is not None:
                yield Pair(*both(random, own, write_region(edit[0])), verdict, edit[1], SYMPY)

    return generate


def bounds(random, sign):
    """Bounds for two or three letters."""
    names = random.sample("xyzab", random.choice((2, 2, 3)))
    parts = [(sign(), var(name), num(random.randint(-9, 12))) for name in names]
    return ("or" if random.random() < 0.2 else "and", *parts)


def linear_in_several(random, sign):
    """A sum of two or three letters against a number."""
    names = random.sample("xyzab", random.choice((2, 2, 3)))
    factor = lambda name: var(name) if random.random() < 0.5 else mul(num(random.randint(2, 7)), var(name))
    terms = [
        neg(factor(name)) if random.random() < 0.3 and place else factor(name)
        for place, name in enumerate(names)
    ]
    return sign(), add(*terms), num(random.randint(1, 20))


def product_of_letters(random, sign):
    """A product or a square against a number."""
    x, y = (var(name) for name in random.sample("xyab", 2))
    left = random.choice(
        (mul(x, y), ("pow", x, num(2)), add(("pow", x, num(2)), ("pow", y, num(2))), sub(x, mul(x, y)))
    )
    return sign(), left, num(random.randint(1, 20))


def constraints(random, sign):
    """A linear constraint with the signs of its letters."""
    first = linear_in_several(random, sign)
    return ("and", first, *((">=", var(name), num(0)) for name in letters(first[1])))


def generate_chains(random):
    """Chains of letters and numbers: `a<b<c`, either way round."""
    parts = [var(name) for name in random.sample("abcxyz", 3)]
    if random.random() < 0.5:
        parts[0] = num(random.randint(-5, 5))
    signs = [random.choice(("<", "<", "<=")) for _ in range(2)]

    def region(chain, links):
        return ("and", *((link, left, right) for link, left, right in zip(links, chain, chain[1:])))

    def written(chain, links):
        def writer(style):
            nodes, words = list(chain), list(links)
            if style.random.random() < 0.4:
                nodes, words = nodes[::-1], [TURNED[word] for word in words[::-1]]
            return "".join(
                itertools.chain(
                    *zip(
                        (spell(node, style) for node in nodes),
                        [*(sign_text(word, style) for word in words), ""],
                    )
                )
            )

        return writer

    own = written(parts, signs)
    yield Pair(own, own, True, "spelling", SYMPY)
    for _ in range(3):
        chain, links = list(parts), list(signs)
        change = random.choice(("order", "strictness", "direction"))
        if change == "order":
            chain[1], chain[2] = chain[2], chain[1]
        elif change == "strictness":
            place = random.randrange(2)
            links[place] = LOOSE[links[place]]
        else:
            links = [TURNED[link] for link in links]
        verdict = region_verdict(region(parts, signs), region(chain, links), random)
        if verdict is not None:
            yield Pair(*both(random, own, written(chain, links)), verdict, change, SYMPY)


KINDS = {
    "bounds of several letters": regions(bounds, rewritten=False),
    "linear inequalities": regions(linear_in_several),
    "inequalities of products": regions(product_of_letters),
    "constraints": regions(constraints, ("<=", ">="), rewritten=False),
    "chains": generate_chains,
}
