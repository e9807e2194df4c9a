"""What is kept of labelled tiles at a stated precision, and what is kept where there is nothing."""

from __future__ import annotations

import pathlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from filters.calibration.candidates import answers, scored
from filters.calibration.labelled import Labelled, read_folders
from filters.calibration.planting import RIGHT_IOU, Planted, iou
from filters.calibration.train import at_most
from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from segmenters.protocol import Segmenter
from tests.bench import sheets

PRECISION = 0.9
FALSE_ALARMS = 0.03


def tiles(folders: Sequence[pathlib.Path], per_set: int) -> Iterable[Labelled]:
    """Tiles that nothing was trained on, of both folders."""
    return at_most((t for t in read_folders(folders) if t.kept), per_set)


def dice(value: float) -> float:
    """Dice of an IoU."""
    return 2 * value / (1 + value)


def report(
    name: str,
    source: Iterable[Labelled],
    segmenter: Segmenter,
    folder: pathlib.Path | None = None,
) -> None:
    """Print Dice, share kept and precision by concept, and false alarms where it is absent.

    Args:
        name: of the tiles.
        source: the tiles.
        segmenter: asked for all that is known to be there or not to be there.
        folder: where contact sheets go, by concept.
    """
    score = Score(FilterConfig())
    tables: list[pa.Table] = []
    values: dict[str, list[float]] = defaultdict(list)
    empty: dict[str, int] = defaultdict(int)
    shown = []
    for tile in source:
        planted = []
        asked = [n for n, t in tile.truth.items() if t.exhaustive]
        for concept, one in answers(tile, segmenter, [*asked, *tile.absent]).items():
            known = tile.truth.get(concept)
            there = known is not None and bool((known.labels > 0).any())
            value = 0.0
            if one.mask is not None and there and known is not None:
                value = iou(one.mask, known.labels > 0, known.unknown)
            if there:
                values[concept].append(value)
                if folder is not None and known is not None:
                    shown.append((tile, concept, concept, known.labels, one))
            else:
                empty[concept] += 1
            if one.mask is not None and one.mask.any():
                how = "asked" if there else "absent"
                own, as_ = one.scores, one.asked_as
                planted.append(
                    Planted(concept, one.mask, one.labels, one.confidence, how, value, as_, own)
                )
        if planted:
            tables.append(scored(tile, planted, segmenter.name, score))
    if folder is not None:
        sheets.write(shown, folder)
    table = pa.concat_tables(tables, promote_options="default")
    keep = np.array(decide(table, FilterConfig(precision=PRECISION))["keep"].to_pylist(), bool)
    concept, how = (np.array(table[c].to_pylist(), str) for c in ("concept", "how"))
    right = np.array(table["iou"].to_pylist()) >= RIGHT_IOU
    print(f"\n## {name}: kept at precision {PRECISION:g}")
    print(
        f"{'concept':24}{'tiles':>6}{'Dice':>7}{'right':>7}{'kept':>7}{'of right':>10}{'wrong':>7}"
    )
    for what in sorted(values):
        mine, count = (concept == what) & (how == "asked"), len(values[what])
        good = int((mine & right).sum())
        print(
            f"{what:24}{count:9}{np.mean([dice(v) for v in values[what]]):9.3f}{good:9}"
            f"{int((mine & keep).sum()):9}{(mine & keep & right).sum() / max(good, 1):9.2f}"
            f"{int((mine & keep & ~right).sum()):9}"
        )
    asked_ = how == "asked"
    share = right[asked_ & keep].mean() if (asked_ & keep).any() else float("nan")
    print(
        f"all: {int((asked_ & keep).sum())} kept, {share:.3f} right; "
        f"{(keep & right).sum() / max(right.sum(), 1):.3f} of the right ones"
    )
    print("false alarms: tiles without a structure on which a mask of it is kept")
    for what in sorted(empty):
        kept = int(((concept == what) & (how == "absent") & keep).sum())
        good_ = kept <= FALSE_ALARMS * empty[what]
        print(f"{what:24}{kept:4} of {empty[what]:4} {'OK' if good_ else 'SHORT'}")
