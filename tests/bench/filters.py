"""Figures of the filters: `python -m tests.bench.filters [PART ...]`, from seeds.

Parts: equality, ks, phantoms (AUROC, precision and yield, false-discovery rate, entrapment), cost,
vit, real. Every figure stands beside its bar. The phantoms here have seeds that nothing was fitted
on. `real` needs ../shared/data/real; it is for reporting only.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from filters import biomedparse_ks, fdr, ks
from filters.batch import read_batch
from filters.calibration.candidates import score_tiles, scored
from filters.calibration.curves import auroc
from filters.calibration.fit_references import Collected, fit_references, phantom_regions
from filters.calibration.labelled import Labelled, phantoms, read_folder
from filters.calibration.planting import Planted
from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from miner.core.threads import fix_threads
from ner.concepts import concepts
from tests.bench import clip, filters_cost

CORPORA, TILES = 20, 3  # false-discovery rate: independent phantom corpora, tiles in each
SEED = 910_000
# Concepts that ../shared/data/real has expert masks of.
EXPERT = (
    "nucleus",
    "epithelial nucleus",
    "lymphocyte",
    "neutrophil",
    "macrophage",
    "gland",
    "glomerulus",
)
TARGETS = (0.8, 0.85, 0.9, 0.95)
BARS = {"phantoms": 0.9, "real": 0.8}
PARTS = ("equality", "ks", "phantoms", "cost", "vit", "real")
KS_STATISTICS = {
    "raw": "D to the reference, raw",
    "normalized": "D to the reference, stain normalised",
    "rival": "nearer to a rival (ks_p_rival)",
}


def figure(name: str, value: float, bar: str, good: bool | None, count: int | None = None) -> None:
    """Print one figure beside its bar; `good` None: shown for comparison."""
    verdict = "for comparison" if good is None else "OK" if good else "SHORT"
    shown = f"{value:.1e}" if 0 < abs(value) < 1e-4 else f"{value:.3f}"
    print(f"{name}: {shown}{f' of {count}' if count else ''} (bar {bar}) {verdict}", flush=True)


def equality(n: int = 2000) -> None:
    """BiomedParse's formula against scipy's exact one-sample test."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(n):
        parameters, x = rng.uniform(0.5, 60, (4, 2)), rng.uniform(0.001, 0.999, 4)
        p = [
            stats.ks_1samp([v], stats.beta(a, b).cdf, method="exact").pvalue
            for v, (a, b) in zip(x, parameters, strict=True)
        ]
        found = biomedparse_ks.tail_probabilities(x, parameters)
        score = biomedparse_ks.score(x, ["t"], {"t": parameters}) or 0.0
        worst = max(worst, np.abs(found - p).max(), abs(score - np.prod(p) ** 0.25))
    figure("BiomedParse's formula, difference from scipy", float(worst), "1e-12", worst <= 1e-12, n)


def ks_levels(fit_on: int = 300, test_on: int = 160) -> None:
    """Type-I error on slides and stains kept apart, power against siblings of another stain."""
    test = Collected()
    for tile in phantoms(test_on, SEED + 20, 320):
        test.add(tile)
    fitted = fit_references(Collected(), phantom_regions(fit_on, SEED + 1, 320))
    known = list(fitted.concepts)
    rivals = {name: ks.rivals(name, known) for name in known}
    own: dict[str, list[float]] = {name: [] for name in KS_STATISTICS}
    other: dict[str, list[float]] = {name: [] for name in KS_STATISTICS}
    for shown, regions in sorted(test.regions.items()):
        for region in regions:
            d = fitted.table.d(region.pixels)
            raw, normalized = ks.reference_d(d)
            rows = {
                name: ks.with_objects(d[i], region.objects, fitted.concepts[name])
                for name, i in fitted.order.items()
            }
            for name in known:
                if name == shown or shown in rivals[name]:
                    at, heldout = fitted.order[name], fitted.concepts[name].heldout
                    near = ks.nearer_rival(rows[name], np.stack([rows[r] for r in rivals[name]]))
                    found = {"raw": raw[at], "normalized": normalized[at], "rival": near}
                    for which, value in found.items():
                        side = own if name == shown else other
                        side[which].append(ks.conformal(value, heldout[which]))
    print("KS at alpha .05 (references and regions from phantoms, no slide or stain in common)")
    for which, what in KS_STATISTICS.items():
        error, power = (float(np.mean(np.array(p[which]) <= 0.05)) for p in (own, other))
        count = len(own[which])
        figure(f"  type-I error, {what}", error, "within .03-.07", 0.03 <= error <= 0.07, count)
        # D alone is what the other statistic is compared with; the bar is on the test that is used.
        good = power >= 0.8 if which == "rival" else None
        figure(f"  power, {what}", power, ">= .80", good, len(other[which]))


