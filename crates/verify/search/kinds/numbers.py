"""Numbers in the spellings of school, trade and science; words; bases.

A spelling denotes its value by construction; whether two values are equal is SymPy's comparison of exact numbers.
"""

from fractions import Fraction

import sympy

from kinds.common import RULE, SYMPY, Pair, both
from spelling import spell
from tree import rat

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
ONES += "seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def compared(random, value, other, write_value, write_other, change):
    """The pair of two numbers, labelled by SymPy."""
    equal = bool(sympy.Rational(value) == sympy.Rational(other))
    return Pair(*both(random, write_value, write_other), equal, "rewriting" if equal else change, SYMPY)


def grouped(digits, separator):
    """Digits in groups of three from the right."""
    first = len(digits) % 3 or 3
    return separator.join(
        [digits[:first], *(digits[place : place + 3] for place in range(first, len(digits), 3))]
    )


def write_integer(value):
    """A whole number, with or without separators."""

    def writer(style):
        digits = str(abs(value))
        if len(digits) > 4 or (len(digits) == 4 and style.random.random() < 0.5):
            digits = grouped(digits, style.random.choice((",", ",", "{,}", "\\,", "", ",\\!")))
        return ("-" if value < 0 else "") + digits

    return writer


def decimal_text(value):
    """The digits of a fraction that ends."""
    text = f"{abs(value.numerator) * 10**12 // value.denominator:013d}"
    whole, after = text[:-12], text[-12:].rstrip("0")
    return f"{'-' if value < 0 else ''}{whole}{'.' if after else ''}{after}"


def ends(value):
    """Whether a fraction is a decimal of at most six digits after the point."""
    return (value * 10**6).denominator == 1


def write_fraction(value):
    """A fraction: in lowest terms or not, mixed, with its sign in one of three places."""

    def writer(style):
        random = style.random
        factor = random.choice((1, 1, 1, 1, 2, 3, 5, 10))
        top, bottom = abs(value.numerator) * factor, value.denominator * factor
        sign = "-" if value < 0 else ""
        if bottom == 1:
            return f"{sign}{top}"
        if top > bottom and factor == 1 and random.random() < 0.5 and style.fraction != "/":
            rest = spell(rat(Fraction(top % bottom, bottom)), style)
            if "/" not in rest and "over" not in rest:
                return f"{sign}{top // bottom}{random.choice(('', ' ', chr(92) + ','))}{rest}"
        if style.fraction == "/":
            return f"{sign}{top}/{bottom}"
        if sign and random.random() < 0.2:
            return f"{style.fraction}{{-{top}}}{{{bottom}}}"
        return f"{sign}{style.fraction}{{{top}}}{{{bottom}}}"

    return writer


def write_decimal(value):
    """A decimal, with zeros more or less."""

    def writer(style):
        text = decimal_text(value)
        if "." in text and style.random.random() < 0.15:
            text += "0"
        if text.startswith("0.") and style.random.random() < 0.2:
            text = text[1:]
        return text

    return writer


def write_percent(value):
    """A percentage."""

    def writer(style):
        sign = style.random.choice(("\\%", "\\%", "%", "\\,\\%", " \\%", "\\text{ percent}", " percent"))
        return decimal_text(value * 100) + sign

    return writer


def write_repeating(value):
    """A decimal whose period has a bar."""
    top, bottom = abs(value.numerator), value.denominator
    whole, rest = divmod(top, bottom)
    digits, seen = "", {}
    while rest and rest not in seen and len(digits) < 12:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, bottom)
        digits += str(digit)
    if rest not in seen or not digits:
        return None
    start = seen[rest]
    before, period = digits[:start], digits[start:]

    def writer(style):
        command = (
            style.random.choice(("\\overline", "\\overline", "\\bar")) if len(period) == 1 else "\\overline"
        )
        return f"{'-' if value < 0 else ''}{whole}.{before}{command}{{{period}}}"

    return writer


def write_scientific(value):
    """A decimal times a power of ten."""
    exponent, mantissa = 0, Fraction(value)
    while abs(mantissa) >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    while mantissa and abs(mantissa) < 1:
        mantissa, exponent = mantissa * 10, exponent - 1

    def writer(style):
        times = style.random.choice(("\\times ", " \\times ", " \\cdot ", "\\cdot "))
        return f"{decimal_text(mantissa)}{times}10^{{{exponent}}}"

    return writer


def rounds(value, other):
    """Whether a short decimal of one could be meant for the other, which has no end."""
    return ends(value) and not ends(other) and abs(value - other) * 1000 < abs(value)


def percent_apart(value, other):
    """Whether the numbers differ by a percent sign that is left out, which is forgiven (docs/verifier.md)."""
    return value == 100 * other or other == 100 * value


