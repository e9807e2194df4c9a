"""Settings from YAML and `--set`; what is wrong with them is one line that names the field."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from miner.core.chosen import In
from miner.core.errors import Refused
from miner.core.parts import find
from miner.core.plain_yaml import BadYaml, load_yaml
from miner.core.rooms import CONFIGS
from miner.core.settings import Settings

Model = TypeVar("Model", bound=Settings)


def read_yaml(path: str) -> dict[str, Any]:
    """Settings of a file, or of one of that name among those in `configs/` beside `miner`.

    Raises:
        Refused: it is missing, not YAML or no mapping.
    """
    file = Path(path)
    source = file if file.exists() else CONFIGS / file.name
    try:
        value = load_yaml(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(f"{path}: no such configuration file{_like(file)}") from None
    except IsADirectoryError:
        raise Refused(f"{path}: is a folder, not a configuration file") from None
    except (BadYaml, UnicodeDecodeError) as error:
        raise Refused(f"{path}: not YAML: {error}") from None
    if not isinstance(value, dict):
        raise Refused(f"{path}: expected a mapping of settings, found {type(value).__name__}")
    return value


def _like(file: Path) -> str:
    """The configuration that somebody may have meant, beside the file or among those that ship."""
    beside = sorted(file.parent.glob("*.y*ml")) if file.parent.is_dir() else []
    known = {one.name: one.name for one in CONFIGS.glob("*.yaml")}
    known |= {one.name: str(one) for one in beside}
    near = difflib.get_close_matches(file.name, known, n=1, cutoff=0.8)
    return f"; did you mean {known[near[0]]}?" if near else ""


def apply_set(value: dict[str, Any], change: str) -> None:
    """Apply one `a.b=c` change to plain settings; c is YAML; numbers or names index lists.

    Raises:
        Refused: it is none, or there is no such section or index.
    """
    name, equals, text = change.partition("=")
    if not equals:
        raise Refused(f"--set {change}: expected SETTING=VALUE")
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
        new = load_yaml(text)
    except BadYaml as error:
        raise Refused(f"--set {change}: the value is not YAML: {error}") from None
    if isinstance(at, list):
        at[_index(at, last, change)] = new
    else:
        at[last] = new


def check(model: type[Model], value: Any, head: str) -> Model:
    """Turn plain settings into a model.

    Args:
        model: what they should be.
        value: the settings.
        head: what a message begins with: where they come from.

    Raises:
        Refused: a setting is unknown or wrong.
    """
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        raise Refused(head + _explain(error, model)) from None


def _index(at: list[Any], part: str, change: str) -> int:
    """Position in a list: by number, or by the name (else the kind) of an entry."""
    names = [str(o.get("name") or o.get("kind")) if isinstance(o, dict) else "" for o in at]
    if names.count(part) == 1:
        return names.index(part)
    if not part.isdigit() or int(part) >= len(at):
        there = f" ({', '.join(filter(None, names))})" if any(names) else ""
        raise Refused(
            f"--set {change}: {part} is not an index below {len(at)}, nor one's name{there}"
        )
    return int(part)


def _explain(error: pydantic.ValidationError, model: type[Settings]) -> str:
    # A list whose entries are wrong is also said to be short of them.
    found = error.errors(include_url=False)
    found = [e for e in found if e["type"] != "too_short"] or found
    first, *others = found
    where = _place(first)
    more = f" (wrong, too: {', '.join(map(_place, others))})" if others else ""
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = sorted(_fields(model, first["loc"][:-1]))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        return f"{where}: unknown setting; {hint}{more}"
    given = first["input"]
    got = f", got {given!r}" if isinstance(given, bool | int | float) else ""
    if isinstance(given, bool) and first["type"] == "string_type":
        got = f", got {given!r}: what YAML reads as true or false needs quotes"
    said = first["msg"].removeprefix("Value error, ")  # of pydantic, before what a check says
    return f"{where}: {said}{got}{more}"


def _place(error: Mapping[str, Any]) -> str:
    return ".".join(map(str, error["loc"])) or "configuration"


def _fields(annotation: Any, location: Sequence[Any]) -> set[str]:
    """Names of the settings at `location`, followed through containers and unions."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if not location:
            return set(annotation.model_fields)
        head, *rest = location
        if head in annotation.model_fields:
            return _fields(annotation.model_fields[head].annotation, rest)
        return set()
    group = next((a for a in typing.get_args(annotation) if isinstance(a, In)), None)
    if group is not None:  # the kind stands in the location, before the setting
        return _fields(find(group.group, location[0]).Settings, location[1:])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return set().union(*(_fields(a, location) for a in typing.get_args(annotation)))
    if typing.get_origin(annotation) in (tuple, list, dict) and location:
        return set().union(*(_fields(a, location[1:]) for a in typing.get_args(annotation)))
    return set()
