"""Verdicts of a part, what they make of its caption rows, and the pictures that may be written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.completeness import add_extent
from filters.decide import Judged, verdicts
from filters.dedupe.sketch import wholes
from filters.dedupe.thumbnail import SIDE
from filters.scores import EXTENT, VERDICT
from miner.barrier.parts import Part
from miner.barrier.pieces import Piece, Place, read_piece
from miner.barrier.sampling import dimensions, stratum_values
from miner.barrier.verdicts import row_states
from miner.commits import read_table
from miner.config import Config
from miner.core.errors import Refused
from miner.core.store import Store
from ner.strata import COLUMNS

TOLD = [
    "sample_id",
    "corpus",
    "row",
    "image",
    "image_id",
    "group",
    "mentions",
    "strata",
    "notes",
    "status",
]
CANDIDATES = ["image_id", "concept", "area_px", "reason"]
SAMPLES = ["sample_id", "image", "image_id", "group", "status", "reason", "mentions"]
PICTURES = ["image_id", "data_bytes", "sha256", "pixel_hash", "embedding", "thumbnail"]
_SPEAKS = ("caption", "license", "generated_from")
_TEXT = pa.dictionary(pa.int32(), pa.string())

# Bytes of a sample beside its picture and its masks, about; tars are cut by them.
_SAMPLE, _MENTION, _REGION = 3072, 220, 1400


@dataclasses.dataclass(frozen=True)
class Stated:
    """What `outcomes` is given.

    Attributes:
        part: which rows.
        judged: piece of `rates.judged`.
        light: likewise.
        q: piece of `rates.rates`.
        accepted_from: of the run.
        config: of the run.
    """

    part: Part
    judged: Piece
    light: Piece
    q: Piece
    accepted_from: float | None
    config: Config


def outcomes(place: Place, given: Stated) -> dict[str, Any]:
    """Write what became of the candidates and caption rows of a part.

    Returns:
        Pieces: `verdicts`, the columns of `filters.scores.VERDICT` and `EXTENT` by candidate;
        `rows`, by caption row: sample_id, image, image_id, group, status, reason, kept (candidates
        of the part), score, size (bytes in a tar, about), what caps are by, and where captions are
        compared or ride along caption (null where it was composed) and license; `pictures`, those
        of rows that may be written, with `thumbs` and `vectors`: see `Pictures`; `told`, what the
        ledger says of the rows.
    """
    store, part, config = place.store, given.part, given.config
    judged = Judged.from_table(read_piece(store, given.judged))
    q = read_piece(store, given.q)["q"].to_numpy()
    lowest = float("inf") if given.accepted_from is None else given.accepted_from
    candidates = read_piece(store, given.light)
    light = verdicts(candidates, judged, q, lowest, config.filters)
    light = add_extent(light, config.filters)
    rewrite = config.shards.rewrite
    said = [*SAMPLES, *(["turns"] if rewrite else [])]
    strata = COLUMNS if dimensions(config.sampling) else ()
    speaks = _SPEAKS if config.dedupe.caption or config.shards.also_captions else ()
    samples = part.samples(store, list(dict.fromkeys([*said, *TOLD, *strata, *speaks])))
    light_samples = _light_mentions(samples)
    answers = [*CANDIDATES, "keep", "score", *(["roles"] if rewrite else [])]
    found = row_states(
        light_samples.select(said).to_pylist(),
        light.select(answers).to_pylist(),
        config.shards.keep_negatives,
        rewrite,
    )
    have = samples.column_names
    kept = pa.array([state.kept for state in found], pa.list_(pa.int32()))
    status = pa.array([state.status for state in found], _TEXT)
    written = np.array([state.status == "written" for state in found], bool)
    wanted = pc.unique(samples["image_id"].filter(pa.array(written)))
    pictures = pictures_of(store, part, samples["image_id"], wanted)
    rows = {
        **{name: samples[name] for name in ("sample_id", "image", "image_id")},
        "group": samples["group"].cast(_TEXT),
        "status": status,
        "reason": pa.array([state.reason for state in found], _TEXT),
        "kept": kept,
        "score": pa.array([state.score for state in found]),
        "size": _sizes(candidates["mask_bytes"], samples, kept, pictures.sizes),
    }
    if config.sampling.concept_caps or any(t.concept for t in config.sampling.targets):
        concepts = light["concept"].combine_chunks()
        values = concepts.take(kept.flatten()).cast(pa.string())
        rows["concepts"] = pa.ListArray.from_arrays(kept.offsets, values)
    if speaks:
        rows["caption"], rows["license"] = _published(samples), samples["license"].cast(_TEXT)
    for name in dimensions(config.sampling):
        if name not in rows:
            rows[name] = pa.array(_values(samples, part, name), _TEXT)
    return {
        "verdicts": place.write(light.select([*VERDICT, *EXTENT]), "verdicts"),
        "rows": place.write(pa.table(rows), "rows"),
        "told": place.write(light_samples.select([n for n in TOLD if n in have]), "told"),
        "pictures": place.write(pictures.table(), "pictures"),
        "thumbs": place.write_bytes(pictures.thumbs.tobytes(), "thumbs"),
        "vectors": place.write_bytes(pictures.vectors.tobytes(), "vectors"),
        "dims": pictures.vectors.shape[1],
    }


def _published(samples: pa.Table) -> pa.ChunkedArray:
    """Captions, null where some of it was composed."""
    if "generated_from" not in samples.column_names:
        return samples["caption"]
    nothing = pa.scalar(None, pa.string())
    return pc.if_else(pc.is_null(samples["generated_from"]), samples["caption"], nothing)


def _values(samples: pa.Table, part: Part, name: str) -> list[str]:
    return [part.corpus] * len(samples) if name == "corpus" else stratum_values(samples, name)


def _light_mentions(samples: pa.Table) -> pa.Table:
    """Samples whose mentions say no more than the barrier needs."""
    mentions = samples["mentions"].combine_chunks()
    flat = mentions.flatten()
    fields = ["concept", "polarity", "groundable", "start", "end"]
    light = pa.StructArray.from_arrays([flat.field(name) for name in fields], fields)
    offsets = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(mentions), 0))])
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), light)
    return samples.set_column(samples.column_names.index("mentions"), "mentions", lists)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures of a part that are compared.

    Attributes:
        names: image_id, sha256 and pixel_hash.
        thumbs: uint8 (n, SIDE, SIDE), zeros in units of an earlier version.
        vectors: float16 (n, d).
        sizes: bytes of each picture, by image_id.
    """

    names: pa.Table
    thumbs: np.ndarray
    vectors: np.ndarray
    sizes: dict[str, int]

    def table(self) -> pa.Table:
        """Names, and orientation and sketch (float16, as bytes) of the thumbnails."""
        found = wholes(self.thumbs)
        sketch = [row.tobytes() for row in found.sketch.astype(np.float16)]
        return self.names.append_column(
            "orientation", pa.array(found.orientation.astype(np.int8), pa.int8())
        ).append_column("sketch", pa.array(sketch, pa.binary()))


