"""What is kept of labelled tiles at a stated precision, and what is kept where there is nothing."""

from __future__ import annotations

import pathlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from filters.calibration.candidates import absent_from, answers, scored
from filters.calibration.labelled import Labelled, read_folders
from filters.calibration.planting import RIGHT_IOU, Planted, iou
from filters.calibration.train import at_most
from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from ner.concepts import concepts
from ner.families import related
from segmenters.protocol import Segmenter
from tests.bench import sheets

PRECISION, FDR = 0.9, 0.1
FALSE_ALARMS = 0.03
ABSENT_ASKED = 6  # absent concepts that a tile is asked for of which all is known


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
    """Print Dice, share kept and precision by concept, yield, and false alarms where it is absent.

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
    drawn, present, silent = 0, {}, []
    for tile in source:
        planted = []
        present[tile.name] = set(tile.truth)
        asked = [n for n, t in tile.truth.items() if t.exhaustive]
        drawn += sum(bool((tile.truth[n].labels > 0).any()) for n in asked)
        absent = absent_from(tile, ABSENT_ASKED) if tile.complete else tile.absent
        for concept, one in answers(tile, segmenter, [*asked, *absent]).items():
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
            how = "asked" if there else "absent"
            if one.mask is None or not one.mask.any():
                silent.append(
                    {
                        **{"image_id": tile.name, "tile": tile.name, "concept": concept},
                        **{"kind": concepts()[concept].kind, "asked_as": one.asked_as},
                        **{
                            "segmenter": segmenter.name,
                            "area_px": 0,
                            "reason": "empty",
                            "how": how,
                        },
                    }
                )
            else:
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
    print(
        f"yield: {(keep & right).sum() / drawn:.3f} of {drawn} outlined structures; "
        f"{right.sum() / drawn:.3f} if all right masks were kept"
    )
    every = pa.concat_tables([table, pa.Table.from_pylist(silent)], promote_options="permissive")
    chosen = _at_fdr(every, present)[: table.num_rows]
    wrong = (~right[chosen]).mean() if chosen.any() else float("nan")
    print(
        f"fdr={FDR:g}: {int(chosen.sum())} kept, {wrong:.3f} wrong; "
        f"yield {(chosen & right).sum() / drawn:.3f}"
    )
    print("false alarms: tiles without a structure on which a mask of it is kept")
    for what in sorted(empty):
        kept = int(((concept == what) & (how == "absent") & keep).sum())
        good_ = kept <= FALSE_ALARMS * empty[what]
        print(f"{what:24}{kept:4} of {empty[what]:4} {'OK' if good_ else 'SHORT'}")


def _at_fdr(table: pa.Table, present: Mapping[str, set[str]]) -> np.ndarray:
    """Which of the masks asked for are kept where the absent ones are decoys, bool (n,).

    As in a run, what is answered as something that is there is no decoy: a mask of epithelium does
    not show that no tumor cell is in it.

    Args:
        table: all answers, those without a mask too.
        present: concepts that are in a tile, by its name.
    """
    roles = []
    columns = (table[name].to_pylist() for name in ("tile", "concept", "asked_as", "how"))
    for tile, name, answered_as, how in zip(*columns, strict=True):
        kin = any(related(answered_as or name, there, concepts()) for there in present[tile])
        roles.append(["positive"] if how == "asked" else ["negated"] if kin else ["decoy"])
    place = table.column_names.index("roles")
    table = table.set_column(place, "roles", pa.array(roles, pa.list_(pa.string())))
    return np.array(decide(table, FilterConfig(fdr=FDR))["keep"].to_pylist(), bool) & (
        np.array(table["how"].to_pylist(), str) == "asked"
    )
