"""Words, and what stands around a box: labels by construction, SymPy does not read text."""

from kinds.common import RULE, Pair, both
from kinds.numbers import make_fraction
from spelling import spell
from tree import rat

ANSWERS = (
    "Evelyn Leo Monday Tuesday Saturday July red blue green circle square ellipse hyperbola parabola triangle yes no true"
    " false even odd increasing decreasing north south cat dog XIV XVI IV VI XL LX HHT HTH ASA SAS SSS Carol Diego triangle"
    " tetrahedron convergent divergent Carbon heads tails monotone injective surjective"
).split()


def write_word(word):
    """A word in text, bold, or bare."""

    def writer(style):
        return style.random.choice(
            (word, f"\\text{{{word}}}", f"\\textbf{{{word}}}", f"\\mathrm{{{word}}}", f"\\text{{{word}.}}")
        )

    return writer


def generate_words(random):
    """Words against themselves, against words of the same letters, and against others."""
    word = random.choice(ANSWERS)
    own = write_word(word)
    yield Pair(own, own, True, "spelling", RULE)
    if word not in word.upper():
        yield Pair(own, write_word(word.lower()), True, "spelling", RULE)
    letters = list(word)
    place = random.randrange(len(letters) - 1)
    letters[place], letters[place + 1] = letters[place + 1], letters[place]
    swapped = "".join(letters)
    if swapped.lower() != word.lower():
        yield Pair(*both(random, own, write_word(swapped)), False, "order", RULE)
    other = random.choice(ANSWERS)
    if other.lower() != word.lower():
        yield Pair(*both(random, own, write_word(other)), False, "member", RULE)


def around(text):
    """Boxes whose surroundings change nothing."""
    return (
        f"$x = \\boxed{{{text}}}$",
        f"Hence $n=\\boxed{{{text}}}$.",
        f"$\\boxed{{{text}}}$, as was to be shown.",
        f"We get $\\boxed{{{text}}}$. To check: $\\boxed{{{text}}}$.",
        f"$\\boxed{{\\text{{The answer is }} {text}}}$",
        f"$\\boxed{{\\boxed{{{text}}}}}$",
        f"$$\\boxed{{\\displaystyle {{{text}}}}}$$",
        f"$\\boxed{{\\color{{blue}}{{{text}}}}}$",
        f"<think>Perhaps $\\boxed{{0}}$?</think>It is $\\boxed{{{text}}}$.",
        f"$\\therefore \\boxed{{{text}}}$",
    )


def spoiled(text, wrong):
    """Boxes whose surroundings, or other boxes, change the answer."""
    return (
        ("sign", f"$x = -\\boxed{{{text}}}$"),
        ("factor", f"$2\\boxed{{{text}}}$"),
        ("factor", f"$\\boxed{{{text}}}\\sqrt{{2}}$"),
        ("factor", f"$\\boxed{{{text}}}\\cdot 3$"),
        ("factor", f"$\\boxed{{{text}}}\\pi$"),
        ("factor", f"$\\boxed{{{text}}}y$"),
        ("factor", f"$\\frac{{\\boxed{{{text}}}}}{{3}}$"),
        ("operator", f"$\\boxed{{{text}}}^2$"),
        ("operator", f"$\\sqrt{{\\boxed{{{text}}}}}$"),
        ("operator", f"$1+\\boxed{{{text}}}$"),
        ("factor", f"$\\boxed{{{text}}}\\text{{ million}}$"),
        ("hedging", f"$\\boxed{{{text}}}$ or $\\boxed{{{wrong}}}$"),
        ("hedging", f"$\\boxed{{{text} \\text{{ or }} {wrong}}}$"),
        ("thought", f"<think>Perhaps $\\boxed{{{text}}}$</think>It is $\\boxed{{{wrong}}}$."),
        ("thought", f"<think>So it is $\\boxed{{{text}}}$"),
        ("last", f"First $\\boxed{{{text}}}$, but that is wrong. Hence $\\boxed{{{wrong}}}$."),
    )


def generate_boxes(random):
    """A number that is neither zero nor one in a box, with something around it."""
    value = abs(make_fraction(random)) + 2
    if random.random() < 0.6:
        value = value.__class__(int(value))
    gold, answer, wrong = rat(value), rat(value), rat(value + 1)

    def whole(choose):
        def writer(style):
            return choose(style, spell(answer, style), spell(wrong, style))

        return writer

    write_gold = lambda style: spell(gold, style)
    yield Pair(
        write_gold,
        whole(lambda style, text, other: style.random.choice(around(text))),
        True,
        "around",
        RULE,
        whole=True,
    )
    change = random.choice(spoiled("", ""))[0]
    pick = lambda style, text, other: style.random.choice(
        [way for name, way in spoiled(text, other) if name == change]
    )
    yield Pair(write_gold, whole(pick), False, change, RULE, whole=True)


KINDS = {"words": generate_words, "around the box": generate_boxes}
