"""Parts: readers, segmenters and what else is chosen by its `kind`, ours or of another package.

A part is one module with its `Settings`, its class and a `Part` that joins them. Those that ship
stand in `miner.core.built_in`; another package offers its own as entry points:

    [project.entry-points."histomine.segmenters"]
    brown = "brown_segmenter:PART"

A module of several small parts has them in a mapping by kind, and all entries name that. Nothing is
imported before its kind is asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from miner.core.built_in import BUILT_IN
from miner.core.errors import Refused
from miner.core.settings import PartSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One choice in a group.

    Attributes:
        kind: its name in the configuration.
        Settings: its settings; their field `kind` takes this name alone.
        build: makes it of its settings and the number of threads that its libraries may use.
        columns: scores that it adds to candidate masks, and what each means.
        title: what people call it, where that is not the kind.
        cite: how its authors ask to be cited.
        without: what to set to get it, told by the report of a run without it; nothing when empty.
        dialogues: of an exporter, whether it has a place for dialogues (`miner export --instruct`).
        options: of an exporter, those of its settings that it reads; None means all.
    """

    kind: str
    Settings: type[PartSettings]
    build: Callable[[Any, int], Any]
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    title: str = ""
    cite: str = ""
    without: str = ""
    dialogues: bool = True
    options: Collection[str] | None = None


def kinds(group: str) -> list[str]:
    """Names of all parts of a group: those that ship, then those of other packages, sorted."""
    return [*BUILT_IN[group], *(kind for kind in offers(group) if kind not in BUILT_IN[group])]


def offers(group: str) -> dict[str, str]:
    """Names of the parts of other packages, and the distribution of each."""
    theirs = _offered(group, tuple(sys.path))
    return {entry.name: _distribution(entry) for entry in sorted(theirs, key=lambda e: e.name)}


def find(group: str, kind: str) -> Part:
    """A part by its name.

    Args:
        group: key of `BUILT_IN`.
        kind: its name in the configuration.

    Raises:
        Refused: there is none, or what another package offers under this name cannot be used.
    """
    return _found(group, kind, tuple(sys.path))


@functools.cache
def _offered(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What other packages offer; `path` is where they are looked for."""
    return tuple(entry_points(group=f"histomine.{group}"))


@functools.cache
def _found(group: str, kind: str, path: tuple[str, ...]) -> Part:
    theirs = [entry for entry in _offered(group, path) if entry.name == kind]
    if kind in BUILT_IN[group]:
        if theirs:
            raise Refused(f"{_whose(theirs[0])} takes the name of a part that ships; remove it")
        return _part(EntryPoint(kind, BUILT_IN[group][kind], group))
    if not theirs:
        known = kinds(group)
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise Refused(f"no kind {kind!r}; {hint}known: {', '.join(known)}")
    if len(theirs) > 1:
        raise Refused(f"{_whose(theirs[0])} is also {_whose(theirs[1])}; remove one of the two")
    try:
        part = _part(theirs[0])
    except Exception as error:  # whatever somebody else's module raises
        reason = " ".join(str(error).split())
        raise Refused(
            f"{_whose(theirs[0])} does not import: {type(error).__name__}: {reason}"
        ) from error
    if not isinstance(part, Part) or part.kind != kind:
        raise Refused(f"{_whose(theirs[0])} is no miner.core.parts.Part of kind {kind!r}")
    return part


def _part(entry: EntryPoint) -> Any:
    """What an entry names, which should be a part, or a mapping that has it."""
    named = entry.load()
    return named.get(entry.name) if isinstance(named, Mapping) else named


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"


def _whose(entry: EntryPoint) -> str:
    """An offer and the distribution that makes it."""
    group = entry.group.removeprefix("histomine.")
    return f"{_distribution(entry)}: its entry {entry.name!r} in {group} ({entry.value})"
