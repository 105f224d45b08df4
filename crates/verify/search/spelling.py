"""Writes a tree as people write LaTeX: one of many spellings of the same expression, by rules that keep its meaning.

A [`Style`] is drawn once for an answer, so an answer is written in one hand. Ambiguous spellings are not written: no
number before a bare fraction of numbers (a mixed number), no function with a product behind its bare argument, no
slash with a product behind it.
"""

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
BRACKETS = (
    ("(", ")"),
    ("(", ")"),
    ("(", ")"),
    ("\\left(", "\\right)"),
    ("\\left(", "\\right)"),
    ("\\left( ", " \\right)"),
    ("\\bigl(", "\\bigr)"),
)
SUM, PRODUCT, APPLIED, POWER, ATOM = 1, 2, 3, 4, 5
UNICODE_FUNCTIONS = ("sin", "cos", "tan", "ln", "log", "max", "min", "gcd")


class Style:
    """The habits of one writer."""

    def __init__(self, random, shuffled=True):
        pick = random.choice
        self.random = random
        self.unicode = random.random() < 0.12
        self.fraction = pick(("\\frac", "\\frac", "\\frac", "\\dfrac", "\\tfrac", "/", "/", "\\cfrac"))
        self.short_fraction = random.random() < 0.3
        self.times = pick(("", "", "", "\\cdot ", " \\cdot ", "\\times ", " ", "\\,", "*"))
        self.number_times = pick(("\\cdot ", " \\cdot ", "\\times ", " \\times ", "*"))
        self.over = random.random() < 0.04
        self.left, self.right = pick(BRACKETS)
        self.spaced = random.random() < 0.5
        self.braced = random.random() < 0.5
        self.bare_root = random.random() < 0.4
        self.bare_function = random.random() < 0.5
        self.power_of_function = random.random() < 0.5
        self.bars = pick(
            (("|", "|"), ("|", "|"), ("\\left|", "\\right|"), ("\\lvert ", "\\rvert"), ("\\vert ", "\\vert "))
        )
        self.roman_e = random.random() < 0.1
        self.operator_name = random.random() < 0.2
        self.shuffled = shuffled and random.random() < 0.4
        self.index_braced = random.random() < 0.5

    def bracket(self, text):
        """The text in brackets."""
        return f"{self.left}{text}{self.right}"


def spell(node, style):
    """The text of a node."""
    return _spell(node, style)[0]


def _at_least(node, style, level):
    text, own = _spell(node, style)
    return text if own >= level else style.bracket(text)


def _spell(node, style):
    return SPELLERS[node[0]](node, style)


def _number(node, style):
    return str(node[1]), ATOM


def _letter(node, style):
    return node[1], ATOM


def _pi(node, style):
    return ("π" if style.unicode else "\\pi "), ATOM


def _e(node, style):
    return ("\\mathrm{e}" if style.roman_e else "e"), ATOM


def _subscript(node, style):
    index = spell(node[2], Plain)
    return (f"{node[1]}_{{{index}}}" if style.index_braced or len(index) > 1 else f"{node[1]}_{index}"), ATOM


def _ordered(parts, style):
    parts = list(parts)
    if style.shuffled:
        style.random.shuffle(parts)
    return parts


def _sum(node, style):
    written = []
    for term in _ordered(node[1:], style):
        negative = term[0] == "neg"
        text = _at_least(term[1] if negative else term, style, PRODUCT)
        sign = "-" if negative else "+"
        if not written:
            written.append("-" + text if negative else text)
        else:
            written.append(f" {sign} {text}" if style.spaced else sign + text)
    return "".join(written), SUM


def _negative(node, style):
    return "-" + _at_least(node[1], style, PRODUCT), SUM


def _product(node, style):
    factors = list(node[1:])
    if style.shuffled and all(factor[0] in ("num", "var", "pow", "pi", "e") for factor in factors):
        style.random.shuffle(factors)
    else:
        factors.sort(key=lambda factor: factor[0] in ("fn", "log"))
    text, before = "", None
    for place, factor in enumerate(factors):
        last = place == len(factors) - 1
        if factor[0] in ("fn", "log") and not last:
            part = _function(factor, style, bare=False)[0]
        else:
            part = _at_least(factor, style, APPLIED)
        if place == 0:
            text = part
        else:
            text += _between(before, factor, part, text, style) + part
        before = factor
    return text, PRODUCT


