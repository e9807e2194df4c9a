"""The decision model as a file: from the scores of a candidate to the probability that it is right.

Per concept family a logistic model on the scores, then an isotonic map to a probability, both
fitted on labelled data (`filters.calibration.fit`). Where a family has no labelled data, the global
model is used; where a concept has enough of its own, its probability and thresholds come from those
alone.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from filters.fitted import read_json
from filters.scores import OWN, SCORES
from miner.core.errors import Refused

VERSION = 1
EMBEDDED = Path(__file__).parent / "data" / "decision.json"
LOGARITHMIC = frozenset(
    {
        "geometry_area_fraction",
        "geometry_density_mm2",
        "geometry_diameter_um",
        "geometry_objects",
    }
)
CLIP_AT = 4.0  # standardised scores beyond this many deviations add nothing


@dataclasses.dataclass(frozen=True)
class Model:
    """Logistic regression on standardised inputs (`inputs`).

    Attributes:
        mean: float64 (f,), of the defined values.
        scale: float64 (f,), standard deviation.
        weight: float64 (f,).
        square: float64 (f,), weight of the squared standardised score.
        missing: float64 (f,), weight where the score is undefined.
        intercept: float.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    square: np.ndarray
    missing: np.ndarray
    intercept: float

    def logit(self, features: np.ndarray) -> np.ndarray:
        """Log odds, float64 (n,), of inputs float64 (n, f), NaN where undefined; see `inputs`."""
        weights = np.concatenate([self.weight, self.square, self.missing])
        # Row by row: the sums of a matrix product depend on how many rows it has.
        x = expand(features, self.mean, self.scale)
        return np.einsum("ij,j->i", x, weights) + np.float64(self.intercept)