def verdicts(table: pa.Table, **settings: float) -> tuple[np.ndarray, np.ndarray]:
    """Score and keep of every candidate under some settings."""
    found = decide(table, FilterConfig(**settings))
    score = found["score"].combine_chunks().to_numpy(zero_copy_only=False).astype(float)
    return score, np.array(found["keep"].to_pylist(), bool)


def separation(table: pa.Table, name: str) -> None:
    """AUROC right against wrong phrase on one mask, and right against misplaced mask."""
    score, _ = verdicts(table)
    right = np.array(table["right"].to_pylist(), bool)
    how = np.array(table["how"].to_pylist(), str)
    twin = np.array(table["twin"].to_pylist(), str)
    place = np.array(
        [
            f"{t}/{c}"
            for t, c in zip(table["tile"].to_pylist(), table["concept"].to_pylist(), strict=True)
        ]
    )
    phrase = np.isin(twin, twin[how == "concept"]) & (right | (how == "concept"))
    misplaced = np.isin(how, ["shifted", "hallucinated"])
    moved = np.isin(place, place[misplaced]) & (right | misplaced)
    bar = BARS[name]
    for what, rows in (
        ("right against wrong phrase on the same mask", phrase),
        ("right against shifted or shape-matched random mask", moved),
    ):
        area = auroc(score[rows], right[rows])
        figure(f"{name}: AUROC, {what}", area, f">= {bar:.2f}", area >= bar, int(rows.sum()))
    natural = np.isin(how, ["asked", "absent"])
    asked = how == "asked"
    drawn = np.isin(np.array(table["concept"].to_pylist(), str), EXPERT)
    print(
        f"{name}: segmenter's own answers: {auroc(score[natural], right[natural]):.3f} AUROC, "
        f"{right[asked].mean():.3f} of {int(asked.sum())} right before filtering"
    )
    for which, rows in (("all concepts", asked), ("concepts experts drew", asked & drawn)):
        good, most = right[rows], 0.0
        for target in TARGETS:
            _, keep = verdicts(table.filter(pa.array(rows)), precision=target)
            precision = float(good[keep].mean()) if keep.any() else float("nan")
            most = max(most, float(keep.mean()) if precision >= 0.85 else 0.0)
            print(
                f"{name}, {which}: precision={target:g}: realised {precision:.3f}, kept "
                f"{keep.mean():.3f} of {len(keep)} candidates ({good.mean():.3f} right), "
                f"{(good & keep).sum() / max(good.sum(), 1):.3f} of the right ones"
            )
        held = name == "phantoms" and which != "all concepts"
        verdict = most >= 0.5 if held else None
        figure(f"{name}, {which}: kept where precision is at least .85", most, ">= .50", verdict)


def fdr_levels(corpora: list[pa.Table]) -> None:
    """Realised against nominal rate over corpora with planted wrong masks and decoys."""
    for nominal in (0.05, 0.1, 0.2):
        rates, yields, caught, shown = [], [], [], 0
        for table in corpora:
            how = np.array(table["how"].to_pylist(), str)
            # Half of the absent phrases are asked as decoys, half stand in captions wrongly.
            absent = np.flatnonzero(how == "absent")
            decoy = np.isin(np.arange(len(how)), absent[::2])
            roles = [["decoy"] if d else ["positive"] for d in decoy]
            # Every planted mask is a picture's only answer, as if another segmenter gave it.
            image = [f"{t}#{i}" for i, t in enumerate(table["image_id"].to_pylist())]
            names = table.column_names
            table = table.set_column(
                names.index("roles"), "roles", pa.array(roles, pa.list_(pa.string()))
            ).set_column(names.index("image_id"), "image_id", pa.array(image))
            _, keep = verdicts(table, fdr=nominal)
            right = np.array(table["right"].to_pylist(), bool)
            trap = np.isin(np.arange(len(how)), absent[1::2])
            rates.append(float((~right[keep]).mean()) if keep.any() else 0.0)
            caught.append(float(trap[keep].mean()) if keep.any() else 0.0)
            yields.append(float((right & keep).sum() / right.sum()))
            shown += int(decoy.sum())
        rate, spread = float(np.mean(rates)), np.std(rates) / np.sqrt(len(rates))
        bar = nominal + 0.03
        name = f"fdr={nominal:g}: mean realised"
        figure(name, rate, f"<= {bar:.2f}", rate <= bar, len(corpora))
        print(
            f"  +- {spread:.3f}; yield {np.mean(yields):.3f} of the right masks, "
            f"{shown / len(corpora):.0f} decoys a corpus; entrapment: phrases that stand in "
            f"captions wrongly are {np.mean(caught):.3f} of the accepted"
        )