def pictures_of(store: Store, part: Part, image_ids: pa.ChunkedArray, wanted: pa.Array) -> Pictures:
    """Pictures of a part that are compared.

    Args:
        store: OUT.
        part: which part.
        image_ids: of its rows.
        wanted: those that are compared.

    Raises:
        Refused: an embedding that is no number, or of another model than others.
    """
    tables: list[pa.Table] = [_NAMES.empty_table()]
    thumbs: list[np.ndarray] = [np.zeros((0, SIDE, SIDE), np.uint8)]
    vectors: list[np.ndarray] = []
    sizes: dict[str, int] = {}
    length: int | None = None
    left = set(wanted.to_pylist())
    for which, mark in enumerate(part.marks):
        rows = part.unit(which, "samples")
        if left.isdisjoint(image_ids[rows].to_pylist()):
            continue
        images = read_table(store, mark, "images", PICTURES)
        if "data_bytes" not in images.column_names:  # of an earlier version
            data = read_table(store, mark, "images", ["data"])["data"]
            images = images.append_column("data_bytes", pc.fill_null(pc.binary_length(data), 0))
        images = images.filter(pc.is_in(images["image_id"], wanted)).combine_chunks()
        ids = images["image_id"]
        sizes.update(zip(ids.to_pylist(), images["data_bytes"].to_pylist(), strict=True))
        found = _vectors(images["embedding"].combine_chunks(), ids.to_pylist(), length)
        length = found.shape[1] if len(found) else length
        vectors.append(found)
        have = images.column_names
        nothing = pa.nulls(len(images), pa.string())
        hashes = images["pixel_hash"] if "pixel_hash" in have else nothing
        stored = images["thumbnail"].to_pylist() if "thumbnail" in have else [None] * len(images)
        flat = b"".join(bytes(SIDE * SIDE) if t is None else t for t in stored)
        thumbs.append(np.frombuffer(flat, np.uint8).reshape(-1, SIDE, SIDE))
        named = {"image_id": ids, "sha256": images["sha256"]}
        tables.append(pa.table({**named, "pixel_hash": pc.coalesce(hashes, images["sha256"])}))
    vectors.append(np.empty((0, length or 0), np.float16))
    full = [v for v in vectors if v.shape[1] == (length or 0)]
    return Pictures(pa.concat_tables(tables), np.concatenate(thumbs), np.concatenate(full), sizes)


