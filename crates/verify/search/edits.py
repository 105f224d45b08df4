"""Near misses: one thing changed in a tree, as a model slips. The referee says whether the value changed with it."""

from tree import NAMES_OF_FUNCTIONS, add, children, mul, neg, num, replaced, sub, var

SWAPPED = {"max": "min", "min": "max", "gcd": "lcm", "lcm": "gcd", "floor": "ceil", "ceil": "floor"}
COUSINS = {
    "sin": ("cos", "sinh"),
    "cos": ("sin", "cosh"),
    "tan": ("cot", "sin"),
    "cot": ("tan",),
    "sec": ("csc", "cos"),
    "csc": ("sec", "sin"),
    "ln": ("sin",),
    "arctan": ("tan", "arcsin"),
    "arcsin": ("sin", "arctan"),
    "sinh": ("cosh", "sin"),
    "cosh": ("sinh", "cos"),
}
assert set(COUSINS) == set(NAMES_OF_FUNCTIONS.values())


def edited(node, random, names=()):
    """The tree with one edit at a random place, and the name of the edit; nothing if nothing applies."""
    places = list(paths(node))
    random.shuffle(places)
    for path in places:
        options = list(edits(at(node, path), random, names))
        if options:
            name, part = random.choice(options)
            return put(node, path, part), name
    return None


def paths(node, before=()):
    """The ways to the node and to everything below it."""
    yield before
    for place in children(node):
        yield from paths(node[place], (*before, place))


def at(node, path):
    """What stands at the end of a way."""
    for place in path:
        node = node[place]
    return node


def put(node, path, part):
    """The tree with another part at the end of a way."""
    if not path:
        return part
    return replaced(node, path[0], put(node[path[0]], path[1:], part))


def edits(node, random, names):
    """What may be changed at the top of a node: (what was changed, the changed node)."""
    operation = node[0]
    if operation == "num":
        yield "digit", num(node[1] + 1)
        if node[1] > 1:
            yield "digit", num(node[1] - 1)
        if node[1] >= 10:
            text = list(str(node[1]))
            random.shuffle(text)
            if text[0] != "0" and int("".join(text)) != node[1]:
                yield "digit", num(int("".join(text)))
        return
    if operation == "var":
        others = [name for name in names if name != node[1]]
        if others:
            yield "name", var(random.choice(others))
        if node[1].islower():
            yield "name", var(node[1].upper())
        return
    editor = EDITORS.get(operation)
    if editor:
        yield from editor(node, random)


def edit_sum(node, random):
    place = random.randrange(1, len(node))
    yield "sign", replaced(node, place, neg(node[place]))
    yield "term", add(*(term for other, term in enumerate(node[1:], 1) if other != place))
    if len(node) == 3:
        yield "operator", mul(*node[1:])


def edit_product(node, random):
    place = random.randrange(1, len(node))
    yield "factor", mul(*(factor for other, factor in enumerate(node[1:], 1) if other != place))
    if len(node) == 3:
        yield "operator", add(*node[1:])
    last = node[-1]
    if last[0] == "pow":
        yield "bracket", ("pow", mul(*node[1:-1], last[1]), last[2])
    if last[0] in ("fn", "abs", "floor", "ceil", "root"):
        argument = 2 if last[0] == "fn" else 1
        yield "bracket", replaced(last, argument, mul(*node[1:-1], last[argument]))
    if last[0] == "add":
        yield "bracket", add(mul(*node[1:-1], last[1]), *last[2:])


def edit_quotient(node, random):
    yield "upside down", ("div", node[2], node[1])
    if node[1][0] == "add":
        yield "bracket", add(("div", node[1][1], node[2]), *node[1][2:])
        yield "bracket", add(*node[1][1:-1], ("div", node[1][-1], node[2]))
    if node[2][0] == "add":
        yield "bracket", add(("div", node[1], node[2][1]), *node[2][2:])


def edit_power(node, random):
    yield "operator", mul(node[2], node[1]) if node[2][0] == "num" else mul(node[1], node[2])
    if node[1][0] == "mul":
        yield "bracket", mul(*node[1][1:-1], ("pow", node[1][-1], node[2]))
    if node[1][0] == "add":
        yield "bracket", add(*(("pow", term, node[2]) for term in node[1][1:]))
    if node[2][0] == "add":
        yield "bracket", add(("pow", node[1], node[2][1]), *node[2][2:])
    if node[1][0] == "neg":
        yield "bracket", neg(("pow", node[1][1], node[2]))
    if node[2][0] == "mul":
        yield "bracket", mul(("pow", node[1], node[2][1]), *node[2][2:])
    if node[2][0] == "pow":
        yield "bracket", ("pow", ("pow", node[1], node[2][1]), node[2][2])
    yield "sign", ("div", ("num", 1), node)


def edit_root(node, random):
    yield "index", ("root", node[1], node[2] + 1)
    if node[1][0] == "add":
        yield "bracket", add(*(("root", term, node[2]) for term in node[1][1:]))
        yield "bracket", add(("root", node[1][1], node[2]), *node[1][2:])
    yield "operator", node[1]
    if node[2] > 2:
        yield "index", mul(num(node[2]), ("root", node[1], 2))


