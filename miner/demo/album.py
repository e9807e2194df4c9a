"""The pictures of the phantom corpora: fresh ones, copies, near-copies and broken files."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

import numpy as np

from miner.demo import render, stains
from miner.demo.render import PhantomTile

MARGIN_PX = 14  # rendered around a picture, so that a shifted copy shows real tissue

# How the n-th picture of a corpus comes about; all others are fresh.
CADENCE = {4: "copy", 7: "broken", 10: "shifted", 14: "reencoded"}
PERIOD = 18
BROKEN = ("text", "truncated", "empty", "missing")


@dataclasses.dataclass(frozen=True)
class DemoPicture:
    """A picture of a corpus.

    Attributes:
        name: file name.
        tile: what it shows (also when the file is broken).
        how: fresh, copy, shifted, reencoded, or one of `BROKEN`.
    """

    name: str
    tile: PhantomTile
    how: str

    @property
    def readable(self) -> bool:
        """Whether the file can be decoded."""
        return self.how not in BROKEN


@dataclasses.dataclass
class Source:
    """A rendered field with its margin, and the file made of it."""

    tile: PhantomTile
    data: bytes


class Album:
    """Makes the pictures of one corpus.

    Args:
        rng: source of randomness.
        folder: where the files go.
        sides: smallest and largest side in pixels, a multiple of 16.
        shared: fields that any corpus may copy from; filled as pictures are made.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        folder: Path,
        sides: tuple[int, int],
        shared: list[Source],
    ):
        self.rng = rng
        self.folder = folder
        self.sides = sides
        self.shared = shared
        self.count = 0
        self.broken = 0
        folder.mkdir(parents=True)

    def add(self, name: str, mpp: float | None, stain: str) -> DemoPicture:
        """Make the next picture and write its file.

        Args:
            name: file name.
            mpp: micrometres per pixel of a fresh picture, at random when None.
            stain: stain of a fresh picture.
        """
        how = CADENCE.get(self.count % PERIOD, "fresh")
        self.count += 1
        if how in ("copy", "shifted", "reencoded") and self.shared:
            source = self.shared[int(self.rng.integers(len(self.shared)))]
            return self.write(name, how, source)
        source = self.fresh(mpp, stain)
        if how == "broken":
            how = BROKEN[self.broken % len(BROKEN)]
            self.broken += 1
        else:
            how = "fresh"
            self.shared.append(source)
            del self.shared[:-6]
        return self.write(name, how, source)

    def fresh(self, mpp: float | None, stain: str) -> Source:
        """Render a new field."""
        low, high = (side // 16 for side in self.sides)
        height, width = (16 * int(self.rng.integers(low, high + 1)) for _ in range(2))
        shape = (height + 2 * MARGIN_PX, width + 2 * MARGIN_PX)
        tile = render.tile(self.rng, shape, mpp, stain=stain, jpeg=False)
        inside = tile.image[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
        return Source(tile, stains.encode_jpeg(inside, int(self.rng.integers(72, 96))))

    def write(self, name: str, how: str, source: Source) -> DemoPicture:
        """Write the file of a picture made of a field."""
        tile = source.tile
        height, width = (side - 2 * MARGIN_PX for side in tile.image.shape[:2])
        y = x = MARGIN_PX
        data: bytes | None = source.data
        if how == "shifted":
            y, x = (MARGIN_PX + int(d) for d in self.rng.choice([-8, -6, -4, 4, 6, 8], 2))
        view = render.crop(tile, y, x, height, width)
        if how in ("shifted", "reencoded"):
            data = stains.encode_jpeg(view.image, int(self.rng.integers(55, 72)))
        elif how == "truncated":
            data = source.data[: len(source.data) // 3]
        elif how == "text":
            data = b"<html><body>404 Not Found</body></html>\n"
        elif how == "empty":
            data = b""
        elif how == "missing":
            data = None
        if data is not None:
            (self.folder / name).write_bytes(data)
        return DemoPicture(name, view, how)


def identifier(rng: np.random.Generator) -> str:
    """A random UUID in its usual spelling."""
    return str(uuid.UUID(bytes=rng.bytes(16), version=4))
