"""Pydantic models and TypedDicts as Markdown: their fields with type, default and meaning."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict

from miner.core import parts
from miner.core.chosen import In
from miner.core.settings import PartSettings, Settings
from miner.reference.markdown import table

NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    types.NoneType: "null",
}


def sections(path: str, model: type[pydantic.BaseModel]) -> Iterator[str]:
    """A section's table, then those of the sections inside it."""
    if path:
        yield f"### `{path}`"
    yield summary(model)
    yield table(("setting", "type", "default", "meaning"), fields(path, model))
    yield from _inner(path, model)


def _inner(path: str, model: type[pydantic.BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        for suffix, kinds in _inside(field.annotation):
            if not kinds:  # a group of which no part is there
                continue
            where = f"{path}.{name}{suffix}" if path else name + suffix
            if len(kinds) == 1:
                yield from sections(where, kinds[0])
            else:
                yield from _union(where, kinds)


def _union(path: str, kinds: list[type[Settings]]) -> Iterator[str]:
    """A table per class of a union of kinds, so that what several share is told once."""
    classes: dict[type[Settings], list[str]] = {}
    for model in kinds:
        tag = typing.get_args(model.model_fields["kind"].annotation)[0]
        for base in reversed(model.__mro__):
            if issubclass(base, Settings) and base not in (Settings, PartSettings):
                classes.setdefault(base, []).append(tag)
    yield f"### `{path}`"
    inner: dict[str, None] = {}
    for base, tags in classes.items():
        kind = "kind: " + ", ".join(f"`{tag}`" for tag in tags)
        own = [n for n in inspect.get_annotations(base) if n in base.model_fields and n != "kind"]
        yield f"**{kind}.** {summary(base)}"
        if own:
            rows = [row for n in own for row in fields(path, base, n)]
            yield table(("setting", "type", "default", "meaning"), rows)
        # Sections that several kinds have are written once.
        inner.update(dict.fromkeys(_inner(path, base)))
    yield from inner


def _inside(annotation: Any) -> list[tuple[str, list[Any]]]:
    """Models inside an annotation, and what is added to the path on the way to them."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [("", [annotation])]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        group = next((a.group for a in args if isinstance(a, In)), None)
        if group is not None:
            return [("", [parts.find(group, kind).Settings for kind in parts.kinds(group)])]
        return _inside(args[0])
    inner = [found for arg in args for found in _inside(arg)]
    if origin is tuple or origin is list:
        return [(f".N{suffix}", kinds) for suffix, kinds in inner]
    if origin is dict:
        return [(f".NAME{suffix}", kinds) for suffix, kinds in inner]
    return [("", [k for _, kinds in inner for k in kinds])] if inner else []


def fields(path: str, model: type, only: str | None = None) -> Iterator[tuple[str, str, str, str]]:
    """Path, type, default and meaning of the fields of a model or of a TypedDict."""
    said = attributes(model)
    for name, field in _fields(model).items():
        if only in (None, name):
            where = f"`{path}.{name}`" if path else f"`{name}`"
            yield where, _field_type(field), _default(field), said.get(name, "")


def _fields(model: type) -> Mapping[str, FieldInfo]:
    if issubclass(model, pydantic.BaseModel):
        return model.model_fields
    hints = typing.get_type_hints(model, include_extras=True)
    bare = {
        n: h.__args__[0] if typing.get_origin(h) is typing.NotRequired else h
        for n, h in hints.items()
    }
    return {name: FieldInfo.from_annotation(hint) for name, hint in bare.items()}


def attributes(model: type) -> dict[str, str]:
    """Meaning by name, from the `Attributes:` of the docstrings of a class and its bases."""
    found: dict[str, str] = {}
    # What a TypedDict inherits from is not in its __mro__.
    for base in filter(is_typeddict, getattr(model, "__orig_bases__", ())):
        found |= attributes(base)
    for base in reversed(model.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        section = re.search(r"^Attributes:\n((?:    .*(?:\n|\Z)|\n)*)", text, re.MULTILINE)
        for name, meaning in re.findall(
            r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE
        ):
            found[name] = " ".join(meaning.split())
    return found


def summary(model: type) -> str:
    """First paragraph of a docstring, in one line."""
    return " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())


def _field_type(field: FieldInfo) -> str:
    signs = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<", MinLen: "at least", MaxLen: "at most"}
    said = [_type(field.annotation)]
    for limit in field.metadata:
        if type(limit) in signs:
            (bound,) = dataclasses.astuple(limit)
            entries = " entries" if isinstance(limit, MinLen | MaxLen) else ""
            said.append(f"{signs[type(limit)]} {bound}{entries}")
    return ", ".join(said)


def _type(annotation: Any) -> str:
    if annotation in NAMES:
        return NAMES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel | dict):
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
