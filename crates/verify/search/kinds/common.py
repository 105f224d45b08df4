"""What all kinds share: the pair, and the making of pairs from expressions."""

import functools
from typing import Any, NamedTuple

import sympy

import referee
from edits import edited
from spelling import spell
from tree import from_sympy, letters, to_sympy


class Pair(NamedTuple):
    """Two answers, each a tree or a function from a style to text, and whether they are the same.

    Where `whole` is set, the right text is a whole solution, else what stands in its box.
    """

    left: Any
    right: Any
    equivalent: bool
    change: str
    proof: str
    answer_kind: str = "math"
    whole: bool = False

    def spelled(self, left_style, right_style):
        """Both as text."""
        return write(self.left, left_style), write(self.right, right_style)


SYMPY, RULE, TREE = "sympy", "rule", "same tree"


def write(answer, style):
    """The text of an answer: a tree's spelling, or what its function writes."""
    return answer(style) if callable(answer) else spell(answer, style)


def both(random, left, right):
    """The two in either order: what is a near miss one way is one the other way, too."""
    return (left, right) if random.random() < 0.7 else (right, left)


def by_sympy(function):
    """A rewriter by one of SymPy's functions, which keep the value."""

    @functools.cache
    def rewriter(tree, domain):
        return referee.attempt(lambda: from_sympy(function(to_sympy(tree, domain))))

    return rewriter


EXPAND = by_sympy(sympy.expand)
FACTOR = by_sympy(sympy.factor)
TOGETHER = by_sympy(sympy.together)
CANCEL = by_sympy(sympy.cancel)
UNCHANGED = by_sympy(lambda expression: expression)


def holds_for_all(tree, equal, domain, random):
    """Whether what is equal for positive letters was not told apart at the points where others have values."""
    return domain != "positive" or referee.told_apart(tree, equal, "real", random, 60) is False


def expressions(make, rewriters, domain="real", near_misses=3, names=(), rewritings=2):
    """A kind whose answers are expressions: `make(random)` gives one, or one with its equals by a rule.

    Rewriters give equals by SymPy. Equals by a rule are tried at points by the referee as well: one that SymPy tells
    apart is an error of this program, and ends it.
    """

    def generate(random):
        made = make(random)
        tree, equals = made if isinstance(made, tuple) and isinstance(made[1], list) else (made, [])
        if referee.told_apart(tree, tree, domain, random, 4) is None:
            return
        yield Pair(tree, tree, True, "spelling", TREE)
        known = [tree]
        for equal in equals:
            verdict = referee.same(tree, equal, domain, random)
            if verdict is False:
                raise AssertionError(f"no rule: {tree} and {equal}")
            if not holds_for_all(tree, equal, domain, random):
                continue
            known.append(equal)
            yield Pair(*both(random, tree, equal), True, "rewriting", SYMPY if verdict else RULE)
        for rewriter in random.sample(rewriters, min(rewritings, len(rewriters))):
            equal = rewriter(tree, domain)
            if equal is None or equal in known:
                continue
            if holds_for_all(tree, equal, domain, random):
                known.append(equal)
                yield Pair(*both(random, tree, equal), True, "rewriting", SYMPY)
        pool = tuple(names) or tuple(letters(tree))
        for _ in range(near_misses):
            edit = edited(random.choice(known), random, pool)
            if edit is None:
                continue
            wrong, change = edit
            verdict = referee.same(tree, wrong, domain, random)
            if verdict is not None:
                yield Pair(*both(random, tree, wrong), verdict, change, SYMPY)

    return generate
