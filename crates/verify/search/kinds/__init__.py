"""All kinds of answers, by name."""

from kinds import (
    algebra,
    collected,
    compositions,
    curves,
    functions,
    notations,
    numbers,
    operators,
    quantities,
    relations,
    texts,
)

KINDS = {
    **numbers.KINDS,
    **quantities.KINDS,
    **algebra.KINDS,
    **functions.KINDS,
    **compositions.KINDS,
    **relations.KINDS,
    **curves.KINDS,
    **operators.KINDS,
    **collected.KINDS,
    **notations.KINDS,
    **texts.KINDS,
}
