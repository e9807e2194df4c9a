"""Candidates with a known answer: what a segmenter says about labelled tiles, and planted errors.

Everything is a function of the tile's name, so the same tiles give the same candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from filters.calibration.labelled import Labelled, phantom_concepts
from filters.calibration.planting import RIGHT_IOU, Planted, iou, plants
from filters.stage import Score
from miner.core.masks import bbox, encode
from miner.core.rle import encode_labels
from miner.core.unit import CANDIDATES
from ner.concepts import concepts
from ner.families import related
from segmenters.protocol import Prompt, Segmenter

MAX_INSTANCES = 400

LABELS = pa.schema(
    [
        ("tile", pa.string()),
        ("source", pa.string()),
        ("group", pa.string()),
        ("fold", pa.int64()),
        ("how", pa.string()),  # one of NATURAL and PLANTED
        ("iou", pa.float64()),  # with the truth of the phrase
        ("right", pa.bool_()),
        ("twin", pa.string()),  # the same for all phrases of one mask
    ]
)


def answers(
    tile: Labelled, segmenter: Segmenter, asked: Collection[str]
) -> list[tuple[str, np.ndarray, np.ndarray | None, float]]:
    """(concept, mask, labels, confidence) of every asked concept the segmenter finds."""
    table = concepts()
    prompts = [
        Prompt(name, table[name].kind, table[name].wordings)
        for name in asked
        if segmenter.supports(name)
    ]
    if not prompts:
        return []
    found = segmenter.segment(segmenter.encode(tile.image, tile.mpp), prompts)
    return [
        (c.concept, c.mask, c.labels, c.confidence)
        for c in found
        if c.mask is not None and c.mask.any()
    ]


def of_tile(tile: Labelled, segmenter: Segmenter, absent: int = 3) -> list[Planted]:
    """Natural and planted candidates of one tile.

    Args:
        tile: the tile.
        segmenter: answers for what is there and, on complete tiles, for what is not.
        absent: how many absent concepts are asked for.
    """
    rng = np.random.default_rng(
        int.from_bytes(hashlib.sha256(tile.name.encode()).digest()[:8], "big")
    )
    missing = _absent(tile) if tile.complete else []
    some = [missing[i] for i in rng.permutation(len(missing))[:absent]]
    found: list[Planted] = []
    for name, mask, labels, confidence in answers(tile, segmenter, [*tile.truth, *some]):
        known = tile.truth.get(name)
        if known is None:
            found.append(Planted(name, mask, labels, confidence, "absent", 0.0))
        elif known.exhaustive:
            value = iou(mask, known.labels > 0)
            found.append(Planted(name, mask, labels, confidence, "asked", value))
    return found + list(plants(tile, found, missing, rng))


def _absent(tile: Labelled) -> list[str]:
    """Concepts surely not in a complete tile, nor kin to anything in it, sorted."""
    table = concepts()
    return sorted(
        name
        for name in phantom_concepts()
        if name not in tile.truth and not any(related(name, there, table) for there in tile.truth)
    )


def score_tiles(
    tiles: Iterable[Labelled], segmenter: Segmenter, score: Score, absent: int = 3
) -> pa.Table:
    """Candidates of many tiles with all their scores and their known answers.

    Args:
        tiles: labelled tiles.
        segmenter: whose answers are judged.
        score: measures them.
        absent: absent concepts asked for per complete tile.

    Returns:
        `CANDIDATES`, the scores of `filters.stage.Score` and `LABELS`, one row per candidate.
    """
    tables = []
    for tile in tiles:
        planted = of_tile(tile, segmenter, absent)
        if planted:
            tables.append(scored(tile, planted, segmenter.name, score))
    return pa.concat_tables(tables, promote_options="default")


def scored(tile: Labelled, planted: list[Planted], segmenter: str, score: Score) -> pa.Table:
    """Candidates of one tile with all their scores; see `score_tiles`."""
    rows = [_row(tile.name, p, segmenter) for p in planted]
    # Planted candidates are no neighbours of each other: each is judged as if it were alone.
    results = score.score_image(tile.image, tile.mpp, rows, alone=True)
    table = pa.Table.from_pylist(rows, schema=CANDIDATES)
    for name, values in score.columns(results).items():
        table = table.append_column(name, values)
    labels = {
        "tile": [tile.name] * len(rows),
        "source": [tile.source] * len(rows),
        "group": [tile.group] * len(rows),
        "fold": [tile.fold] * len(rows),
        "how": [p.how for p in planted],
        "iou": [p.iou for p in planted],
        "right": [p.iou >= RIGHT_IOU for p in planted],
        "twin": [hashlib.sha256(r["counts"].encode()).hexdigest()[:12] for r in rows],
    }
    for field in LABELS:
        table = table.append_column(field.name, pa.array(labels[field.name], field.type))
    # The masks have done their work.
    return table.drop_columns(["counts", "instances"])


def _row(image_id: str, planted: Planted, segmenter: str) -> dict[str, Any]:
    kind = concepts()[planted.concept].kind
    labels = planted.labels
    if labels is not None and int(labels.max()) > MAX_INSTANCES:
        labels = None
    return {
        "image_id": image_id,
        "concept": planted.concept,
        "kind": kind,
        "roles": ["positive"],
        "prompt": concepts()[planted.concept].wordings[0],
        "segmenter": segmenter if planted.confidence is not None else "planted",
        "counts": encode(planted.mask),
        "instances": encode_labels(labels) if labels is not None and kind == "object" else [],
        "bbox": list(bbox(planted.mask)),
        "area_px": int(planted.mask.sum()),
        "confidence": planted.confidence,
        "reason": None,
    }