def neighbours(random, value):
    """Numbers one slip away."""
    top, bottom = value.numerator, value.denominator
    options = [("digit", Fraction(top + 1, bottom)), ("digit", Fraction(top - 1, bottom)), ("sign", -value)]
    options += [
        ("digit", Fraction(top, bottom + 1)),
        ("digit", value + 1),
        ("point", value * 10),
        ("point", value / 10),
    ]
    if top:
        options.append(("upside down", 1 / value))
    digits = list(str(abs(top)))
    random.shuffle(digits)
    options.append(("digit", Fraction(int("".join(digits)), bottom)))
    return random.sample(options, 3)


def writers_of(value):
    """Every way to write an exact number."""
    ways = [write_fraction(value)]
    if ends(value):
        ways += [write_decimal(value), write_percent(value)]
    elif value.denominator < 40:
        ways += [way for way in (write_repeating(value),) if way]
    return ways


def numbers(make, ways=writers_of):
    """A kind of numbers: some ways to write the value against each other, and neighbours."""

    def generate(random):
        value = make(random)
        own = random.choice(ways(value))
        for other in random.sample(ways(value), min(2, len(ways(value)))):
            yield compared(random, value, value, own, other, "")
        for change, wrong in neighbours(random, value):
            if rounds(value, wrong) or rounds(wrong, value) or percent_apart(value, wrong):
                continue
            if ways(wrong):
                yield compared(random, value, wrong, own, random.choice(ways(wrong)), change)

    return generate


def make_fraction(random):
    """A small fraction."""
    return Fraction(random.randint(-60, 120), random.randint(2, 30))


def make_decimal(random):
    """A decimal of one to four digits after the point."""
    return Fraction(random.randint(1, 20_000), 10 ** random.randint(1, 4))


def make_large(random):
    """A whole number of four to ten digits."""
    return Fraction(random.randint(1000, 10 ** random.randint(4, 10)) * random.choice((1, 1, -1)))


def large_ways(value):
    """Only whole numbers are written with separators."""
    if value.denominator != 1:
        return []
    ways = [write_integer(value.numerator)]
    if value and abs(value.numerator) >= 1000:
        ways.append(write_scientific(value))
    return ways


def make_scientific(random):
    """A few digits times a power of ten."""
    return Fraction(random.randint(10, 9999)) * Fraction(10) ** random.randint(-8, 8)


def scientific_ways(value):
    """Times a power of ten, and plainly where that is short."""
    if (value * 10**12).denominator != 1 or not value:
        return []
    ways = [write_scientific(value)]
    if value.denominator == 1:
        ways.append(write_integer(value.numerator))
    else:
        ways.append(write_decimal(value))
    return ways


def words(value):
    """A whole number below a million in English."""
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (f"-{ONES[value % 10]}" if value % 10 else "")
    if value < 1000:
        return f"{ONES[value // 100]} hundred" + (f" {words(value % 100)}" if value % 100 else "")
    return f"{words(value // 1000)} thousand" + (f" {words(value % 1000)}" if value % 1000 else "")


def generate_words(random):
    """Number words against digits; the words are made here, no judge of them is at hand."""
    value = random.choice(
        (random.randint(0, 20), random.randint(21, 100), random.randint(101, 999), random.randint(1000, 9999))
    )

    def written(number):
        def writer(style):
            text = words(number)
            if style.random.random() < 0.3:
                text = text.replace("-", " ")
            if style.random.random() < 0.3:
                text = text.capitalize()
            return style.random.choice((f"\\text{{{text}}}", text, f"\\textbf{{{text}}}"))

        return writer

    own = write_integer(value)
    yield Pair(*both(random, own, written(value)), True, "rewriting", RULE)
    wrongs = {value + 1, value * 10, max(value - 1, 0), int(str(value)[::-1]), value + 10, value + 100} - {
        value
    }
    for wrong in random.sample(sorted(number for number in wrongs if number < 100_000), 2):
        yield Pair(*both(random, own, written(wrong)), False, "digit", RULE)


def generate_bases(random):
    """Numbers with the base as an index."""
    base, value = random.choice((2, 3, 4, 5, 6, 7, 8, 9)), random.randint(10, 2000)

    def digits(number, radix):
        text = ""
        while number:
            number, digit = divmod(number, radix)
            text = str(digit) + text
        return text or "0"

    def written(number, radix):
        def writer(style):
            text = digits(number, radix)
            return style.random.choice(
                (f"{text}_{radix}", f"{text}_{{{radix}}}", f"({text})_{radix}", f"{text}_{{({radix})}}")
            )

        return writer

    own = written(value, base)
    yield Pair(own, own, True, "spelling", RULE)
    yield Pair(own, written(value + random.choice((1, -1, base)), base), False, "digit", RULE)
    text, other = digits(value, base), base + 1
    if sympy.Integer(int(text, other)) != value:
        yield Pair(own, written(int(text, other), other), False, "base", SYMPY)


KINDS = {
    "fractions and mixed numbers": numbers(make_fraction),
    "decimals and percentages": numbers(make_decimal),
    "large numbers": numbers(make_large, large_ways),
    "scientific notation": numbers(make_scientific, scientific_ways),
    "number words": generate_words,
    "bases": generate_bases,
}
