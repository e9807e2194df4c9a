"""Reader of annotated sets: pictures, what experts outlined in them, and a text composed of that.

Each published layout is a kind (`miner.corpora.expert.sets`). The outlines go with the picture
(`miner.core.unit.GIVEN`), and the segmenter `expert` makes candidates of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydantic

from miner.core.errors import Refused
from miner.core.pixels import encode
from miner.core.rle import encode_labels
from miner.core.store import Store
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.expert.compose import compose
from miner.corpora.expert.layouts import open_layout
from miner.corpora.expert.scale import nuclear_scale
from miner.corpora.expert.tile import BadTile, Outlined, Tile
from miner.corpora.images import check
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, clean, hash64
from ner.extractor import default


class ExpertSetConfig(CorpusConfig):
    """A set that experts annotated.

    Attributes:
        mpp: um per pixel in place of what the publisher states; what the nuclei say is in the side
            columns `nuclei_um` and `nuclei_mpp`.
        rewrite: where a published caption names nothing that could be outlined, add such a text to
            it; the sample is `generated` then, says from where on, and the row has the note
            `rewritten`.
        compose: write a text of what is outlined where none was published; without it such
            pictures are `no_entity`, `no_text`.
    """

    mpp: float | None = pydantic.Field(None, gt=0)
    compose: bool = True
    rewrite: bool = False


class ExpertSet(Reader):
    """Reader of an annotated set; see `miner.corpora.rows.Reader`. A picture is a row.

    Raises:
        Refused: the folder has no such layout.
    """

    tables: tuple[str, ...] = ("",)

    def __init__(self, config: ExpertSetConfig):
        self.config = config
        self.folder, file = corpus_folder(config.path, corpus_name(config))
        if file:
            raise Refused(f"{self.folder.field}: {config.path}: expected a folder")
        self.layout = open_layout(self.folder, config.kind)

    def fingerprint(self) -> list[Any]:
        """Names and sizes of the files."""
        return [[name, *self.folder.fingerprint(name)] for name in sorted(self.folder.walk())]

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Pictures in the order of the set."""
        problems += self.layout.problems if not start else ()
        for at, item in enumerate(self.layout.items[start:], start):
            yield Entry(at, 1, hash64(item.group), hash64(item.name))

    def rows(self, places: list[Place]) -> list[Row]:
        """Outlines and texts; a picture whose annotation cannot be used comes with a reason."""
        return [self._row(place) for place in places]

    def _row(self, place: Place) -> Row:
        item = self.layout.items[place.offset]
        row = Row(place.row, image=clean(item.name)[0], group=clean(item.group)[0])
        try:
            tile = self.layout.read(item)
        except BadTile as bad:
            return row.fail("unreadable", str(bad))
        row.where = tile.picture
        row.notes = list(tile.notes)
        row.meta = _meta(tile)
        mpp = self.config.mpp or tile.mpp
        if mpp is not None:
            row.meta["mpp"] = mpp
        row.given = _given(tile)
        row.caption = tile.caption
        if not row.caption.strip():
            text, told = compose(tile)
            if self.config.compose and told:
                row.caption, row.told, row.generated_from = text, told, 0
            else:
                row.caption = ""
                row.fail("no_entity", "no_text")
        elif self.config.rewrite:
            _rewrite(row, tile)
        return row

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Check the pictures that came with the outlines."""
        return {row.image: self._picture(row) for row in rows}

    def _picture(self, row: Row) -> Picture:
        if isinstance(row.where, bytes):
            return check(row.where, self.config.max_pixels)
        height, width = row.where.shape[:2]
        picture = Picture(width=width, height=height)
        if width * height > self.config.max_pixels:
            return dataclasses.replace(picture, status="excluded", reason="too_many_pixels")
        return dataclasses.replace(picture, data=encode(row.where, "png"), format="png")

    def spread(self, rows: list[Row]) -> dict[str, dict[str, int]]:
        """The scale that nuclei speak for, to two digits."""
        found: dict[str, int] = {}
        for row in rows:
            if "nuclei_mpp" in row.meta:
                said = f"{row.meta['nuclei_mpp']:.2f}"
                found[said] = found.get(said, 0) + 1
        return {"mpp by nuclei": dict(sorted(found.items(), key=lambda i: (-i[1], i[0])))}


def _rewrite(row: Row, tile: Tile) -> None:
    """Add a text of what is outlined to a caption that names nothing that could be."""
    published = default()(row.caption).mentions
    text, told = compose(tile)
    if any(mention.groundable for mention in published) or not told:
        return
    front = f"{row.caption.rstrip()} "
    row.caption, row.generated_from = front + text, len(front)
    row.told = [
        *(mention._asdict() for mention in published),
        *({**m, "start": m["start"] + len(front), "end": m["end"] + len(front)} for m in told),
    ]
    row.notes.append("rewritten")


def _given(tile: Tile) -> list[dict[str, Any]]:
    """Rows of `miner.core.unit.GIVEN`; objects that the first concept has too are encoded once.

    Where parts of the picture are unknown, nothing is known of what was not seen in the others.
    """
    everywhere = tile.unknown is None or not tile.unknown.any()
    outlined = [o for o in tile.outlined if o.complete and (everywhere or o.labels.any())]
    rows: list[dict[str, Any]] = []
    sizes = np.bincount(outlined[0].labels.ravel()) if outlined else np.zeros(1, np.int64)
    for one in outlined:
        same = _same_objects(one, outlined[0], sizes) if rows else None
        counts = encode_labels(one.labels) if same is None else [rows[0]["counts"][i] for i in same]
        rows.append(
            {
                "concept": one.concept,
                "apart": one.apart,
                "complete": everywhere,
                "counts": counts,
            }
        )
    return rows


def _same_objects(one: Outlined, first: Outlined, sizes: np.ndarray) -> list[int] | None:
    """Which objects of the first concept those of another are, None where one is none of them.

    Args:
        one: the other concept.
        first: the first one.
        sizes: pixels of the ids of the first, int64 (n + 1,).
    """
    there = np.flatnonzero(one.labels > 0)
    mine, theirs = one.labels.ravel()[there], first.labels.ravel()[there]
    same = np.zeros(int(mine.max(initial=0)) + 1, np.int64)
    same[mine] = theirs
    if (theirs != same[mine]).any() or (np.bincount(mine)[1:] != sizes[same[1:]]).any():
        return None
    return [int(i) - 1 for i in same[1:]]


def _meta(tile: Tile) -> dict[str, Any]:
    """Side columns of a picture."""
    meta = dict(tile.meta)
    if tile.organ:
        meta["organ"] = tile.organ
    if tile.stain:
        meta["stain"] = tile.stain
    return meta | nuclear_scale(tile)
