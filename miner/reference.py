"""The reference pages, made from the models, schemas and dictionaries that the code itself uses.

    python -m miner.reference [FOLDER]     # docs/ when left out, as `make docs` does

What a setting means stands in the `Attributes:` of its model's docstring, what a column means in
the comment beside it in its schema, what a reason means in `miner/report/words.py`, what a field of
a JSON file means in `miner/layout.py`. A test compares the pages with what this module would write.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydantic
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo

from filters.config import FilterConfig
from filters.decide import decide
from filters.scores import SCORES, VERDICT
from miner import layout, ledger, strata, unit
from miner.config import Config
from miner.refilter import ALLOWED
from miner.report.words import REASONS, STATUS
from miner.settings import Settings
from miner.unit import STATUSES
from shards import pack, sample
from shards.export.options import Options
from shards.instruct.mix import Mix

NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    types.NoneType: "null",
}
SAMPLE_MODELS = (
    sample.SampleModel,
    sample.MentionModel,
    sample.RegionModel,
    sample.NegativeModel,
    sample.FactModel,
    sample.TurnModel,
    sample.RleModel,
)
HEAD = "Written by `make docs` from the code; change it there."


def configuration() -> str:
    """`docs/configuration.md`: every setting with its path, type, default and meaning."""
    refilter = ", ".join(f"`{name}`" for name in ALLOWED)
    parts = [
        "# Configuration reference",
        HEAD,
        "A configuration is YAML; `--set a.b=c` changes one setting of it, the value in YAML too. "
        "`N` is a position in a list, from 0, and `NAME` a key of the user's. An unknown key is an "
        "error. `run.json` in OUT has the configuration of a run with all defaults. "
        f"`miner refilter` changes only {refilter}.",
        *_model("", Config),
        "## Exports: `miner export OUT --to DIALECT --out DIR --set NAME=VALUE`",
        _table(("setting", "type", "default", "meaning"), _settings("", Options)),
        "## Instructions: the YAML file behind `--instruct` of `miner export`",
        *_model("", Mix),
    ]
    return "\n\n".join(parts) + "\n"


def output() -> str:
    """`docs/output.md`: statuses, reasons, and the files of OUT."""
    reasons = [
        _table(
            (f"`{status}`" if status else "of masks alone", "meaning"),
            ((f"`{name}`", meaning) for name, meaning in words.items()),
        )
        for status, words in REASONS.items()
    ]
    files = [
        f"### `{name}`\n\n"
        + _table(("field", "meaning"), ((f"`{field}`", said) for field, said in fields.items()))
        for name, fields in layout.FIELDS.items()
    ]
    shard = ((f"`{field.name}`", str(field.type)) for field in dataclasses.fields(pack.ShardInfo))
    parts = [
        "# Output reference",
        HEAD,
        "## Statuses",
        "Every caption row of the corpora is in the ledger once, with one of these.",
        _table(("status", "meaning"), ((f"`{s}`", STATUS[s]) for s in STATUSES)),
        "## Reasons",
        "Of caption rows, by status. A mask that was not kept has a reason as well: one of "
        "`no_mask`, one of `rejected`, or one of the last table. What stands behind a colon names "
        "the error, score, flag or stratum.",
        *reasons,
        "## JSON files",
        *files,
        "An entry of `shards` in `shards/manifest.json`:",
        _table(("field", "type"), shard),
        "## Tables",
        "Parquet; a column is null where it is not defined.",
        "### `ledger/samples/{corpus}.parquet`",
        "A row per caption row.",
        _columns(ledger, "SAMPLE_ROWS"),
        "### `ledger/candidates/{corpus}.parquet`",
        "A row per caption and candidate mask. A decoy, which no caption names, is listed with the "
        "first caption of its picture. Segmenters may add scores of their own (`ensemble_iou`, …).",
        _ledger_columns(),
        "### `units/{unit}/samples.parquet`",
        _columns(unit, "SAMPLES", "SAMPLES_ADDED"),
        "### `units/{unit}/images.parquet`",
        _columns(unit, "IMAGES", "IMAGES_ADDED"),
        "### `units/{unit}/candidates.parquet`",
        "And the scores of the candidate ledger, from `geometry_area_fraction` on.",
        _columns(unit, "CANDIDATES", "CANDIDATES_ADDED"),
        "### An entry of `mentions`",
        _columns(unit, "MENTION"),
        "### An entry of `facts`",
        _columns(unit, "FACT"),
        "### An entry of `asks`",
        _columns(unit, "ASK"),
        "### An entry of `strata`",
        _columns(strata, "STRATUM"),
        "### `shards/{split}-{n}.parquet`",
        "The index of a tar: a row per sample.",
        _columns(pack, "INDEX"),
        "## The grounded sample: `{key}.json` in a tar",
        "`shards/sample.schema.json` in every OUT is its JSON Schema, made from the same models.",
    ]
    for model in SAMPLE_MODELS:
        rows = ((name, kind, said) for name, kind, _, said in _settings("", model))
        parts += [
            f"### {model.__name__.removesuffix('Model')}",
            _first(model),
            _table(("field", "type", "meaning"), rows),
        ]
    return "\n\n".join(parts) + "\n"


def _ledger_columns() -> str:
    """Columns of the candidate ledger, as the barrier would write them."""
    added = [pa.field(name, pa.float64()) for name in SCORES]
    candidates = pa.schema([*unit.CANDIDATES, *added, *unit.CANDIDATES_ADDED])
    judged = decide(candidates.empty_table(), FilterConfig())
    meanings = {
        **_comments(unit, "CANDIDATES", "CANDIDATES_ADDED"),
        **_comments(ledger, "CANDIDATE_HEAD"),
        **SCORES,
        **VERDICT,
    }
    return _fields(ledger.candidate_schema(judged.schema), meanings)


PAGES: Mapping[str, Callable[[], str]] = {"configuration.md": configuration, "output.md": output}


def _model(path: str, model: type[pydantic.BaseModel]) -> Iterator[str]:
    """A section's table, then those of the sections inside it."""
    if path:
        yield f"### `{path}`"
    yield _first(model)
    yield _table(("setting", "type", "default", "meaning"), _settings(path, model))
    yield from _inner(path, model)


