"""Writes the data files of the filters: `python -m filters.calibration.train --data DATA`.

References come from those labelled tiles that the agreement model and the embedded
segmenter were trained on too; the decision from the patients that neither has seen, and from fresh
phantoms. Within the decision, models, isotonic maps and thresholds are cross-fitted by group. So no
tile is shared between segmenter, agreement model and calibration, and the references stay apart
from what they judge.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters import decision as decision_file
from filters import references as reference_file
from filters.calibration.candidates import score_tiles
from filters.calibration.curves import auroc
from filters.calibration.fit import Fitted, fit_decision
from filters.calibration.labelled import Labelled, phantoms, read_folders
from filters.calibration.planting import PLANTED
from filters.calibration.regions import Collected, fit_references, phantom_regions
from filters.config import FilterConfig
from filters.stage import Score
from miner.core.threads import fix_threads
from segmenters.protocol import Segmenter

REFERENCE_SEED, DECISION_SEED = 7_101, 7_202
# Planted masks are there so that every kind of error is learned. How often a score is right is
# measured on what a segmenter really answers; of the planted ones, twice as many, there remain just
# enough to say that errors of a kind it seldom makes are possible. At .2 thresholds were stricter
# than stated: precision=0.85 gave .92 on other phantoms, at .03 it gives .88.
PLANTED_WEIGHT, PLANTED_FREQUENCY = 0.5, 0.03


def weights_of(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Weight in learning and frequency in a run of every candidate, float64 (n,) each."""
    planted = np.isin(np.array(table["how"].to_pylist(), str), PLANTED)
    return np.where(planted, PLANTED_WEIGHT, 1.0), np.where(planted, PLANTED_FREQUENCY, 1.0)


def at_most(tiles: Iterator[Labelled], per_source: int) -> Iterator[Labelled]:
    """The first tiles of every source."""
    seen: Counter[str] = Counter()
    for tile in tiles:
        seen[tile.source] += 1
        if seen[tile.source] <= per_source:
            yield tile


def references(data: Sequence[Path], phantom_tiles: int) -> reference_file.References:
    """References from the folders' training tiles and from phantoms."""
    real = Collected()
    for tile in read_folders(data):
        if not tile.kept:
            real.add(tile)
    return fit_references(real, phantom_regions(phantom_tiles, REFERENCE_SEED))


def held_out(data: Sequence[Path], per_source: int) -> Iterator[Labelled]:
    """Labelled tiles of the patients that nothing was trained on."""
    tiles = (t for t in read_folders(data) if t.kept and (t.truth or t.absent))
    return at_most(tiles, per_source)


def candidates(
    data: Sequence[Path],
    phantom_tiles: int,
    per_source: int,
    segmenter: Segmenter,
    config: FilterConfig,
) -> pa.Table:
    """Scored candidates with known answers from held-out tiles and fresh phantoms."""
    tiles = itertools.chain(held_out(data, per_source), phantoms(phantom_tiles, DECISION_SEED))
    return score_tiles(tiles, segmenter, Score(config))


def summary(table: pa.Table, fitted: Fitted) -> list[str]:
    """Lines that say how well the cross-fitted decision tells right from wrong."""
    right = np.array(table["right"].to_pylist(), bool)
    how = np.array(table["how"].to_pylist(), str)
    source = np.array(table["source"].to_pylist(), str)
    lines = [
        f"{len(right)} candidates, {int(right.sum())} right; AUROC {auroc(fitted.logit, right):.3f}"
    ]
    for name in sorted(set(how)):
        rows = right | (how == name)
        lines.append(f"  against {name}: AUROC {auroc(fitted.logit[rows], right[rows]):.3f}")
    for name in sorted(set(source)):
        rows = source == name
        area = auroc(fitted.logit[rows], right[rows])
        lines.append(f"  {name}: {int(rows.sum())} candidates, AUROC {area:.3f}")
    for name, one in fitted.decision.calibrations.items():
        limit = one.threshold_for(0.9)
        kept = float(one.kept[one.threshold >= limit].max(initial=0.0))
        lines.append(
            f"  {name}: {one.right} right, {one.wrong} wrong; "
            f"precision .9 at {limit:.3f}, keeping {kept:.2f} of the right ones"
        )
    return lines


def main() -> None:
    """Fit and write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="*",
        default=[],
        help="folders of labelled tiles; phantoms alone if none",
    )
    parser.add_argument("--out", type=Path, default=reference_file.EMBEDDED.parent)
    parser.add_argument("--phantoms", type=int, default=480, help="phantoms for the decision")
    parser.add_argument("--reference-phantoms", type=int, default=300)
    parser.add_argument("--per-source", type=int, default=24, help="real tiles per data set")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep-references", action="store_true", help="fit the decision only")
    parser.add_argument("--candidates", type=Path, help="also write the scored candidates here")
    arguments = parser.parse_args()
    fix_threads(arguments.threads)
    from segmenters.embedded import EmbeddedSegmenter

    path = arguments.out / "references.json"
    if not arguments.keep_references:
        fitted = references(arguments.data, arguments.reference_phantoms)
        write(path, reference_file.to_json(fitted))
        for name, one in fitted.concepts.items():
            print(f"{name}: {len(one.heldout['raw'])} regions of {', '.join(one.sources)}")
    table = candidates(
        arguments.data,
        arguments.phantoms,
        arguments.per_source,
        EmbeddedSegmenter(),
        FilterConfig(references=str(path)),
    )
    if arguments.candidates:
        pq.write_table(table, arguments.candidates)
    sources = sorted(set(table["source"].to_pylist()))
    result = fit_decision(table, *weights_of(table), sources)
    write(arguments.out / "decision.json", decision_file.to_json(result.decision))
    print("\n".join(summary(table, result)))


def write(path: Path, value: object) -> None:
    """Write compact JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
