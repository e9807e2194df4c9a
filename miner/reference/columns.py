"""Arrow schemas as Markdown: columns with their type and the comment beside them."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterable, Mapping

import pyarrow as pa

from miner.reference.markdown import table


def comments(module: types.ModuleType, *schemas: str) -> dict[str, str]:
    """Comment beside each `("name", type),` line of some schemas of a module, by name."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    found: dict[str, str] = {}
    for statement in ast.parse(source).body:
        targets = getattr(statement, "targets", ())
        if any(isinstance(t, ast.Name) and t.id in schemas for t in targets):
            for node in ast.walk(statement):
                if isinstance(node, ast.Tuple) and isinstance(node.elts[0], ast.Constant):
                    comment = lines[(node.end_lineno or 1) - 1].partition("  # ")[2]
                    found[str(node.elts[0].value)] = comment
    return found


def columns(module: types.ModuleType, *schemas: str) -> str:
    """Table of the columns of some schemas of a module, one after the other."""
    fields = [field for name in schemas for field in getattr(module, name)]
    return described(fields, comments(module, *schemas))


def described(fields: Iterable[pa.Field], meanings: Mapping[str, str]) -> str:
    """Table of columns and what they mean, by name."""
    rows = ((f"`{f.name}`", _arrow_type(f.type), meanings.get(f.name, "")) for f in fields)
    return table(("column", "type", "meaning"), rows)


def _arrow_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_arrow_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(field.name for field in kind) + "}"
    return str(kind)
