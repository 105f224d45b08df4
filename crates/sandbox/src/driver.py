"""Runs inside the jail, around the candidate: reads one request, answers with one line on standard output.

The request is JSON on standard input. `split` takes assertions apart, without any candidate. `evaluate` runs
the candidate, then evaluates expressions and answers with their values, spelled so that equal values are
equal texts. No request holds an expected value, so no answer can be made up.
"""
import ast
import json
import os
import sys


def spell(value, depth=0):
    """Numbers, texts and containers as JSON that is equal exactly when Python calls the values equal."""
    if depth > 200:
        return ["?", "too deep"]
    if value is None:
        return None
    if isinstance(value, int):
        return ["n", int.__repr__(int.__index__(value))]
    if isinstance(value, float):
        number = float.__float__(value)
        if number != number:
            return ["?", "nan"]
        if number in (float("inf"), float("-inf")):
            return ["n", "inf" if number > 0 else "-inf"]
        return ["n", str(int(number)) if number == int(number) else float.__repr__(number)]
    if isinstance(value, str):
        return ["x", str.__str__(value)]
    if isinstance(value, (bytes, bytearray)):
        return ["b", bytes(value).hex()]
    if isinstance(value, list):
        return ["l", [spell(item, depth + 1) for item in list.__iter__(value)]]
    if isinstance(value, tuple):
        return ["t", [spell(item, depth + 1) for item in tuple.__iter__(value)]]
    if isinstance(value, (set, frozenset)):
        return ["s", sorted((spell(item, depth + 1) for item in value), key=json.dumps)]
    if isinstance(value, dict):
        pairs = [[spell(key, depth + 1), spell(item, depth + 1)] for key, item in dict.items(value)]
        return ["d", sorted(pairs, key=json.dumps)]
    return ["?", type(value).__name__]


def split(code):
    """Checks with what must hold of each, and the statements to run before them."""
    setup, checks = [], []
    for statement in ast.parse(code).body:
        if not isinstance(statement, ast.Assert):
            setup.append(ast.unparse(statement))
            continue
        test = statement.test
        check = {"expression": "not not (" + ast.unparse(test) + ")", "expected": ["n", "1"]}
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is)):
            for left, right in ((test.left, test.comparators[0]), (test.comparators[0], test.left)):
                try:
                    expected = spell(ast.literal_eval(right))
                except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                    continue
                check = {"expression": ast.unparse(left), "expected": expected}
                break
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            check = {"expression": "not not (" + ast.unparse(test.operand) + ")", "expected": ["n", "0"]}
        checks.append(check)
    return {"setup": "\n".join(setup), "checks": checks}


def evaluate(request):
    """The values of the request's expressions, in order."""
    names = {"__name__": "candidate", "arguments": request["arguments"]}
    exec(compile(request["source"], "candidate.py", "exec"), names)
    exec(compile(request["setup"], "setup.py", "exec"), names)
    return [spell(eval(expression, names)) for expression in request["expressions"]]


def main():
    request = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    # What the candidate prints is kept apart from the answer.
    os.dup2(2, 1)
    sys.setrecursionlimit(10_000)
    nonce, write, dumps = request.pop("nonce"), os.write, json.dumps
    result = split(request["split"]) if "split" in request else evaluate(request)
    sys.stdout.flush()
    line = (nonce + dumps(result) + "\n").encode()
    while line:
        line = line[write(answer, line):]


main()