def entrapment(corpora: list[pa.Table]) -> None:
    """Whether decoys alone find phrases that stand in captions wrongly, all corpora together."""
    table = pa.concat_tables(corpora, promote_options="default")
    how = np.array(table["how"].to_pylist(), str)
    table = table.filter(pa.array(np.isin(how, ["asked", "absent"])))
    score, _ = verdicts(table)
    batch = read_batch(table)
    absent = np.flatnonzero(np.array(table["how"].to_pylist(), str) == "absent")
    decoy, trap = (np.isin(np.arange(len(score)), absent[i::2]) for i in (0, 1))
    for nominal in (0.05, 0.1, 0.2):
        found = fdr.entrapment(
            score, batch.family, ~decoy, decoy, np.isfinite(score), nominal, trap
        )
        if not found.accepted:
            print(f"entrapment, decoys alone at {nominal:g}: 0 of {found.asked} wrong phrases pass")
            continue
        name = f"entrapment, decoys alone at {nominal:g}: wrong phrases among the accepted"
        # The other phrases are known to be in the picture.
        good = found.least <= nominal + 0.03
        figure(name, found.least, f"<= {nominal + 0.03:.2f}", good, found.asked)


def on_phantoms(cache: Path | None) -> None:
    """All figures that rest on held-out phantoms."""
    tables = []
    for k in range(CORPORA):
        file = cache / f"{k:02d}.parquet" if cache is not None else None
        if file is not None and file.is_file():
            tables.append(pq.read_table(file))
            continue
        tables.append(_scored(phantoms(TILES, SEED + 100 + k)))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(tables[-1], file)
    separation(pa.concat_tables(tables, promote_options="default"), "phantoms")
    fdr_levels(tables)
    entrapment(tables)


def _scored(tiles: Iterator[Labelled]) -> pa.Table:
    from segmenters.embedded import EmbeddedSegmenter

    # Few absent phrases get a mask at all; many are asked for, so that some decoys remain.
    return score_tiles(tiles, EmbeddedSegmenter(), Score(FilterConfig()), absent=15)


def on_real(shared: Path) -> None:
    """The same separation on real tiles with expert masks; never used to choose anything."""
    folder = shared / "data" / "real"
    if not folder.is_dir():
        print("real: no ../shared/data/real beside the checkout")
        return
    tiles = list(read_folder(folder))
    separation(_scored(iter(tiles)), "real")
    phrases_on_expert_masks(tiles)


def phrases_on_expert_masks(tiles: list[Labelled]) -> None:
    """Expert masks under their own phrase and under phrases that surely contradict them.

    Real tiles are labelled for a few concepts only, so few wrong phrases can be planted on them;
    here the wrong ones are those of 18 common concepts that no reading of the mask allows.
    """
    score, tables = Score(FilterConfig()), []
    for tile in tiles:
        planted = []
        for concept, truth in sorted(tile.truth.items()):
            mask = truth.labels > 0
            if not clip.MIN_AREA_PX <= mask.sum() <= clip.MAX_FRACTION * mask.size:
                continue
            for name in (concept, *clip.wrong_phrases(concept)):
                # The experts' objects are given for every phrase that asks for objects.
                labels = truth.labels if concepts()[name].kind == "object" else None
                overlap = 1.0 if name == concept else 0.0
                planted.append(Planted(name, mask, labels, None, "concept", overlap))
        if planted:
            tables.append(scored(tile, planted, "experts", score))
    table = pa.concat_tables(tables, promote_options="default")
    right = np.array(table["right"].to_pylist(), bool)
    area = auroc(verdicts(table)[0], right)
    name = "real: AUROC, right against wrong phrase on expert masks"
    figure(name, area, ">= .85", area >= 0.85, len(right))


def main() -> None:
    """Print the figures of the parts asked for, or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--cache", type=Path, help="folder that keeps the phantoms' candidates")
    arguments = parser.parse_args()
    fix_threads(1)
    logging.disable(logging.WARNING)  # that decoys are too few is printed as a figure
    parts = arguments.parts or PARTS
    if "equality" in parts:
        equality()
    if "ks" in parts:
        ks_levels()
    if "phantoms" in parts:
        on_phantoms(arguments.cache)
    if "cost" in parts:
        filters_cost.beside_stain()
        filters_cost.pooled_or_cropped()
    if "vit" in parts:
        filters_cost.beside_biomedparse()
    if "real" in parts:
        on_real(arguments.shared)


if __name__ == "__main__":
    main()
