"""Parts: readers, segmenters and what else is chosen by its `kind`, ours or of another package.

A part is one module with its `Settings`, its class and a `Part` that joins them. Those that ship
stand in `BUILT_IN`; another package offers its own as entry points:

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
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from miner.core.errors import Refused
from miner.core.settings import PartSettings

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    # Readers are asked in this order whether they know a folder.
    "corpora": {
        "quilt": "miner.corpora.quilt:PART",
        "pathcap": "miner.corpora.pathcap:PART",
        "pathgen": "miner.corpora.pathgen:PART",
        "arch": "miner.corpora.arch:PART",
        "conversations": "miner.corpora.turned:PARTS",
        "vqa": "miner.corpora.turned:PARTS",
        "pannuke": "miner.corpora.expert.sets:PARTS",
        "lizard": "miner.corpora.expert.sets:PARTS",
        "consep": "miner.corpora.expert.sets:PARTS",
        "monuseg": "miner.corpora.expert.sets:PARTS",
        "monusac": "miner.corpora.expert.sets:PARTS",
        "nucls": "miner.corpora.expert.sets:PARTS",
        "panoptils": "miner.corpora.expert.sets:PARTS",
        "segpath": "miner.corpora.expert.sets:PARTS",
        "bcss": "miner.corpora.expert.sets:PARTS",
        "glas": "miner.corpora.expert.sets:PARTS",
        "tnbc": "miner.corpora.expert.sets:PARTS",
        "expert": "miner.corpora.expert.sets:PARTS",
        "webdataset": "miner.corpora.webdataset:PART",
        "hf": "miner.corpora.hf:PART",
        "table": "miner.corpora.table:PART",
        "pairs": "miner.corpora.pairs:PART",
    },
    "segmenters": {
        "embedded": "segmenters.embedded:PART",
        "stain": "segmenters.stain.segmenter:PART",
        "unet": "segmenters.unet.segmenter:PART",
        "biomedparse": "segmenters.biomedparse.segmenter:PART",
        "clipseg": "segmenters.clipseg:PART",
        "sam3": "segmenters.sam:PART",
        "grounding_dino": "segmenters.grounding_dino:PART",
        "exported": "segmenters.exported:PART",
        "mask-files": "segmenters.mask_files:PART",
        "expert": "segmenters.expert:PART",
        "service": "segmenters.service.segmenter:PART",
    },
    # Scores that are always measured are no parts: see `filters.scores`.
    "scores": {},
    "exporters": {
        "granDf": "shards.export.grandf:PARTS",
        "sa2va": "shards.export.referring:PARTS",
        "sa2va-gcg": "shards.export.grandf:PARTS",
        "xsam": "shards.export.grandf:PARTS",
        "kosmos2": "shards.export.boxed:PARTS",
        "muse": "shards.export.referring:PARTS",
        "llava": "shards.export.boxed:PARTS",
        "refcoco": "shards.export.referring:PARTS",
        "qwen": "shards.export.boxed:PARTS",
        "biomedparse": "shards.export.people:PARTS",
        "coco": "shards.export.people:PARTS",
        "qupath": "shards.export.qupath:PARTS",
        "sam3": "shards.export.sam3:PARTS",
        "lvis": "shards.export.lvis:PARTS",
        "ms-swift": "shards.export.swift:PARTS",
        "llamafactory": "shards.export.swift:PARTS",
        "reasonseg": "shards.export.reasoning:PARTS",
        "segzero": "shards.export.reasoning:PARTS",
        "vgd": "shards.export.prompted:PARTS",
        "sa2va-vp": "shards.export.prompted:PARTS",
        "glamm-regions": "shards.export.prompted:PARTS",
        "medplib": "shards.export.prompted:PARTS",
        "paligemma": "shards.export.prompted:PARTS",
        "molmo": "shards.export.points:PARTS",
        "energon": "shards.export.energon:PARTS",
        "fiftyone": "shards.export.fiftyone:PARTS",
    },
    "tasks": {
        "segment": "shards.instruct.tasks:PARTS",
        "count": "shards.instruct.tasks:PARTS",
        "locate": "shards.instruct.tasks:PARTS",
        "describe": "shards.instruct.tasks:PARTS",
        "compare": "shards.instruct.tasks:PARTS",
        "present": "shards.instruct.tasks:PARTS",
        "absent": "shards.instruct.tasks:PARTS",
        "prompted": "shards.instruct.tasks:PARTS",
        "refuse": "shards.instruct.tasks:PARTS",
    },
}


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
    """

    kind: str
    Settings: type[PartSettings]
    build: Callable[[Any, int], Any]
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    title: str = ""
    cite: str = ""
    without: str = ""


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
