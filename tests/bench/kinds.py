"""Object F1 of kinds of nuclei and of mitotic figures on tiles kept apart, set by set."""

from __future__ import annotations

import pathlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from filters.calibration.candidates import answers
from filters.calibration.labelled import read_folders
from segmenters.protocol import Segmenter
from tests.bench import overlap

CONCEPTS = (
    *("lymphocyte", "stromal nucleus", "epithelial nucleus", "tumor cell"),
    *("inflammatory cell", "mitotic figure"),
)
BARS = {
    ("brca_m2c", "lymphocyte"): 0.75,
    ("brca_m2c", "stromal nucleus"): 0.55,
    ("brecahad", "tumor cell"): 0.70,
    ("midog_mf", "mitotic figure"): 0.70,
}


def report(folders: Sequence[pathlib.Path], segmenter: Segmenter) -> None:
    """Print F1 at an IoU of .5, and what share of the true objects is found.

    Where not all objects of a kind are outlined, others that are found count as false: F1 could
    not reach 1 there, and "at most" is what it would be if all true ones were found.

    Args:
        folders: of labelled tiles.
        segmenter: asked for what is outlined.
    """
    table: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
    partial = set()
    for tile in read_folders(folders):
        names = [name for name in CONCEPTS if name in tile.truth]
        if not tile.kept or not names:
            continue
        for concept, one in answers(tile, segmenter, names).items():
            truth = tile.truth[concept]
            labels = np.zeros_like(truth.labels) if one.labels is None else one.labels
            table[tile.source, concept].append(overlap.matches(labels, truth.labels))
            if not truth.exhaustive:
                partial.add((tile.source, concept))
    print("\n## objects of tiles kept apart, IoU .5")
    print(f"{'set':12}{'concept':20}{'tiles':>6}{'true':>6}{'found':>7}{'F1':>7}")
    for key in sorted(table):
        hits, found, true = (sum(one[i] for one in table[key]) for i in range(3))
        f1 = overlap.object_f1(table[key])
        bar = BARS.get(key)
        verdict = "" if bar is None else f"  (bar {bar:.2f}) {'OK' if f1 >= bar else 'SHORT'}"
        if key in partial:
            verdict += f"  not all are outlined: at most {2 * true / max(found + true, 1):.2f}"
        print(
            f"{key[0]:12}{key[1]:20}{len(table[key]):6}{true:6}{hits / max(true, 1):7.3f}"
            f"{f1:7.3f}{verdict}"
        )