def edit_function(node, random):
    yield "function", ("fn", random.choice(COUSINS[node[1]]), node[2])
    if node[2][0] == "mul":
        yield "bracket", mul(*node[2][1:-1], ("fn", node[1], node[2][-1]))
    if node[2][0] == "add":
        yield "bracket", add(*(("fn", node[1], term) for term in node[2][1:]))


def edit_bars(node, random):
    yield "bracket", node[1]
    yield "sign", neg(node[1])
    if node[1][0] == "add":
        yield "bracket", add(*(("abs", term) for term in node[1][1:]))


def edit_rounding(node, random):
    yield "operator", (SWAPPED[node[0]], node[1])
    yield "bracket", node[1]
    shift = ("num", 1)
    yield (
        "operator",
        sub((SWAPPED[node[0]], node[1]), shift)
        if node[0] == "floor"
        else add((SWAPPED[node[0]], node[1]), shift),
    )


def edit_choice(node, random):
    yield "operator", (SWAPPED[node[0]], *node[1:])
    yield "branch", random.choice(node[1:])


def edit_binomial(node, random):
    yield "operator", ("div", node[1], node[2])
    yield "bound", ("binom", add(node[1], ("num", 1)), node[2])
    yield "bound", ("binom", sub(node[1], ("num", 1)), node[2])
    yield "index", ("binom", node[1], add(node[2], ("num", 1)))


def edit_series(node, random):
    operation, name, first, last, body = node
    yield (
        "bound",
        (operation, name, add(first, ("num", 1)) if first[0] != "num" else num(first[1] + 1), last, body),
    )
    yield "bound", (operation, name, first, sub(last, ("num", 1)), body)
    yield "bound", (operation, name, first, add(last, ("num", 1)), body)
    if body[0] == "add":
        yield "bracket", add((operation, name, first, last, body[1]), *body[2:])
    yield "operator", ("prod" if operation == "sum" else "sum", name, first, last, body)


def edit_application(node, random):
    if len(node) > 3 and node[2] != node[3]:
        yield "order", replaced(replaced(node, 2, node[3]), 3, node[2])
    yield "function", ("apply", random.choice([name for name in "fgh" if name != node[1]]), *node[2:])
    argument = node[2]
    if len(node) == 3 and argument[0] == "mul":
        yield "bracket", mul(*argument[1:-1], ("apply", node[1], argument[-1]))
    if len(node) == 3 and argument[0] == "add":
        yield "bracket", add(("apply", node[1], argument[1]), *argument[2:])
        yield "bracket", add(*(("apply", node[1], term) for term in argument[1:]))
    yield "sign", ("apply", node[1], neg(argument), *node[3:])
    if len(node) == 3 and argument[0] in ("num", "var", "add"):
        yield "operator", mul(argument, var(node[1]))


def edit_negation(node, random):
    yield "sign", node[1]
    if node[1][0] == "pow":
        yield "bracket", ("pow", neg(node[1][1]), node[1][2])
    if node[1][0] == "add":
        yield "bracket", add(neg(node[1][1]), *node[1][2:])


def edit_logarithm(node, random):
    yield "index", ("log", num(node[1][1] + 1), node[2])
    yield "order", ("log", node[2], node[1])
    yield "operator", ("fn", "ln", node[2])
    if node[2][0] == "mul":
        yield "bracket", mul(*node[2][1:-1], ("log", node[1], node[2][-1]))


def edit_factorial(node, random):
    yield "operator", node[1]
    yield "bound", ("fact", add(node[1], ("num", 1)))
    if node[1][0] == "mul":
        yield "bracket", mul(*node[1][1:-1], ("fact", node[1][-1]))
    if node[1][0] == "add":
        yield "bracket", add(*node[1][1:-1], ("fact", node[1][-1]))


def edit_index(node, random):
    name, index = node[1:]
    yield "index", ("sub", name, num(index[1] + 1) if index[0] == "num" else add(index, ("num", 1)))
    yield "name", ("sub", "c", index)
    if index[0] == "add":
        yield "bracket", add(("sub", name, index[1]), *index[2:])


EDITORS = {
    "add": edit_sum,
    "mul": edit_product,
    "neg": edit_negation,
    "div": edit_quotient,
    "pow": edit_power,
    "root": edit_root,
    "fn": edit_function,
    "log": edit_logarithm,
    "abs": edit_bars,
    "floor": edit_rounding,
    "ceil": edit_rounding,
    "max": edit_choice,
    "min": edit_choice,
    "gcd": edit_choice,
    "lcm": edit_choice,
    "fact": edit_factorial,
    "binom": edit_binomial,
    "sum": edit_series,
    "prod": edit_series,
    "apply": edit_application,
    "conj": lambda node, random: iter([("operator", node[1])]),
    "sub": edit_index,
}