def _inner(path: str, model: type[pydantic.BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        for suffix, kinds in _sections(field.annotation):
            where = f"{path}.{name}{suffix}" if path else name + suffix
            if len(kinds) == 1:
                yield from _model(where, kinds[0])
            else:
                yield from _union(where, kinds)


def _union(path: str, kinds: list[type[Settings]]) -> Iterator[str]:
    """A table per class of a union of kinds, so that what several share is told once."""
    classes: dict[type[Settings], list[str]] = {}
    for model in kinds:
        tag = typing.get_args(model.model_fields["kind"].annotation)[0]
        for base in reversed(model.__mro__):
            if issubclass(base, Settings) and base is not Settings:
                classes.setdefault(base, []).append(tag)
    yield f"### `{path}`"
    inner: dict[str, None] = {}
    for base, tags in classes.items():
        kind = "kind: " + ", ".join(f"`{tag}`" for tag in tags)
        own = [n for n in inspect.get_annotations(base) if n in base.model_fields and n != "kind"]
        yield f"**{kind}.** {_first(base)}"
        if own:
            rows = [row for n in own for row in _settings(path, base, n)]
            yield _table(("setting", "type", "default", "meaning"), rows)
        # Sections that several kinds have are written once.
        inner.update(dict.fromkeys(_inner(path, base)))
    yield from inner


def _sections(annotation: Any) -> list[tuple[str, list[Any]]]:
    """Models inside an annotation, and what is added to the path on the way to them."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [("", [annotation])]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _sections(args[0])
    inner = [found for arg in args for found in _sections(arg)]
    if origin is tuple or origin is list:
        return [(f".N{suffix}", kinds) for suffix, kinds in inner]
    if origin is dict:
        return [(f".NAME{suffix}", kinds) for suffix, kinds in inner]
    return [("", [k for _, kinds in inner for k in kinds])] if inner else []


def _settings(
    path: str, model: type[pydantic.BaseModel], only: str | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """Path, type, default and meaning of the fields of a model."""
    said = _attributes(model)
    for name, field in model.model_fields.items():
        if only in (None, name):
            where = f"`{path}.{name}`" if path else f"`{name}`"
            yield where, _field_type(field), _default(field), said.get(name, "")


def _attributes(model: type) -> dict[str, str]:
    """Meaning by name, from the `Attributes:` of the docstrings of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        section = re.search(r"^Attributes:\n((?:    .*(?:\n|\Z)|\n)*)", text, re.MULTILINE)
        for name, meaning in re.findall(
            r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE
        ):
            found[name] = " ".join(meaning.split())
    return found


def _first(model: type) -> str:
    """First paragraph of a docstring, in one line."""
    return " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())


def _field_type(field: FieldInfo) -> str:
    signs = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<", MinLen: "at least", MaxLen: "at most"}
    parts = [_type(field.annotation)]
    for limit in field.metadata:
        if type(limit) in signs:
            (bound,) = dataclasses.astuple(limit)
            entries = " entries" if isinstance(limit, MinLen | MaxLen) else ""
            parts.append(f"{signs[type(limit)]} {bound}{entries}")
    return ", ".join(parts)


def _type(annotation: Any) -> str:
    if annotation in NAMES:
        return NAMES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return "section"
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin is typing.Annotated:
        return _type(args[0])
    if origin is dict:
        return f"map of {_type(args[0])} to {_type(args[1])}"
    if origin is tuple and args[-1] is not Ellipsis:
        return f"{len(args)} × {_type(args[0])}"
    if origin in (tuple, list):
        return f"list of {_type(args[0])}".replace("of section", "of sections")
    return " or ".join(dict.fromkeys(_type(arg) for arg in args))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Settings):
        return "below"
    plain = json.dumps(value, default=lambda model: model.model_dump(), ensure_ascii=False)
    return f"`{plain}`"


def _comments(module: types.ModuleType, *schemas: str) -> dict[str, str]:
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


def _columns(module: types.ModuleType, *schemas: str) -> str:
    """Table of the columns of some schemas of a module, one after the other."""
    fields = [field for name in schemas for field in getattr(module, name)]
    return _fields(fields, _comments(module, *schemas))


def _fields(fields: Iterable[pa.Field], meanings: Mapping[str, str]) -> str:
    rows = ((f"`{f.name}`", _arrow_type(f.type), meanings.get(f.name, "")) for f in fields)
    return _table(("column", "type", "meaning"), rows)


def _arrow_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_arrow_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(field.name for field in kind) + "}"
    return str(kind)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
