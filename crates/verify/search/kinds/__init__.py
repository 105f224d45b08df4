"""All kinds of answers, by name."""

from kinds import algebra, collected, functions, numbers, relations, texts

KINDS = {**numbers.KINDS, **algebra.KINDS, **functions.KINDS, **relations.KINDS, **collected.KINDS, **texts.KINDS}
