"""All kinds of answers, by name."""

from kinds import algebra, functions

KINDS = {**algebra.KINDS, **functions.KINDS}
