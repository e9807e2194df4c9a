"""Export a finished run: the dialects by name, and the loop over the shards."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from miner.core.errors import Refused
from miner.core.parts import BUILT_IN, Part, find, kinds
from miner.core.settings import PartSettings
from miner.core.store import Store
from shards.export.folder import ExportedSample, Folder, Place, Sample
from shards.export.portable import portable
from shards.index import read_manifest
from shards.stored import stored
from shards.tar import BLOCK, padding

# Dialects that have a place for masks that did not stand up, or need none.
HOLD_IGNORED = frozenset({"coco", "reasonseg", "lvis", "energon"})

# What people call the consumer, where the dialect has another name.
CALLED = {
    "glamm": "granDf",
    "geojson": "qupath",
    "grit": "kosmos2",
    "lisa": "reasonseg",
    "pixellm": "muse",
    "refer": "refcoco",
}


def dialect(name: str) -> Part:
    """The exporter of a dialect.

    Raises:
        Refused: there is none; the message names the nearest.
    """
    dialects = kinds("exporters")
    if name in dialects:
        return find("exporters", name)
    lowered = {known.lower(): known for known in dialects} | CALLED
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.3)
    hint = f"did you mean {lowered[near[0]]}? " if near else ""
    raise Refused(f"--to {name}: unknown dialect; {hint}there are {', '.join(dialects)}")


def samples(store: Store, splits: Sequence[str] | None = None) -> Iterator[Sample]:
    """All samples of a run in the order of its shards, one at a time."""
    for split in splits or sorted({e["split"] for e in read_manifest(store)["shards"]}):
        for one in stored(store, split):
            start, end = extent(one.row)
            place = Place(store, one.shard, start, end)
            yield Sample(ExportedSample(**one.value), one.image(), one.format, split, place)


def published(source: Iterable[Sample]) -> Iterator[Sample]:
    """Those samples whose caption was published as it is."""
    return (sample for sample in source if not sample.value.get("generated"))


def extent(row: Mapping[str, Any]) -> tuple[int, int]:
    """Where the first header of a sample begins in its tar, and where its last member ends.

    Args:
        row: of the index: offset and size of image, JSON and `members`.
    """
    parts = [(row["image_offset"], row["image_size"]), (row["json_offset"], row["json_size"])]
    parts += [(m["offset"], m["size"]) for m in row["members"]]
    offset, size = max(parts)
    return min(parts)[0] - BLOCK, offset + size + len(padding(size))


@dataclasses.dataclass
class Exported:
    """What an export came to.

    Attributes:
        samples: samples that were given.
        written: those of which something was written.
        losses: how often what was lost, by reason.
        exchanges: of the dialogues that were written, by task.
        notes: what a user must know before training on it.
    """

    samples: int = 0
    written: int = 0
    losses: Counter[str] = dataclasses.field(default_factory=Counter)
    exchanges: Counter[str] = dataclasses.field(default_factory=Counter)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def shares(self) -> str:
        """The share of each task among the exchanges, most first: "15.1% refuse, …"."""
        total = self.exchanges.total()
        return ", ".join(f"{n / total:.1%} {name}" for name, n in self.exchanges.most_common())


def export(
    source: Iterable[Sample], to: str, out: str | os.PathLike[str], options: PartSettings
) -> Exported:
    """Write an export; it appears whole or not at all.

    Args:
        source: samples, as `samples` yields them.
        to: name of the dialect.
        out: folder that does not exist yet.
        options: settings of the dialect.

    Raises:
        Refused: unknown dialect, or the folder is not empty.
    """
    write = dialect(to).build(options, 1)
    with Folder(out) as folder:
        done = Exported(losses=folder.losses, notes=folder.notes)
        loses = to in BUILT_IN["exporters"] and to not in HOLD_IGNORED
        write(_counted(portable(source, folder), folder, done, loses), folder)
        if folder.generated:
            folder.say(
                f"the texts of {folder.generated:,} samples are generated, from the character on "
                "that GENERATED.jsonl says; --published leaves these samples out"
            )
    return done


def _counted(
    source: Iterable[Sample], folder: Folder, done: Exported, loses: bool
) -> Iterator[Sample]:
    """Count samples on their way; a dialect puts a sample's picture before it takes the next.

    Args:
        source: the samples.
        folder: of the export.
        done: what is counted.
        loses: whether the dialect has no place for ignored areas.
    """
    last = ""
    for sample in source:
        before = folder.files
        if sample.key != last:  # dialogues of a sample share its picture
            folder.name_picture(sample.value)
        last = sample.key
        for one in sample.value.get("ignored", ()) if loses else ():
            why = "areas of which nothing should be learned have no place in it"
            folder.lose(sample.key, one["concept"], why, "dropped")
        start = sample.value.get("generated_from")
        if start is not None and sample.value["caption"]:
            folder.mark(sample.key, start)
        yield sample
        done.samples += 1
        if folder.files > before:
            done.written += 1
            done.exchanges.update(sample.value.get("tasks", ()))