def expand(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Standardised features, their squares (centred) and what is undefined: float64 (n, 3 f)."""
    undefined = ~np.isfinite(features)
    with np.errstate(invalid="ignore"):
        z = np.clip((features - mean) / scale, -CLIP_AT, CLIP_AT)
    z[undefined] = 0.0
    square = np.where(undefined, 0.0, z * z - 1.0)
    return np.concatenate([z, square, undefined.astype(float)], axis=1)


def inputs(
    scores: np.ndarray,
    names: tuple[str, ...],
    centers: Mapping[str, np.ndarray],
    concept: np.ndarray,
    family: np.ndarray,
) -> np.ndarray:
    """Inputs of the models: the scores, and how far each is from what is usual for the concept.

    Args:
        scores: float64 (n, f), NaN where undefined.
        names: of the scores.
        centers: by concept, "family:NAME" and "global": means over right masks, float64 (f,).
        concept: object (n,).
        family: object (n,).

    Returns:
        float64 (n, 2 f); sizes and counts as logarithms.
    """
    x = scores.copy()
    for i, name in enumerate(names):
        if name in LOGARITHMIC:
            with np.errstate(invalid="ignore"):
                x[:, i] = np.log(np.maximum(x[:, i], 1e-6))
    usual = np.zeros_like(x)
    for pair in sorted(set(zip(concept, family, strict=True))):
        center = next(centers[n] for n in (pair[0], f"family:{pair[1]}", "global") if n in centers)
        usual[(concept == pair[0]) & (family == pair[1])] = center
    return np.concatenate([x, x - usual], axis=1)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """From log odds to a probability, and what a threshold on it gave on labelled data.

    Attributes:
        x: float64 (k,), ascending log odds.
        y: float64 (k,), ascending probabilities that IoU >= .5; linear in between.
        threshold: float64 (m,), descending probabilities.
        precision: float64 (m,), share of right masks among those at or above the threshold, as
            their probabilities have it.
        kept: float64 (m,), share of the right masks at or above the threshold.
        leaked: float64 (m,), share of the wrong masks at or above the threshold.
        predicted: float64 (b,), mean probability of held-out masks per bin.
        observed: float64 (b,), share of right ones among them.
        count: float64 (b,), how many they are.
        right: labelled right masks.
        wrong: labelled wrong masks.
    """

    x: np.ndarray
    y: np.ndarray
    threshold: np.ndarray
    precision: np.ndarray
    kept: np.ndarray
    leaked: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray
    right: int
    wrong: int

    def probability(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated probability, float64 (n,)."""
        return np.interp(logit, self.x, self.y)

    def threshold_for(self, precision: float) -> float:
        """Smallest threshold at which this precision was reached; above 1 when none does."""
        reached = np.flatnonzero(self.precision >= precision)
        return float(self.threshold[reached[-1]]) if len(reached) else float("inf")


@dataclasses.dataclass(frozen=True)
class Decision:
    """All families and concepts of one file.

    Attributes:
        features: names of the scores, in the order of the models.
        segmenters: those whose own confidence was seen in fitting.
        centers: what is usual for right masks: by concept, "family:NAME" and "global".
        models: by family, "concept:NAME" and "global".
        calibrations: by "concept:NAME", "family:NAME" and "global".
        sources: labelled data that it was fitted on.
        filled_from: see `filters.batch.without_frame`.
    """

    features: tuple[str, ...]
    segmenters: tuple[str, ...]
    centers: Mapping[str, np.ndarray]
    models: Mapping[str, Model]
    calibrations: Mapping[str, Calibration]
    sources: tuple[str, ...]
    filled_from: float | None = None

    def level(self, concept: str, family: str) -> str:
        """Which calibration judges a concept."""
        for name in (f"concept:{concept}", f"family:{family}"):
            if name in self.calibrations:
                return name
        return "global"


def model_of(models: Mapping[str, Model], concept: str, family: str) -> Model:
    """The model that judges a concept: its own, else its family's, else that of all masks."""
    return models.get(f"concept:{concept}") or models.get(family) or models["global"]


def to_json(decision: Decision) -> dict[str, Any]:
    """Plain form for a file; six significant digits."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return [float(f"{v:.6g}") for v in value]
        return float(f"{value:.6g}") if isinstance(value, float) else value

    def fields(one: Model | Calibration) -> dict[str, Any]:
        return {f.name: plain(getattr(one, f.name)) for f in dataclasses.fields(one)}

    return {
        "version": VERSION,
        "features": list(decision.features),
        "segmenters": list(decision.segmenters),
        "centers": {name: plain(one) for name, one in decision.centers.items()},
        "models": {name: fields(one) for name, one in decision.models.items()},
        "calibrations": {name: fields(one) for name, one in decision.calibrations.items()},
        "sources": list(decision.sources),
        "filled_from": decision.filled_from,
    }


def load_decision(path: str | os.PathLike[str] = "embedded") -> Decision:
    """Read a file, or the one that ships with the package.

    Raises:
        Refused: no such file, not JSON, another version, damaged.
    """
    file = EMBEDDED if path == "embedded" else Path(path)
    return decision_of(read_json(file, "filters.decision", VERSION), f"filters.decision: {file}")


def decision_of(data: Mapping[str, Any], where: str) -> Decision:
    """A decision from its plain form (`to_json`).

    Args:
        data: the plain form.
        where: setting and file, for messages.

    Raises:
        Refused: damaged, or fitted on scores that this program has not.
    """
    try:
        strange = sorted({*data["features"]} - {*SCORES, *OWN, "confidence"})
        if strange:
            raise Refused(
                f"{where} was fitted on scores that this program has not: "
                f"{', '.join(strange)}; fit it again (miner calibrate)"
            )
        return Decision(
            features=tuple(data["features"]),
            segmenters=tuple(data["segmenters"]),
            centers={
                name: _vector(one, len(data["features"])) for name, one in data["centers"].items()
            },
            models={
                name: _model(one, 2 * len(data["features"])) for name, one in data["models"].items()
            },
            calibrations={name: _calibration(one) for name, one in data["calibrations"].items()},
            sources=tuple(data["sources"]),
            filled_from=_share(data.get("filled_from")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{where} is damaged: {error!r}") from error


def _model(one: Mapping[str, Any], length: int) -> Model:
    mean, scale, weight, square, missing = (
        _vector(one[name], length) for name in ("mean", "scale", "weight", "square", "missing")
    )
    return Model(mean, scale, weight, square, missing, float(one["intercept"]))


def _calibration(one: Mapping[str, Any]) -> Calibration:
    x, threshold, predicted = (_vector(one[name]) for name in ("x", "threshold", "predicted"))
    m, b = len(threshold), len(predicted)
    return Calibration(
        x=x,
        y=_vector(one["y"], len(x)),
        threshold=threshold,
        precision=_vector(one["precision"], m),
        kept=_vector(one["kept"], m),
        leaked=_vector(one["leaked"], m),
        predicted=predicted,
        observed=_vector(one["observed"], b),
        count=_vector(one["count"], b),
        right=int(one["right"]),
        wrong=int(one["wrong"]),
    )


def _share(value: Any) -> float | None:
    """A share of the picture; files from before there was one have none."""
    if value is None:
        return None
    if not 0 < float(value) <= 1:
        raise ValueError("expected a share above 0 and at most 1")
    return float(value)


def _vector(values: Any, length: int | None = None) -> np.ndarray:
    vector = np.array(values, float)
    if vector.ndim != 1 or not np.isfinite(vector).all() or length not in (None, len(vector)):
        raise ValueError("expected a list of finite numbers")
    return vector