def _between(before, factor, part, text, style):
    """What stands between two factors."""
    if part[0].isdigit() or part[0] in ".⁰¹²³⁴⁵⁶⁷⁸⁹":
        return style.number_times
    if factor[0] in (
        "div",
        "abs",
        "floor",
        "ceil",
        "dec",
        "binom",
        "sum",
        "prod",
        "max",
        "min",
        "gcd",
        "lcm",
    ):
        return style.number_times
    if before[0] in ("fn", "log", "abs", "sum", "prod", "sub", "apply"):
        return style.number_times
    if part[0] == "(" or part.startswith("\\left("):
        return style.times if style.times.strip() not in ("*",) else "*"
    if text[-1].isalpha() and style.times == "" and text.rpartition("\\")[2].isalpha() and "\\" in text:
        return " "
    return style.times


def _fraction(node, style):
    top, bottom = node[1], node[2]
    if style.fraction == "/" or (style.unicode and style.short_fraction):
        left = _at_least(top, style, POWER if _ends_in_function(top) else PRODUCT)
        return f"{left}/{_at_least(bottom, style, POWER)}", PRODUCT
    left, right = spell(top, style), spell(bottom, style)
    if style.over:
        return f"{{{left} \\over {right}}}", APPLIED
    if style.short_fraction and len(left) == 1 and len(right) == 1:
        joined = f"{left}{right}" if left.isdigit() else f" {left}{right}"
        return f"{style.fraction}{joined}", APPLIED
    return f"{style.fraction}{{{left}}}{{{right}}}", APPLIED


def _ends_in_function(node):
    """Whether a slash behind it could be taken into a function's argument."""
    parts = node[1:] if node[0] == "mul" else (node,)
    return any(part[0] in ("fn", "log", "sum", "prod") for part in parts)


def _power(node, style):
    base, exponent = node[1], node[2]
    if exponent == ("num", 1) and style.random.random() < 0.5:
        return _spell(base, style)
    if base[0] in ("fn",) and exponent[0] == "num" and exponent[1] > 1 and style.power_of_function:
        return _function(base, style, power=str(exponent[1]))
    text = _at_least(base, style, ATOM)
    if style.unicode and exponent[0] == "num":
        return text + str(exponent[1]).translate(SUPERSCRIPTS), POWER
    written = spell(exponent, style)
    if len(written) == 1 and not style.braced:
        return f"{text}^{written}", POWER
    return f"{text}^{{{written}}}", POWER


def _root(node, style):
    inside = spell(node[1], style)
    if node[2] == 2:
        if style.unicode:
            return ("√" + inside if node[1][0] == "num" and len(inside) == 1 else f"√({inside})"), ATOM - 1
        if style.bare_root and len(inside) == 1:
            return (f"\\sqrt{inside}" if inside.isdigit() else f"\\sqrt {inside}"), ATOM - 1
        return f"\\sqrt{{{inside}}}", ATOM - 1
    return f"\\sqrt[{node[2]}]{{{inside}}}", ATOM - 1


def _is_bare_argument(node):
    """Whether an argument may follow a function without brackets: `\\sin 2x`."""
    if node[0] in ("num", "var", "pi"):
        return True
    return node[0] == "mul" and len(node) == 3 and node[1][0] == "num" and node[2][0] == "var"


def _function(node, style, bare=None, power=None):
    name = f"\\{node[1]}" if node[0] == "fn" else "\\log"
    argument = node[2]
    if style.unicode and name[1:] in UNICODE_FUNCTIONS and node[0] == "fn" and power is None:
        return f"{name[1:]}({spell(argument, style)})", APPLIED
    if node[0] == "log":
        base = spell(node[1], Plain)
        name += f"_{{{base}}}" if style.braced or len(base) > 1 else f"_{base}"
    if power is not None:
        name += f"^{{{power}}}" if style.braced or len(power) > 1 else f"^{power}"
    bare = style.bare_function if bare is None else bare
    if bare and _is_bare_argument(argument):
        inner = spell(argument, Plain)
        return f"{name} {inner}" if power is None or style.spaced else f"{name}{{{inner}}}", APPLIED
    return f"{name}{style.bracket(spell(argument, style))}", APPLIED


