"""BiomedParse's tail test on four features, with its published file format.

Re-implemented after `check_mask_stats` of BiomedParse (Zhao et al. 2024,
doi:10.1038/s41592-024-02499-w; Apache-2.0). Each feature is one number per mask, so its test is a
two-sided tail probability of a fitted Beta distribution, the same as a one-sample KS test with
n = 1. The geometric mean of the four is a score, not a p-value.

Unlike the original: masks whose probability peaks between 127 and 128 of 255 count as empty
instead of giving NaN, the file is read once, and an unknown target gives None.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

import numpy as np
from scipy.special import betainc

from miner.core.errors import Refused

MODALITY = "Pathology"
Table = Mapping[str, np.ndarray]  # target -> float64 (4, 2): alpha and beta per feature


def load_table(path: str | os.PathLike[str]) -> Table:
    """Read `target_dist.json`: {modality: {target: [[alpha, beta] x 4]}}.

    Args:
        path: the file.

    Raises:
        Refused: no such file, not that format, no pathology in it, parameters that are no Beta
            distribution.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise Refused(f"filters.biomedparse_table: {path}: {error.strerror}") from error
    except ValueError as error:
        raise Refused(f"filters.biomedparse_table: {path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise Refused(f"filters.biomedparse_table: {path} is not a table of modalities")
    names = [name for name in data if name.lower() == MODALITY.lower()]
    if not names:
        raise Refused(f"filters.biomedparse_table: {path} has no {MODALITY}: {', '.join(data)}")
    table = {}
    for target, rows in data[names[0]].items():
        try:
            values = np.array(rows, float)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.shape != (4, 2) or not (np.isfinite(values) & (values > 0)).all():
            raise Refused(f"filters.biomedparse_table: {path}: {target!r} is not four (a, b) pairs")
        table[target] = values
    return table


def mask_features(image: np.ndarray, probability: np.ndarray) -> np.ndarray | None:
    """The four numbers of a mask.

    Args:
        image: uint8 (H, W, 3), RGB.
        probability: float (H, W), 0..1.

    Returns:
        float64 (4,): mean of 255 * probability, red, green and blue over the pixels where 255 *
        probability is at least 128, each divided by 256; None when there is no such pixel.
    """
    level = probability.astype(np.float64) * 255
    region = level >= 128
    if not region.any():
        return None
    return np.array([level[region].mean(), *image[region].mean(axis=0, dtype=np.float64)]) / 256


def tail_probabilities(features: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Two-sided tail probability of each feature, float64 (4,).

    Args:
        features: float64 (4,), within 0..1.
        parameters: float64 (4, 2), alpha and beta.
    """
    below = betainc(parameters[:, 0], parameters[:, 1], np.clip(features, 0, 1))
    # In the order of scipy's exact test: the fourth root would magnify any other rounding.
    return 2 * (1 - np.maximum(below, 1 - below))


def score(features: np.ndarray | None, targets: Iterable[str], table: Table) -> float | None:
    """(p1 p2 p3 p4)^(1/4), the best over a concept's targets.

    Args:
        features: see `mask_features`; None (an empty mask) scores 0.
        targets: BiomedParse's names for the concept.
        table: see `load_table`.

    Returns:
        0..1, or None when the table has none of the targets.
    """
    known = [table[target] for target in targets if target in table]
    if not known:
        return None
    if features is None:
        return 0.0
    return max(float(np.prod(tail_probabilities(features, one)) ** 0.25) for one in known)
