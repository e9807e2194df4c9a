"""From a YAML file and the changes of the command line to a checked configuration."""

from __future__ import annotations

import difflib
import importlib.resources
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from miner.config import Config
from miner.errors import Refused


def load_config(
    path: str,
    sets: Sequence[str] = (),
    corpora: Sequence[str] = (),
    out: str | None = None,
    workers: int | None = None,
) -> Config:
    """Read a configuration.

    Args:
        path: YAML file; `configs/NAME.yaml` is also found among those that ship with the package.
        sets: `a.b=c` changes, the value in YAML; numbers index lists.
        corpora: `KIND=PATH` entries that replace the list of corpora.
        out: replaces `out`.
        workers: replaces `runner.workers`.

    Raises:
        Refused: the file is missing or not YAML, or a field is wrong.
    """
    value = _read_yaml(path)
    if corpora:
        value["corpora"] = [_corpus(entry) for entry in corpora]
    apply_sets(value, sets)
    if out is not None:
        value["out"] = out
    if workers is not None:
        value.setdefault("runner", {})["workers"] = workers
    return check_config(value, path)


def apply_sets(value: dict[str, Any], sets: Sequence[str]) -> None:
    """Apply `a.b=c` changes, in order, to a plain configuration; raises `Refused`."""
    for change in sets:
        _apply(value, change)


def check_config(value: Any, where: str) -> Config:
    """Turn a plain dict into a `Config`; raises `Refused` naming `where` and the field."""
    try:
        return Config.model_validate(value)
    except pydantic.ValidationError as error:
        raise Refused(f"{where}: {_explain(error)}") from None


def _read_yaml(path: str) -> dict[str, Any]:
    file = Path(path)
    source = file if file.exists() else importlib.resources.files("configs") / file.name
    try:
        value = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(f"{path}: no such configuration file") from None
    except IsADirectoryError:
        raise Refused(f"{path}: is a folder, not a configuration file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise Refused(f"{path}: expected a mapping of settings, found {type(value).__name__}")
    return value


def _corpus(entry: str) -> dict[str, Any]:
    kind, equals, path = entry.partition("=")
    if not equals or not kind or not path:
        raise Refused(f"--corpus {entry}: expected KIND=PATH")
    return {"kind": kind, "path": path}


def _apply(value: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    if not equals:
        raise Refused(f"--set {change}: expected a.b=c")
    *parents, last = name.split(".")
    at: Any = value
    for part in parents:
        if isinstance(at, list):
            at = at[_index(at, part, change)]
            continue
        at[part] = {} if at.get(part) is None else at[part]
        at = at[part]
        if not isinstance(at, dict | list):
            raise Refused(f"--set {change}: {part} is not a section")
    try:
        new = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Refused(f"--set {change}: the value is not YAML") from None
    if isinstance(at, list):
        at[_index(at, last, change)] = new
    else:
        at[last] = new
    # One way of stating the quality replaces the other.
    rivals = {"filters.precision": "fdr", "filters.fdr": "precision"}
    if name in rivals and isinstance(at, dict):
        at.pop(rivals[name], None)


def _index(at: list[Any], part: str, change: str) -> int:
    if not part.isdigit() or int(part) >= len(at):
        raise Refused(f"--set {change}: {part} is not an index below {len(at)}")
    return int(part)


def _explain(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "configuration"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = sorted(_fields(Config, first["loc"][:-1]))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        return f"{where}: unknown setting; {hint}{more}"
    if first["type"] == "union_tag_invalid":
        kinds = first["ctx"]["expected_tags"].replace("'", "")
        return f"{where}: no kind {first['ctx']['tag']!r}; known: {kinds}"
    given = first["input"]
    got = f", got {given!r}" if isinstance(given, bool | int | float) else ""
    return f"{where}: {first['msg']}{got}{more}"


def _fields(annotation: Any, location: Sequence[Any]) -> set[str]:
    """Names of the settings at `location`, followed through containers and unions."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if not location:
            return set(annotation.model_fields)
        head, *rest = location
        if head in annotation.model_fields:
            return _fields(annotation.model_fields[head].annotation, rest)
        # A discriminated union puts its tag into the location.
        kind = annotation.model_fields.get("kind")
        tags = typing.get_args(kind.annotation) if kind else ()
        return _fields(annotation, rest) if head in tags else set()
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return set().union(*(_fields(a, location) for a in typing.get_args(annotation)))
    if typing.get_origin(annotation) in (tuple, list, dict) and location:
        return set().union(*(_fields(a, location[1:]) for a in typing.get_args(annotation)))
    return set()
