"""What a configuration is, whatever its files are called: the content of every file it names."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
from pydantic_core import to_jsonable_python

from miner.core.errors import Refused
from miner.core.settings import SHIPPED, Files, Settings
from miner.core.shown import all_masked

Place = tuple[str | int, ...]
FILE = "sha256:"  # what the content of files begins with, in an identity


def sections(settings: Settings, at: Place = ()) -> Iterator[tuple[Place, Settings]]:
    """The settings and all those inside them that can change the outcome, with their places."""
    yield at, settings
    for name, value in settings:
        if name not in settings.incidental():
            yield from _inside(value, (*at, name))


def _inside(value: Any, at: Place) -> Iterator[tuple[Place, Settings]]:
    if isinstance(value, Settings):
        yield from sections(value, at)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _inside(one, (*at, number))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _inside(one, (*at, str(name)))


def contents(settings: Settings) -> dict[str, str]:
    """`sha256:…` of the files that every setting stands for, by its path.

    Raises:
        Refused: a file cannot be read.
    """
    return {
        ".".join(map(str, (*at, name))): digest(files, ".".join(map(str, (*at, name))))
        for at, section in sections(settings)
        for name, files in section.files().items()
        if files
    }


def identity(settings: Settings) -> dict[str, Any]:
    """What makes two configurations the same: settings, with files by their content.

    A setting that stands for the same bytes as what ships is as good as that, and an address is the
    same with another password.

    Raises:
        Refused: a file cannot be read.
    """
    plain = all_masked(settings.model_dump(mode="json"))
    for at, section in sections(settings):
        here: Any = plain
        for step in at:
            here = here[step]
        for name in section.incidental():
            here.pop(name, None)
        for name, files in section.files().items():
            field = type(section).model_fields.get(name)
            if field is None or not files or getattr(section, name) == field.default:
                continue
            where = ".".join(map(str, (*at, name)))
            said = digest(files, where)
            if field.default == SHIPPED:
                usual = section.model_copy(update={name: SHIPPED}).files().get(name)
                said = SHIPPED if usual and digest(usual, where) == said else said
            here[name] = said
    return plain


def completed(before: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The identity of a run of an earlier version, with the defaults of settings since then.

    Args:
        before: identity as that version made it.
        settings: what it is compared with; of lists with entries at the same places.

    Raises:
        Refused: a file cannot be read.
    """
    found, now = copy.deepcopy(dict(before)), identity(settings)
    for place, section in sections(settings):
        there, here = value_at(found, place), value_at(now, place)
        if not isinstance(there, dict) or not isinstance(here, dict):
            continue
        for name, field in type(section).model_fields.items():
            if name in there or name not in here or field.is_required():
                continue
            usual = field.get_default(call_default_factory=True)
            there[name] = here[name] if getattr(section, name) == usual else _plain(usual)
    return found


def value_at(value: Any, place: Sequence[str | int]) -> Any:
    """What stands at a place of plain settings, None where there is none."""
    for step in place:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _plain(default: Any) -> Any:
    return identity(default) if isinstance(default, Settings) else to_jsonable_python(default)


def digest(files: Files, where: str) -> str:
    """`sha256:…` of some files: of one its own, of several that of their names and digests.

    Args:
        files: path by name.
        where: the setting that names them, for messages.

    Raises:
        Refused: one cannot be read.
    """
    found = {name: _sha256(path, where) for name, path in sorted(files.items())}
    one = found.get("") if len(found) == 1 else None
    return FILE + (one or hashlib.sha256(json.dumps(found).encode()).hexdigest())


def _sha256(path: str, where: str) -> str:
    try:
        fs, name = fsspec.core.url_to_fs(path)
        about = fs.info(name)
        return _hashed(path, json.dumps({k: str(v) for k, v in sorted(about.items())}))
    except FileNotFoundError:
        raise Refused(f"{where}: {path} is not there") from None
    except (OSError, ValueError) as error:
        raise Refused(f"{where}: {path}: {error}") from None


@functools.lru_cache(maxsize=4096)
def _hashed(path: str, state: str) -> str:
    """sha256 of a file; `state` is its size and times, so that it is read again when it changed."""
    with fsspec.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
