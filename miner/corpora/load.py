"""Rows and pictures of a work unit, as the tables that walk through the pipeline."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from miner.core import beacon
from miner.core.pixels import decode
from miner.core.store import Store
from miner.core.unit import IMAGES, SAMPLES, Unit
from miner.corpora.config import CorpusConfig
from miner.corpora.panels import panels
from miner.corpora.rows import Picture, Place, Reader, Row, clean, sample_id
from ner.strata import strata_column

# What hostile content makes readers and decoders raise. That a file cannot be reached (OSError) is
# no fault of its rows: the unit is tried again.
ROWS_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def build_unit(
    reader: Reader,
    config: CorpusConfig,
    name: str,
    places: Sequence[Place],
    store: Store,
    isolated: Mapping[int, str],
) -> Unit:
    """Read a unit's rows and pictures; a bad row gets a status and a reason.

    Args:
        reader: the corpus.
        config: its settings.
        name: its name in the ledger.
        places: the unit's rows, those of a picture together.
        store: OUT, where the indexes of zips lie.
        isolated: rows that nothing may touch, and why.
    """
    rows = read_rows(reader, places)
    for row in rows:
        if row.row in isolated:
            row.status, row.reason = "unreadable", isolated[row.row]
        if not row.caption.strip() and not row.turns:
            row.fail("no_entity", "empty_caption")
        if len(_said(row)) > config.max_caption_chars:
            row.fail("excluded", "caption_too_long")
            row.caption, row.turns = row.caption[: config.max_caption_chars], None
        # Same length, and no consumer chokes on it.
        row.caption = row.caption.replace("\0", " ")
        for turn in row.turns or ():
            turn["text"] = turn["text"].replace("\0", " ")
        if "\0" in row.image:
            row.fail("unreadable", "bad_name")
            row.image = row.image.replace("\0", " ")
    alive = [row for row in rows if row.status is None]
    if len({row.image for row in alive}) == 1:  # readers take many at once; of one, say its name
        beacon.at(f"{name}/{alive[0].image}")
    pictures = read_pictures(reader, alive, store)
    for row in alive:
        picture = pictures[row.image]
        if picture.status is not None:
            row.fail(picture.status, picture.reason or "unreadable_file")
        for key, value in picture.meta.items():
            row.meta.setdefault(key, value)
    images = _images(rows, alive, pictures, config, name)
    return Unit(samples=_samples(rows, config, name, isolated), images=images)


def _said(row: Row) -> str:
    """All text of a row: its caption, or its turns."""
    return "\n".join(turn["text"] for turn in row.turns) if row.turns else row.caption


def read_rows(reader: Reader, places: Sequence[Place]) -> list[Row]:
    """The unit's rows; where one makes the reader fail, one by one."""
    with contextlib.suppress(*ROWS_FAULTS):
        return reader.rows(list(places))
    rows = []
    for place in places:
        try:
            rows += reader.rows([place])
        except ROWS_FAULTS as error:
            rows.append(Row(place.row).fail("unreadable", f"failed:{type(error).__name__}"))
    return rows


def read_pictures(reader: Reader, rows: list[Row], store: Store) -> dict[str, Picture]:
    """Pictures of rows in play; where one makes the reader fail, one by one."""
    with contextlib.suppress(*ROWS_FAULTS):
        return reader.pictures(rows, store) if rows else {}
    pictures: dict[str, Picture] = {}
    for row in rows:
        try:
            pictures.update(reader.pictures([row], store))
        except ROWS_FAULTS as error:
            reason = f"failed:{type(error).__name__}"
            pictures[row.image] = Picture(status="unreadable", reason=reason)
    return pictures


def _samples(
    rows: Sequence[Row], config: CorpusConfig, name: str, isolated: Mapping[int, str]
) -> pa.Table:
    records = [
        {
            "sample_id": sample_id(name, row.row, row.image, _said(row)),
            "corpus": name,
            "row": row.row,
            "image": row.image,
            "image_id": f"{name}/{row.image}",
            "group": clean(row.group or row.image)[0],
            "license": str(row.meta.pop("license", "") or config.license),
            "source": clean(row.source or config.source or name)[0],
            "caption": row.caption,
            "turns": row.turns,
            "meta": clean(json.dumps(row.meta, ensure_ascii=False, sort_keys=True))[0],
            "told": row.told,
            "generated_from": row.generated_from,
            "notes": row.notes,
            "status": row.status,
            "reason": row.reason,
        }
        for row in rows
    ]
    table = pa.Table.from_pylist(records, schema=SAMPLES)
    texts = ["" if row.row in isolated else _said(row) for row in rows]
    strata = strata_column(texts, [row.meta for row in rows], [bool(row.turns) for row in rows])
    return table.append_column("strata", strata)


def _images(
    rows: Sequence[Row],
    alive: Sequence[Row],
    pictures: dict[str, Picture],
    config: CorpusConfig,
    name: str,
) -> pa.Table:
    records = []
    magnified = {r.image: r.mpp for r in reversed(alive) if r.mpp is not None}
    stated = {row.image: mpp for row in rows if (mpp := row.stated_mpp) is not None}
    given = {row.image: row.given for row in alive if row.given is not None}
    for image in dict.fromkeys(row.image for row in rows):
        picture = pictures.get(image, Picture())
        mpp, mpp_source = _scale(
            picture, magnified.get(image), stated.get(image), config.assumed_mpp
        )
        records.append(
            {
                "image_id": f"{name}/{image}",
                "data": picture.data,
                "format": picture.format or None,
                "width": picture.width or None,
                "height": picture.height or None,
                "mpp": mpp,
                "mpp_source": mpp_source,
                "sha256": hashlib.sha256(picture.data).hexdigest() if picture.data else None,
                "given": given.get(image),
                "panels": _panels(picture) if getattr(config, "compound", False) else None,
            }
        )
    return pa.Table.from_pylist(records, schema=IMAGES)


def _panels(picture: Picture) -> list[dict[str, Any]] | None:
    """Rows of `miner.core.rows.PanelRow`; None where there is no picture."""
    if picture.data is None:
        return None
    return [
        {"letter": panel.letter, "box": list(panel.box)} for panel in panels(decode(picture.data))
    ]


def _scale(
    picture: Picture, magnified: float | None, stated: float | None, assumed: float | None
) -> tuple[float | None, str]:
    """Um per pixel and who says so: slide, magnification, side column, or what is assumed."""
    if picture.mpp is not None:
        return picture.mpp, picture.mpp_source
    if magnified is not None:
        return magnified, "magnification"
    if picture.data and stated is not None:
        return stated, "stated"
    if picture.data and assumed is not None:
        return assumed, "assumed"
    return None, picture.mpp_source
