"""Small faults: comparison, boundary, sign, constant, dropped clause, swapped argument."""

from __future__ import annotations

import ast
import copy
import dataclasses
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("filters", "miner", "ner", "segmenters", "shards")
NOT_RUN = ("training", "demo", "reference")  # folders that no run of the pipeline uses

COMPARISONS = {
    ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
SAFE = ("min", "max", "isinstance", "getattr")  # swapped, these say the same or fail at once
TWINS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclasses.dataclass(frozen=True)
class Fault:
    """One change of one expression.

    Attributes:
        file: relative to the checkout.
        kind: what was done.
        start: of the expression: line from 1 and column in bytes, as `ast` counts.
        end: likewise.
        before: the expression.
        after: what stands there instead.
    """

    file: str
    kind: str
    start: tuple[int, int]
    end: tuple[int, int]
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.start[0]}  {self.kind}: {self.before}  ->  {self.after}"


def changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Kinds of faults that an expression can have, and the expressions with them."""
    if isinstance(node, ast.Compare):
        for kind, table in (("comparison", COMPARISONS), ("boundary", BOUNDARIES)):
            if type(node.ops[0]) in table:
                new = copy.deepcopy(node)
                new.ops[0] = table[type(node.ops[0])]()
                yield kind, new
    elif isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
        new = copy.deepcopy(node)
        new.op = SIGNS[type(node.op)]()
        yield "sign", new
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield "sign" if isinstance(node.op, ast.USub) else "dropped clause", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        value = node.value
        other = (not value) if isinstance(value, bool) else value + 1 if value < 2 else value * 1.5
        yield "constant", ast.Constant(int(other) if type(value) is int else other)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield "dropped clause", value
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        for i, loop in enumerate(node.generators):
            for k in range(len(loop.ifs)):
                new = copy.deepcopy(node)
                del new.generators[i].ifs[k]
                yield "dropped clause", new
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in TWINS:
            new = copy.deepcopy(node)
            new.func = ast.Name(TWINS[node.func.id])
            yield "comparison", new
        plain = [a for a in node.args if not isinstance(a, ast.Starred)]
        named = node.func.id if isinstance(node.func, ast.Name) else ""
        if (
            named not in SAFE
            and len(plain) == len(node.args) > 1
            and ast.dump(plain[0]) != ast.dump(plain[1])
        ):
            new = copy.deepcopy(node)
            new.args[:2] = new.args[1::-1]
            yield "swapped argument", new


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that run: no annotations, no text of messages, nothing for type checkers."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.JoinedStr | ast.Raise | ast.Assert):
        return
    if isinstance(node, ast.keyword) and node.arg in ("strict", "exist_ok"):  # never met
        return
    if isinstance(node, ast.expr):
        yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from expressions(child)


def faults(file: str) -> list[Fault]:
    """All faults that one module can have."""
    source = (ROOT / file).read_text(encoding="utf-8")
    found = []
    for node in expressions(ast.parse(source)):
        assert node.end_lineno is not None and node.end_col_offset is not None  # noqa: PT018
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        for kind, new in changes(node):
            after = ast.unparse(ast.fix_missing_locations(new))
            found.append(Fault(file, kind, *ends, ast.unparse(node), after))
    return found


def draw(n: int, seed: int, only: str) -> list[Fault]:
    """Draw faults, evenly over modules and kinds."""
    rng = random.Random(seed)
    files = [
        file
        for file in subprocess.check_output(
            ["git", "ls-files", *ROOMS], cwd=ROOT, text=True
        ).splitlines()
        if file.endswith(".py") and file.startswith(only) and not set(NOT_RUN) & {*file.split("/")}
    ]
    left = {file: found for file in files if (found := faults(file))}
    drawn: list[Fault] = []
    while len(drawn) < n and left:
        for file in rng.sample(sorted(left), len(left)):
            kind = rng.choice(sorted({fault.kind for fault in left[file]}))
            fault = rng.choice([fault for fault in left[file] if fault.kind == kind])
            drawn.append(fault)
            left[file].remove(fault)
            if not left[file]:
                del left[file]
    return drawn[:n]


def planted(source: str, fault: Fault) -> str:
    """The source of a module with a fault in it."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    begin, end = (starts[line - 1] + column for line, column in (fault.start, fault.end))
    data = b"".join(lines)
    return (data[:begin] + f"({fault.after})".encode() + data[end:]).decode()