_NAMES = pa.schema([(name, pa.string()) for name in ("image_id", "sha256", "pixel_hash")])


def _vectors(embeddings: pa.Array, image_ids: Sequence[str], length: int | None) -> np.ndarray:
    """Embeddings as float16 (n, d), all of one length and numbers; raises `Refused`."""
    lengths = pc.fill_null(pc.list_value_length(embeddings), 0).to_numpy()
    if not len(lengths):
        return np.empty((0, length or 0), np.float16)
    expected = int(lengths[0]) if length is None else length
    for image_id in np.array(image_ids, object)[lengths != expected][:1]:
        raise Refused(
            another_model(image_id, int(lengths[list(image_ids).index(image_id)]), expected)
        )
    values = embeddings.flatten().to_numpy(zero_copy_only=False).reshape(-1, expected)
    for image_id in np.array(image_ids, object)[~np.isfinite(values).all(axis=1)][:1]:
        raise Refused(f"dedupe.model: the embedding of {image_id} has a value that is no number")
    return values.astype(np.float16)


def another_model(image_id: str, length: int, expected: int) -> str:
    """Line of a refusal: one embedding is not like the others."""
    return (
        f"dedupe.model: the embedding of {image_id} has {length} numbers, others have {expected}: "
        "it is another model's; mine again into another folder"
    )


def _sizes(
    masks: pa.ChunkedArray, samples: pa.Table, kept: pa.Array, pictures: dict[str, int]
) -> pa.Array:
    """Bytes of each sample in a tar, about: int64; 0 for rows that are not written."""
    mask_bytes = masks.to_numpy()
    counts = np.concatenate([[0], np.cumsum(mask_bytes[kept.flatten().to_numpy()])])
    offsets = kept.offsets.to_numpy()
    mentions = pc.fill_null(pc.list_value_length(samples["mentions"]), 0).to_numpy()
    picture = [pictures.get(image_id, 0) for image_id in samples["image_id"].to_pylist()]
    size = (
        np.array(picture, np.int64)
        + (counts[offsets[1:]] - counts[offsets[:-1]])
        + np.diff(offsets) * _REGION
        + mentions * _MENTION
        + _SAMPLE
    )
    return pa.array(np.where(np.array(picture) > 0, size, 0), pa.int64())
