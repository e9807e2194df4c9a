"""Pictures of finished runs: what is mined now is no copy of what they wrote.

Nothing is embedded anew: their units hold hashes, thumbnails and embeddings. A picture of theirs
always stays, and is called `NAME:image_id`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.config import AgainstConfig
from miner.barrier.outcomes import pictures_of
from miner.barrier.parts import Part, parts
from miner.barrier.pieces import Piece, Place, read_piece
from miner.commits import marks
from miner.config import Config
from miner.core.errors import Refused
from miner.core.layout import FINISHED, MANIFEST, RUN
from miner.core.store import Store

_LEDGER = ["sample_id", "status", "group", "split"]
_PLACED = pa.schema([(name, pa.string()) for name in ("image_id", "group", "split")])


@dataclasses.dataclass(frozen=True)
class Finished:
    """A part of a finished run.

    Attributes:
        entry: which run.
        part: of it.
    """

    entry: AgainstConfig
    part: Part


def digest(config: Config) -> list[str]:
    """What the pictures of the finished runs depend on: what each of them was made of.

    Raises:
        Refused: one is not there or not finished, embedded by another model, or has other splits.
    """
    return [_checked(config, number) for number in range(len(config.dedupe.against))]


def _checked(config: Config, number: int) -> str:
    entry = config.dedupe.against[number]
    store, field = _store(entry), f"dedupe.against.{number}.path: {entry.path}"
    if not all(store.exists(name) for name in (RUN, FINISHED, MANIFEST)):
        raise Refused(f"{field}: no finished run; nothing can be compared with it")
    theirs = store.read_json(RUN, ["config"])["config"]
    for setting in ("dedupe.model", "seed", "shards.splits"):
        value: Any = theirs
        mine: Any = config.model_dump(mode="json")
        for name in setting.split("."):
            value, mine = value.get(name), mine[name]
        if value != mine:
            raise Refused(f"{field}: its {setting} is {value}, that of this run {mine}")
    return str(store.read_json(FINISHED, ["digest"])["digest"])


def finished(config: Config) -> dict[str, Finished]:
    """Tasks of `shown`, by name, over the parts of all finished runs."""
    return {
        f"{number:03d}-{part.name}": Finished(entry, part)
        for number, entry in enumerate(config.dedupe.against)
        for part in parts(marks(_store(entry)))
    }


def shown(place: Place, given: Finished) -> dict[str, Any]:
    """Write what is compared of the pictures that a part of a finished run wrote.

    Returns:
        Pieces `pictures`, `thumbs`, `vectors` and number `dims`, see `miner.barrier.outcomes`;
        `placed`: image_id, group and split of each.

    Raises:
        Refused: its ledger is not that of its units.
    """
    store, part = _store(given.entry), given.part
    samples = part.samples(store, ["sample_id", "image_id"])
    name = f"ledger/samples/{part.corpus}-{part.number:06d}.parquet"
    told = store.read_table(name, columns=_LEDGER) if store.exists(name) else None
    if told is None or told["sample_id"].to_pylist() != samples["sample_id"].to_pylist():
        raise Refused(f"{store.shown(name)}: not the ledger of the units beside it")
    written = pc.equal(told["status"], "written")
    wanted = pc.unique(samples["image_id"].filter(written))
    found = pictures_of(store, part, samples["image_id"], wanted)
    places = pa.table(
        {
            "image_id": _named(given.entry, samples["image_id"].filter(written)),
            **{name: told[name].filter(written) for name in ("group", "split")},
        }
    ).cast(_PLACED)
    names = found.names.set_column(0, "image_id", _named(given.entry, found.names["image_id"]))
    pictures = dataclasses.replace(found, names=names)
    return {
        "pictures": place.write(pictures.table(), "pictures"),
        "thumbs": place.write_bytes(pictures.thumbs.tobytes(), "thumbs"),
        "vectors": place.write_bytes(pictures.vectors.tobytes(), "vectors"),
        "dims": pictures.vectors.shape[1],
        "placed": place.write(places, "placed"),
    }


@dataclasses.dataclass(frozen=True)
class Standing:
    """Pictures of finished runs.

    Attributes:
        image_ids: their names, each once.
        splits: split of every group that they wrote.
        families: split of each picture.
    """

    image_ids: Sequence[str]
    splits: Mapping[str, str]
    families: Mapping[str, str]


def standing(store: Store, placed: Sequence[Piece]) -> Standing:
    """What the `placed` pieces of `shown` say."""
    splits: dict[str, str] = {}
    families: dict[str, str] = {}
    for piece in placed:
        for image_id, group, split in zip(*read_piece(store, piece).columns, strict=True):
            families.setdefault(image_id.as_py(), split.as_py())
            splits.setdefault(group.as_py(), split.as_py())
    return Standing([*families], splits, families)


def _store(entry: AgainstConfig) -> Store:
    """The run; workers may have another working folder."""
    return Store(entry.path if "://" in entry.path else os.path.abspath(entry.path))


def _named(entry: AgainstConfig, image_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(entry.name, image_ids, ":")
