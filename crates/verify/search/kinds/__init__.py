"""All kinds of answers, by name."""

from kinds import (
    algebra,
    collected,
    compositions,
    curves,
    functions,
    notations,
    numbers,
    quantities,
    relations,
    texts,
)

KINDS = {}
for module in (
    numbers,
    quantities,
    algebra,
    functions,
    compositions,
    relations,
    curves,
    collected,
    notations,
    texts,
):
    KINDS.update(module.KINDS)
