"""`miner calibrate`: references and decision refitted on a user's own labelled tiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from filters import decision as decision_file
from filters import references as reference_file
from filters.calibration.candidates import score_tiles
from filters.calibration.fit import fit_decision
from filters.calibration.fit_references import Collected, fit_references
from filters.calibration.labelled import Labelled
from filters.calibration.train import summary, weights_of, write
from filters.config import FilterConfig
from filters.references import References
from filters.stage import Score
from miner.core.errors import Refused
from segmenters import registry
from segmenters.config import SegmentConfig


def refit(
    labelled: Iterable[Labelled],
    out: Path,
    segment: SegmentConfig,
    filters: FilterConfig,
    references_only: bool = False,
) -> list[str]:
    """Fit on labelled tiles and write `references.json` and `decision.json`.

    The candidates of one half of the groups are measured against references of the other half; the
    references that are written come from all. Concepts without enough labelled regions keep the
    reference they had. Which pictures are in support is decided by the labelled ones alone.

    Args:
        labelled: tiles, see `filters.calibration.labelled.read_folders`.
        out: folder for the two files.
        segment: whose candidates are judged.
        filters: how they are scored, and the references that keep what is not fitted.
        references_only: leave the decision alone; no segmenter runs.

    Returns:
        Lines that say what was fitted on what.

    Raises:
        Refused: there are none, no concept has enough regions, or all candidates
            are right or wrong.
    """
    tiles = list(labelled)
    if not tiles:
        raise Refused("--masks: no labelled tile in these folders")
    old = reference_file.load_references(filters.references)
    collected = _collect(tiles)
    new = fit_references(collected, Collected())
    fitted = _merged(old, new)
    path = out / "references.json"
    write(path, reference_file.to_json(fitted))
    lines = [
        f"{name}: {len(one.heldout['raw'])} regions of {', '.join(one.sources)}"
        for name, one in fitted.concepts.items()
    ]
    lines += [
        f"{name}: {len(regions)} labelled regions are too few, "
        + ("it keeps the reference it had" if name in old.concepts else "it has no reference")
        for name, regions in sorted(collected.regions.items())
        if name not in new.concepts
    ]
    if references_only:
        return [*lines, f"next: --set filters.references={path}"]

    halves = [[t for t in tiles if t.fold % 2 == side] for side in (0, 1)]
    tables: list[pa.Table] = []
    for mine, others in (halves, halves[::-1]):
        if not mine:
            continue
        where = "one half of the groups, by which the other is judged"
        with_half = _merged(old, fit_references(_collect(others or mine), Collected(), where))
        score = Score(filters)
        score.references = with_half
        tables += [score_tiles(mine, one, score) for one in registry.build(segment)]
    table = pa.concat_tables(tables, promote_options="default")
    result = fit_decision(table, *weights_of(table), sorted({t.source for t in tiles}))
    write(out / "decision.json", decision_file.to_json(result.decision))
    lines += summary(table, result)
    next_step = f"--set filters.references={path} --set filters.decision={out / 'decision.json'}"
    return [*lines, f"next: {next_step}"]


def _collect(tiles: Iterable[Labelled]) -> Collected:
    collected = Collected()
    for tile in tiles:
        collected.add(tile)
    return collected


def _merged(old: References, new: References) -> References:
    return dataclasses.replace(new, concepts={**old.concepts, **new.concepts})
