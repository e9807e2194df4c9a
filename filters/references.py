"""Reference distributions of what each concept looks like, as files.

A file is JSON: quantiles of the pixel and object features of correct regions per concept, the
statistics of held-out correct regions, and which data they come from. `miner calibrate` writes one.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from filters.distributions import Table
from filters.features import FEATURES
from filters.fitted import read_json
from miner.core.errors import Refused

VERSION = 2
EMBEDDED = Path(__file__).parent / "data" / "references.json"
HELDOUT = ("raw", "normalized", "objects", "rival")  # statistics with a conformal p


@dataclasses.dataclass(frozen=True)
class Reference:
    """One concept.

    Attributes:
        pixels: float64 (10, k), quantiles per pixel feature, in the order of `FEATURES`.
        objects: quantiles per object feature, float64 (k,); empty for stuff.
        heldout: per name of `HELDOUT` the ascending statistics of correct regions against
            references without their source, float64 (n,).
        sources: data sets the regions come from, e.g. "tnbc", "phantoms".
        left_out: what was left out for `heldout`: "source", or "group" where there is one source.
    """

    pixels: np.ndarray
    objects: Mapping[str, np.ndarray]
    heldout: Mapping[str, np.ndarray]
    sources: tuple[str, ...]
    left_out: str


@dataclasses.dataclass(frozen=True)
class References:
    """All concepts of one file.

    Attributes:
        concepts: by canonical name.
        picture: float64 (10, k), quantiles of the pixels of all reference pictures.
        picture_heldout: ascending D of reference pictures against those of other sources.
    """

    concepts: Mapping[str, Reference]
    picture: np.ndarray
    picture_heldout: np.ndarray

    @functools.cached_property
    def table(self) -> Table:
        """All concepts' pixel distributions, in the order of `concepts`."""
        return Table(np.stack([one.pixels for one in self.concepts.values()]))

    @functools.cached_property
    def order(self) -> Mapping[str, int]:
        """Place of every concept in `table`."""
        return {name: i for i, name in enumerate(self.concepts)}


def to_json(references: References) -> dict[str, Any]:
    """Plain form for a file; floats with four decimals."""

    def row(values: np.ndarray) -> list[Any]:
        return np.round(values, 4).tolist()

    return {
        "version": VERSION,
        "features": list(FEATURES),
        "picture": row(references.picture),
        "picture_heldout": row(references.picture_heldout),
        "concepts": {
            name: {
                "pixels": row(one.pixels),
                "objects": {k: row(v) for k, v in one.objects.items()},
                "heldout": {k: row(v) for k, v in one.heldout.items()},
                "sources": list(one.sources),
                "left_out": one.left_out,
            }
            for name, one in references.concepts.items()
        },
    }


def load_references(path: str | os.PathLike[str] = "embedded") -> References:
    """Read a file, or the one that ships with the package.

    Raises:
        Refused: no such file, not JSON, another version, other features.
    """
    file = EMBEDDED if path == "embedded" else Path(path)
    data = read_json(file, "filters.references", VERSION)
    if data.get("features") != list(FEATURES):
        raise Refused(f"filters.references: {file} has other features than this program")
    try:
        return References(
            {name: _reference(one) for name, one in data["concepts"].items()},
            _quantiles(data["picture"], len(FEATURES)),
            np.array(data["picture_heldout"], float),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"filters.references: {file} is damaged: {error!r}") from error


def _reference(one: Mapping[str, Any]) -> Reference:
    return Reference(
        pixels=_quantiles(one["pixels"], len(FEATURES)),
        objects={k: np.array(v, float) for k, v in one["objects"].items()},
        heldout={k: np.array(one["heldout"][k], float) for k in HELDOUT},
        sources=tuple(one["sources"]),
        left_out=one["left_out"],
    )


def _quantiles(rows: Any, n: int) -> np.ndarray:
    values = np.array(rows, float)
    if values.ndim != 2 or len(values) != n or not np.isfinite(values).all():
        raise ValueError(f"expected {n} rows of finite quantiles")
    return values
