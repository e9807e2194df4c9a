"""Candidates with a known answer: what a segmenter says about labelled tiles, and planted errors.

Everything is a function of the tile's name, so the same tiles give the same candidates.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pyarrow as pa

from filters.calibration.labelled import Labelled, phantom_concepts
from filters.calibration.planting import MOST_PLANTED, RIGHT_IOU, Planted, iou, plants
from filters.scores import OWN
from filters.stage import Score
from miner.core.masks import bbox, encode
from miner.core.rle import encode_labels
from miner.core.rows import AnsweredCandidate
from miner.core.unit import CANDIDATES
from ner.concepts import concepts
from ner.families import related
from segmenters.ask import ask
from segmenters.protocol import Candidate, Prompt, Segmenter

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


def answers(tile: Labelled, segmenter: Segmenter, asked: Collection[str]) -> dict[str, Candidate]:
    """What a segmenter says of every asked concept that it knows, by concept."""
    table = concepts()
    prompts = [Prompt(name, table[name].kind, table[name].wordings, tile.site) for name in asked]
    found = ask(segmenter, tile.image, tile.mpp, prompts, tile.name)
    return {c.concept: c for c in found if c.reason != "unsupported"}


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
    missing = _absent(tile) if tile.complete else list(tile.absent)
    given = answers(tile, segmenter, [*tile.truth, *missing])
    judged = {name: one.asked_as for name, one in given.items()}
    missing = _unlike(missing, tile, judged)
    some = [missing[i] for i in rng.permutation(len(missing))[:absent]]
    found: list[Planted] = []
    for name in (*tile.truth, *some):
        one, known = given.get(name), tile.truth.get(name)
        if one is None or one.mask is None or not one.mask.any():
            continue
        value = 0.0 if known is None else iou(one.mask, known.labels > 0, known.unknown)
        if known is None or known.exhaustive:
            came = "absent" if known is None else "asked"
            mask, labels = one.mask, one.labels
            found.append(Planted(name, mask, labels, one.confidence, came, value, own=one.scores))
    planted = list(plants(tile, found, missing, rng))
    found += [p for p in planted if p.mask.mean() < MOST_PLANTED]
    return [dataclasses.replace(p, asked_as=judged.get(p.concept)) for p in found]


def absent_from(tile: Labelled, most: int | None = None) -> list[str]:
    """Concepts that surely are not in a tile, nor kin to anything in it.

    Args:
        tile: the tile.
        most: how many, chosen by the tile's name; None for all.
    """
    missing = _unlike(_absent(tile) if tile.complete else list(tile.absent), tile, {})
    digest = hashlib.sha256(f"absent/{tile.name}".encode()).digest()
    order = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(missing))
    return sorted(missing[i] for i in order[:most])


def _absent(tile: Labelled) -> list[str]:
    """Concepts surely not in a complete tile, nor kin to anything in it, sorted."""
    table = concepts()
    return sorted(
        name
        for name in phantom_concepts()
        if name not in tile.truth and not any(related(name, there, table) for there in tile.truth)
    )


def _unlike(names: list[str], tile: Labelled, judged: Mapping[str, str | None]) -> list[str]:
    """Those of some absent concepts whose mask would not be right for something that is there."""
    table = concepts()
    there = {*tile.truth, *(judged.get(name) or name for name in tile.truth)}
    return [
        name
        for name in names
        if not any(related(judged.get(name) or name, other, table) for other in there)
    ]


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


def scored(
    tile: Labelled,
    planted: list[Planted],
    segmenter: str,
    score: Score,
    most: int | None = MAX_INSTANCES,
) -> pa.Table:
    """Candidates of one tile with all their scores; see `score_tiles`.

    Args:
        tile: the tile.
        planted: its candidates.
        segmenter: name of whose answers they are.
        score: measures them.
        most: of more objects than this none is told apart; None: always, as a run does.
    """
    rows = [_row(tile.name, p, segmenter, most) for p in planted]
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
        "twin": [hashlib.sha256((r["counts"] or "").encode()).hexdigest()[:12] for r in rows],
    }
    for name in OWN:
        values = [p.own.get(name) for p in planted]
        table = table.append_column(name, pa.array(values, pa.float64()))
    for field in LABELS:
        table = table.append_column(field.name, pa.array(labels[field.name], field.type))
    # The masks have done their work.
    return table.drop_columns(["counts", "instances"])


def _row(image_id: str, planted: Planted, segmenter: str, most: int | None) -> AnsweredCandidate:
    kind = concepts()[planted.concept].kind
    labels = planted.labels
    if labels is not None and most is not None and int(labels.max()) > most:
        labels = None
    return {
        "image_id": image_id,
        "concept": planted.concept,
        "kind": kind,
        "asked_as": planted.asked_as,
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