def _bars(node, style):
    left, right = style.bars
    inside = spell(node[1], style)
    if any(part[0] == "abs" for part in _below(node[1])):
        left, right = "\\left|", "\\right|"
    return f"{left}{inside}{right}", ATOM - 1


def _below(node):
    yield node
    for part in node[1:]:
        if isinstance(part, tuple):
            yield from _below(part)


def _enclosed(left, right, unicode_pair):
    def speller(node, style):
        inside = spell(node[1], style)
        if style.unicode:
            return f"{unicode_pair[0]}{inside}{unicode_pair[1]}", ATOM - 1
        if style.left.startswith("\\left"):
            return f"\\left{left} {inside} \\right{right}", ATOM - 1
        return f"{left} {inside} {right}", ATOM - 1

    return speller


def _listed(node, style):
    parts = [spell(part, style) for part in _ordered(node[1:], style)]
    name = f"\\{node[0]}"
    if style.unicode:
        name = node[0]
    elif style.operator_name or node[0] == "lcm":
        name = f"\\operatorname{{{node[0]}}}"
    return name + style.bracket((", " if style.spaced else ",").join(parts)), APPLIED


def _factorial(node, style):
    return _at_least(node[1], style, ATOM) + "!", POWER


def _binomial(node, style):
    command = style.random.choice(("\\binom", "\\binom", "\\dbinom", "\\tbinom"))
    return f"{command}{{{spell(node[1], style)}}}{{{spell(node[2], style)}}}", ATOM - 1


def _series(node, style):
    command = "\\sum" if node[0] == "sum" else "\\prod"
    first, last = spell(node[2], Plain), spell(node[3], Plain)
    upper = f"^{{{last}}}" if style.braced or len(last) > 1 else f"^{last}"
    lower = f"_{{{node[1]}={first}}}"
    bounds = upper + lower if style.random.random() < 0.15 else lower + upper
    limits = "\\limits" if style.random.random() < 0.1 else ""
    return f"{command}{limits}{bounds} {_at_least(node[4], style, PRODUCT)}", SUM


def _applied(node, style):
    inside = (", " if style.spaced else ",").join(spell(part, style) for part in node[2:])
    return node[1] + style.bracket(inside), ATOM - 1


def _conjugate(node, style):
    inside = spell(node[1], style)
    return (f"\\overline{{{inside}}}" if style.braced or len(inside) > 1 else f"\\bar {inside}"), ATOM - 1


class _PlainStyle(Style):
    """The one writer without habits: for indices and bounds."""

    def __init__(self):
        import random

        super().__init__(random.Random(0))
        self.unicode = self.short_fraction = self.spaced = self.braced = self.roman_e = self.shuffled = False
        self.fraction, self.times, self.number_times = "\\frac", "", "\\cdot "
        self.left, self.right = "(", ")"


SPELLERS = {
    "num": _number,
    "dec": _number,
    "var": _letter,
    "pi": _pi,
    "e": _e,
    "i": lambda node, style: ("i", ATOM),
    "sub": _subscript,
    "add": _sum,
    "neg": _negative,
    "mul": _product,
    "div": _fraction,
    "pow": _power,
    "root": _root,
    "fn": _function,
    "log": _function,
    "abs": _bars,
    "floor": _enclosed("\\lfloor", "\\rfloor", "⌊⌋"),
    "ceil": _enclosed("\\lceil", "\\rceil", "⌈⌉"),
    "max": _listed,
    "min": _listed,
    "gcd": _listed,
    "lcm": _listed,
    "fact": _factorial,
    "binom": _binomial,
    "sum": _series,
    "prod": _series,
    "apply": _applied,
    "conj": _conjugate,
}
Plain = _PlainStyle()
