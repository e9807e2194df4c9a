"""The figures about masks, each computed here and nowhere else.

A mask belongs to a concept of a picture and counts once, however many captions of the picture name
it. A *region* is a mask in a written sample: one for each caption that grounds it. A picture lies
in one unit, so that all of these are sums over units.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.core.store import Store
from miner.report.words import SHOWN

BINS = 24
WRITTEN = "written"
# Columns of the candidate ledger that a report shows; a run need not have all of them.
COLUMNS = (
    "sample_id", "polarity", "concept", "kind", "asked_as", "segmenter", "prompt", "area_px",
    "calibration", "q_value", "keep", "reason", "failed",
)  # fmt: skip


def masks_table(store: Store) -> pa.Table:
    """What was asked for, once for each concept of a picture and segmenter.

    Returns:
        Of the candidate ledger what a report shows, and `picture` (corpus and name), `status` of
        the caption row that it is told by, and `state`: `written` for a mask in the shards,
        `duplicate` or `excluded` for an accepted one whose picture is not, else the reason. Of
        several captions one that has it written stands for all, else the first that affirms it.
    """
    files = store.names("ledger/candidates", suffix=".parquet")
    return pa.concat_tables([_masks_of(store, name) for name in files], promote_options="default")


def _masks_of(store: Store, name: str) -> pa.Table:
    """The masks of one file of the ledger, which holds all rows of its pictures."""
    there = set(store.read_schema(name).names)
    wanted = [column for column in dict.fromkeys((*COLUMNS, *SHOWN)) if column in there]
    table = store.read_table(name, wanted)
    beside = f"ledger/samples/{name.rsplit('/', 1)[-1]}"
    rows = store.read_table(beside, ["sample_id", "corpus", "image", "status"])
    at = pc.index_in(table["sample_id"], rows["sample_id"])
    picture = pc.binary_join_element_wise(rows["corpus"], rows["image"], "/")
    table = table.append_column("picture", picture.take(at))
    table = table.append_column("status", rows["status"].take(at))
    written = pc.and_(table["keep"], pc.equal(table["status"], WRITTEN))
    affirmed = pc.fill_null(pc.equal(table["polarity"], "affirmed"), False)
    rank = pc.case_when(
        pc.make_struct(written, affirmed, pc.is_valid(table["polarity"])), 0, 1, 2, 3
    )
    table = table.take(_first_of_each(table, rank.to_numpy().astype(np.int64)))
    accepted = pc.if_else(table["keep"], table["status"], table["reason"])
    return table.append_column("state", accepted)


def _first_of_each(table: pa.Table, rank: np.ndarray) -> pa.Array:
    """Rows of the lowest rank, by picture, concept and segmenter, in the order of the table."""
    key = np.zeros(table.num_rows, np.int64)
    for name in ("picture", "concept", "segmenter"):
        column = table[name].combine_chunks().dictionary_encode()
        key = key * len(column.dictionary) + column.indices.to_numpy(zero_copy_only=False)
    order = np.lexsort((np.arange(len(key)), rank, key))
    first = np.ones(len(key), bool)
    first[1:] = key[order][1:] != key[order][:-1]
    return pa.array(np.sort(order[first]))


def mask_counts(masks: pa.Table) -> dict[str, int]:
    """The steps of the funnel of masks.

    Returns:
        asked: what captions affirm and segmenters were asked for; drawn: of these, masks;
        accepted: of these, by the filters; written: of these, in the shards; controls: masks of
        decoys and of phrases that no caption affirms.
    """
    affirmed = pc.fill_null(pc.equal(masks["polarity"], "affirmed"), False)
    drawn = pc.fill_null(pc.greater(masks["area_px"], 0), False)
    counts = {
        "asked": affirmed,
        "drawn": pc.and_(affirmed, drawn),
        "accepted": masks["keep"],
        "written": pc.equal(masks["state"], WRITTEN),
        "controls": pc.and_(pc.invert(affirmed), drawn),
    }
    return {name: pc.sum(rows).as_py() or 0 for name, rows in counts.items()}


def mask_funnel(counts: dict[str, int], regions: int) -> list[tuple[str, int, str]]:
    """Steps from what was asked to masks in the shards: name, count, what was lost."""
    asked, drawn, accepted, written = (
        counts[name] for name in ("asked", "drawn", "accepted", "written")
    )
    return [
        ("concepts asked for in a picture", asked, ""),
        ("masks drawn", drawn, f"−{asked - drawn:,} without a mask" if asked > drawn else ""),
        ("masks accepted", accepted, f"−{drawn - accepted:,} rejected" if drawn > accepted else ""),
        (
            "masks in the shards",
            written,
            "; ".join(
                [
                    *([f"−{accepted - written:,} duplicates and exclusions"]
                      if accepted > written else []),
                    f"named by captions as {regions:,} regions",
                ]
            ),
        ),
    ]  # fmt: skip


def concept_rows(masks: pa.Table) -> list[dict[str, Any]]:
    """Per concept: asked, drawn, kept, written, denied, decoys, controls, median, level, reasons.

    Counts add up to those of `mask_counts`, where `kept` is called accepted; `controls` are masks
    of decoys and of phrases that no caption affirms, `decoys` and `denied` how often such were
    asked for.
    `level` is the calibration that judged its masks, None where none was drawn. The median is of
    the scores of accepted masks; `reasons` say why the others of those asked for were not accepted,
    the most frequent first.
    """
    drawn = pc.fill_null(pc.greater(masks["area_px"], 0), False).cast(pa.int64())
    groups = (
        masks.append_column("drawn", drawn)
        .group_by(["concept", "polarity", "keep", "reason", "state"], use_threads=False)
        .aggregate([("drawn", "sum"), ("calibration", "max"), ([], "count_all")])
    )
    found: dict[str, dict[str, Any]] = {}
    names = ("asked", "drawn", "kept", "written", "denied", "decoys", "controls")
    for group in groups.to_pylist():
        empty = dict.fromkeys(names, 0)
        row = found.setdefault(group["concept"], {**empty, "level": None, "reasons": Counter()})
        row["level"] = row["level"] or group["calibration_max"]
        n = group["count_all"]
        if group["polarity"] != "affirmed":
            row["decoys" if group["polarity"] is None else "denied"] += n
            row["controls"] += group["drawn_sum"]
        else:
            row["asked"] += n
            row["drawn"] += group["drawn_sum"]
            if group["keep"]:
                row["kept"] += n
                row["written"] += n if group["state"] == WRITTEN else 0
            else:
                row["reasons"][group["reason"]] += n
    scores = (
        masks.filter(masks["keep"])
        .group_by("concept", use_threads=False)
        .aggregate([("score", "list")])
    )
    medians = {
        concept: float(np.median(values))
        for concept, values in zip(
            *(scores[c].to_pylist() for c in scores.column_names), strict=True
        )
    }
    rows = [
        {
            **row,
            "concept": concept,
            "median": medians.get(concept),
            "reasons": sorted(row["reasons"].items(), key=lambda pair: (-pair[1], pair[0])),
        }
        for concept, row in found.items()
    ]
    return sorted(rows, key=lambda r: (-r["kept"], -r["asked"], r["concept"]))


def score_histograms(masks: pa.Table) -> list[dict[str, Any]]:
    """Counts per bin of the shown scores: accepted, rejected and controls (decoys, negated)."""
    keep = masks["keep"].to_numpy().astype(bool)
    affirmed = pc.fill_null(pc.equal(masks["polarity"], "affirmed"), False)
    affirmed = affirmed.to_numpy().astype(bool)
    groups = {"accepted": keep, "rejected": affirmed & ~keep, "controls": ~affirmed}
    result = []
    for name, meaning in SHOWN.items():
        if name not in masks.column_names:
            continue
        values = masks[name].to_numpy().astype(float)
        known = np.isfinite(values)
        if not known.any():
            continue
        low, high = 0.0, 1.0
        if values[known].min() < 0 or values[known].max() > 1 or "margin" in name:
            low, high = (float(q) for q in np.quantile(values[known], [0.005, 0.995]))
        edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
        clipped = np.clip(values, edges[0], edges[-1])
        result.append(
            {
                "name": name,
                "meaning": meaning,
                "edges": edges.tolist(),
                "counts": {
                    g: np.histogram(clipped[rows & known], edges)[0].tolist()
                    for g, rows in groups.items()
                },
            }
        )
    return result
