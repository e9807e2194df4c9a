"""What a mask says of all that the picture shows, as a file: is it there, is it all, how many.

An IoU of .5 certifies an outline, no count and no absence. So what a segmenter leaves out is
measured on tiles whose truth is complete (`filters.calibration.fit_extent`), and ships as a file:
per concept the probability that it is in the picture given the answer, the probability that the
mask covers all of it, and how far the number of objects is off. `filters.completeness` applies it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from filters.decision import CLIP_AT, LOGARITHMIC, Decision, decision_of
from filters.decision import to_json as decision_to_json
from filters.fitted import read_json
from miner.core.errors import Refused

VERSION = 2  # 1 had presence of families
COMMAND = "python -m filters.calibration.fit_extent"
EMBEDDED = Path(__file__).parent / "data" / "extent.json"
FOUND_NOTHING = -20.0  # log odds that stand for an answer without a mask
SPREAD = (-4.0, 1.0)  # limits of the logarithm of an expected error


@dataclasses.dataclass(frozen=True)
class Presence:
    """From the log odds of the best mask to the probability that the concept is there.

    At even odds before the picture was searched: what a caption says of it is not in it.

    Attributes:
        x: float64 (k,), ascending log odds, `FOUND_NOTHING` where nothing was found.
        y: float64 (k,), ascending probabilities; linear in between.
        present: labelled pictures that show it.
        absent: labelled pictures that do not.
    """

    x: np.ndarray
    y: np.ndarray
    present: int
    absent: int


@dataclasses.dataclass(frozen=True)
class Interval:
    """Conformal bounds of one concept, in units of the expected error.

    Attributes:
        low: of log(true / found) less what is expected.
        high: the same, above.
        count: labelled masks it rests on.
    """

    low: float
    high: float
    count: int


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many objects there are, from those found: log(true / found) and its usual error.

    Linear in few scores: with more of them, squares or the distance to what is usual, held-out
    errors were larger.

    Attributes:
        features: names of the scores.
        mean: float64 (f,), of the defined values; sizes and numbers as logarithms.
        scale: float64 (f,), standard deviation.
        center: float64 (f + 1,), weights of the expected logarithm; intercept last.
        spread: float64 (f + 1,), weights of the logarithm of the expected error.
        intervals: by concept.
    """

    features: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    intervals: Mapping[str, Interval]

    def expected(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected log(true / found) and its expected error, float64 (n,).

        Args:
            scores: float64 (n, f), NaN where undefined.
        """
        x = design(scores, self.features, self.mean, self.scale)
        return x @ self.center, np.exp(np.clip(x @ self.spread, *SPREAD))


def logarithms(scores: np.ndarray, features: tuple[str, ...]) -> np.ndarray:
    """Scores with sizes and numbers as logarithms, float64 (n, f), NaN where undefined."""
    x = scores.copy()
    for i, name in enumerate(features):
        if name in LOGARITHMIC:
            with np.errstate(invalid="ignore"):
                x[:, i] = np.log(np.maximum(x[:, i], 1e-6))
    return x


def design(
    scores: np.ndarray, features: tuple[str, ...], mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Standardised scores, the mean where undefined, and a one: float64 (n, f + 1)."""
    z = np.clip((logarithms(scores, features) - mean) / scale, -CLIP_AT, CLIP_AT)
    return np.concatenate([np.nan_to_num(z), np.ones((len(z), 1))], axis=1)


@dataclasses.dataclass(frozen=True)
class Extent:
    """All of one file.

    Attributes:
        presence: by concept.
        whole: probability that the mask covers all of its concept.
        counts: how many objects there are.
        sources: labelled data that it was fitted on.
    """

    presence: Mapping[str, Presence]
    whole: Decision
    counts: Counts
    sources: tuple[str, ...]


def to_json(extent: Extent) -> dict[str, Any]:
    """Plain form for a file; six significant digits."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return [float(f"{v:.6g}") for v in value]
        return float(f"{value:.6g}") if isinstance(value, float) else value

    def fields(one: Any) -> dict[str, Any]:
        return {f.name: plain(getattr(one, f.name)) for f in dataclasses.fields(one)}

    intervals = {name: fields(one) for name, one in extent.counts.intervals.items()}
    return {
        "version": VERSION,
        "presence": {name: fields(one) for name, one in extent.presence.items()},
        "whole": decision_to_json(extent.whole),
        "counts": {
            **fields(extent.counts),
            "features": list(extent.counts.features),
            "intervals": intervals,
        },
        "sources": list(extent.sources),
    }


def load_extent(path: str | os.PathLike[str] = "embedded") -> Extent:
    """Read a file, or the one that ships with the package.

    Raises:
        Refused: no such file, not JSON, another version, damaged.
    """
    file = EMBEDDED if path == "embedded" else Path(path)
    data = read_json(file, "filters.extent", VERSION, COMMAND)
    try:
        counts = data["counts"]
        return Extent(
            presence={
                name: Presence(np.array(one["x"], float), np.array(one["y"], float),
                               int(one["present"]), int(one["absent"]))
                for name, one in data["presence"].items()
            },
            whole=decision_of(data["whole"], f"filters.extent: {file}"),
            counts=Counts(
                tuple(counts["features"]),
                intervals={
                    n: Interval(float(i["low"]), float(i["high"]), int(i["count"]))
                    for n, i in counts["intervals"].items()
                },
                **{n: np.array(counts[n], float) for n in ("mean", "scale", "center", "spread")},
            ),
            sources=tuple(data["sources"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"filters.extent: {file} is damaged: {error!r}") from error
