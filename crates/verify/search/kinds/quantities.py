"""Ratios, quantities with units, times of day."""

from fractions import Fraction

import sympy
from sympy.physics import units

from kinds.common import RULE, SYMPY, Pair, both
from kinds.numbers import decimal_text, ends
from spelling import spell
from tree import rat


def generate_ratios(random):
    """Ratios of whole numbers, but none that is a time of day as well: `5:12` and `15:36` are two of those."""
    parts = [random.randint(1, 24) for _ in range(random.choice((2, 2, 2, 3)))]
    if sympy.gcd(parts) > 1 or parts[0] == parts[-1]:
        return

    def written(numbers):
        def writer(style):
            return style.random.choice((":", " : ", ":", "\\colon ")).join(str(number) for number in numbers)

        return writer

    proportional = lambda other: all(
        sympy.Rational(one, first) == sympy.Rational(two, second)
        for one, two, first, second in zip(parts, other, [parts[0]] * len(parts), [other[0]] * len(parts))
    )
    factor = random.choice((2, 3, 5, 10))
    changed = list(parts)
    changed[random.randrange(len(parts))] += 1
    for other, change in (
        (parts, "spelling"),
        ([part * factor for part in parts], "rewriting"),
        (parts[::-1], "order"),
        (changed, "digit"),
    ):
        if is_time(parts) and is_time(other):
            continue
        yield Pair(*both(random, written(parts), written(other)), proportional(other), change, SYMPY)


def is_time(parts):
    """Whether numbers with colons between them can be hours, minutes and seconds."""
    return parts[0] <= 24 and all(10 <= part < 60 for part in parts[1:])


UNITS = {
    "length": {"km": units.kilometer, "m": units.meter, "cm": units.centimeter, "mm": units.millimeter},
    "mass": {"kg": units.kilogram, "g": units.gram, "mg": units.milligram},
    "time": {"hours": units.hour, "minutes": units.minute, "seconds": units.second},
    "area": {"m^2": units.meter**2, "cm^2": units.centimeter**2, "km^2": units.kilometer**2},
    "speed": {"m/s": units.meter / units.second, "km/h": units.kilometer / units.hour},
}


def generate_units(random):
    """Quantities; SymPy converts. A unit of one letter is not written bare, where it could be a letter's name."""
    family = UNITS[random.choice(list(UNITS))]
    value, (name, other) = (
        Fraction(random.randint(1, 400), random.choice((1, 1, 2, 10))),
        random.sample(list(family), 2),
    )
    base = {"m": units.meter, "s": units.second, "kg": units.kilogram}.values()
    size = lambda unit: units.convert_to(family[unit], list(base)).as_coeff_Mul()[0]
    there = Fraction(str(sympy.Rational(size(name)) / sympy.Rational(size(other)))) * value

    def written(number, unit):
        def writer(style):
            symbol, _, power = unit.partition("^")
            commands = ["\\text{ %s}", "\\,\\text{%s}", "\\ \\mathrm{%s}", " \\mbox{ %s}"]
            if not power and any(len(name) > 1 for name in symbol.split("/")):
                commands.append(" %s")
            command = style.random.choice(commands)
            amount = decimal_text(number) if ends(number) else spell(rat(number), style)
            return amount + command % symbol + (f"^{power}" if power else "")

        return writer

    own = written(value, name)
    yield Pair(own, own, True, "spelling", SYMPY)
    if ends(there) and 0 < there < 10**7:
        yield Pair(*both(random, own, written(there, other)), True, "rewriting", SYMPY)
    if there != value:
        yield Pair(*both(random, own, written(value, other)), False, "unit", SYMPY)
    yield Pair(*both(random, own, written(value + 1, name)), False, "digit", SYMPY)


def generate_times(random):
    """Times of day, of twelve and of twenty-four hours; minutes since midnight are compared."""
    moment = random.randrange(24 * 60)

    def written(minutes):
        def writer(style):
            hour, minute = divmod(minutes, 60)
            if style.random.random() < 0.3 and hour > 12:
                return f"{hour}:{minute:02d}"
            half = style.random.choice((("a.m.", "p.m."), ("AM", "PM"), ("am", "pm")))[hour >= 12]
            clock = f"{(hour + 11) % 12 + 1}:{minute:02d}"
            return style.random.choice(
                (f"{clock} {half}", f"{clock} \\text{{ {half}}}", f"{clock}\\text{{ {half}}}")
            )

        return writer

    own = written(moment)
    yield Pair(own, own, True, "spelling", RULE)
    wrongs = {"digit": (moment + 1) % 1440, "half": (moment + 720) % 1440, "hour": (moment + 60) % 1440}
    for change in random.sample(sorted(wrongs), 2):
        yield Pair(*both(random, own, written(wrongs[change])), False, change, RULE)


KINDS = {
    "ratios": generate_ratios,
    "times of day": generate_times,
    "units": generate_units,
}
