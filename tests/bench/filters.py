"""Figures of the filters: `python -m tests.bench.filters [PART ...]`, from seeds.

Parts: equality, ks, phantoms (AUROC, precision and yield, false-discovery rate), cost, real. The
phantoms here have seeds that nothing was fitted on. `real` needs ../shared/data/real; it is for
reporting only.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from filters import biomedparse_ks, ks
from filters.calibration.candidates import score_tiles
from filters.calibration.fit import auroc
from filters.calibration.labelled import Labelled, phantoms, read_folder
from filters.calibration.regions import Collected, fit_references
from filters.clip.config import ClipConfig
from filters.config import FilterConfig
from filters.decide import decide, read_batch
from filters.families import related
from filters.stage import Score
from miner.threads import fix_threads
from ner.concepts import concepts

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
PARTS = ("equality", "ks", "phantoms", "cost", "real")


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
    print(f"equality: {n} random inputs, largest difference from scipy {worst:.1e} (bar 1e-12)")


def ks_levels(fit_on: int = 160, test_on: int = 120) -> None:
    """Type-I error on slides and stains kept apart, power against siblings of another stain."""
    reference, test = Collected(), Collected()
    for tile in phantoms(fit_on, SEED + 1, 320):
        reference.add(tile)
    for tile in phantoms(test_on, SEED + 2, 320):
        test.add(tile)
    fitted = fit_references(Collected(), reference)
    table = concepts()
    print("KS at alpha .05 (references and regions from phantoms, no slide or stain in common)")
    for which, at in (("raw", 0), ("normalized", 1)):
        rejected, tested, power = 0, 0, []
        for name, one in fitted.concepts.items():
            regions = test.regions.get(name, [])
            values = [ks.reference_d(r.pixels, one)[at] for r in regions]
            p = [ks.conformal(d, one.heldout[which]) for d in values]
            rejected, tested = rejected + sum(v <= 0.05 for v in p), tested + len(p)
            for other, rows in test.regions.items():
                sibling = (
                    other in fitted.concepts
                    and table[other].kind == table[name].kind
                    and table[other].stain != table[name].stain
                    and not related(name, other, table)
                )
                if sibling:
                    d = [ks.reference_d(r.pixels, one)[at] for r in rows]
                    power += [ks.conformal(v, one.heldout[which]) <= 0.05 for v in d]
        print(
            f"  {which}: type-I error {rejected / tested:.3f} of {tested} correct regions "
            f"(bar .03-.07), power {np.mean(power):.3f} of {len(power)} (bar .8)"
        )


def verdicts(table: pa.Table, **settings: float) -> tuple[np.ndarray, np.ndarray]:
    """Score and keep of every candidate under some settings."""
    found = decide(table, None, FilterConfig(**settings))
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
    print(
        f"{name}: AUROC right against wrong phrase on the same mask "
        f"{auroc(score[phrase], right[phrase]):.3f} ({int(phrase.sum())} candidates), right "
        f"against shifted or shape-matched random mask {auroc(score[moved], right[moved]):.3f} "
        f"({int(moved.sum())})"
    )
    natural = np.isin(how, ["asked", "absent"])
    asked = how == "asked"
    drawn = np.isin(np.array(table["concept"].to_pylist(), str), EXPERT)
    print(
        f"{name}: segmenter's own answers: {auroc(score[natural], right[natural]):.3f} AUROC, "
        f"{right[asked].mean():.3f} of {int(asked.sum())} right before filtering"
    )
    for which, rows in (("all concepts", asked), ("concepts experts drew", asked & drawn)):
        for target in (0.8, 0.85, 0.9, 0.95):
            _, keep = verdicts(table.filter(pa.array(rows)), precision=target)
            good = right[rows]
            precision = good[keep].mean() if keep.any() else float("nan")
            print(
                f"{name}, {which}: precision={target:g}: realised {precision:.3f}, kept "
                f"{keep.mean():.3f} of {len(keep)} candidates ({good.mean():.3f} right), "
                f"{(good & keep).sum() / max(good.sum(), 1):.3f} of the right ones"
            )


def fdr_levels(corpora: list[pa.Table]) -> None:
    """Realised against nominal rate over corpora with planted wrong masks and decoys."""
    for nominal in (0.05, 0.1, 0.2):
        rates, yields, shown = [], [], 0
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
            rates.append(float((~right[keep]).mean()) if keep.any() else 0.0)
            yields.append(float((right & keep).sum() / right.sum()))
            shown += int(decoy.sum())
        spread = np.std(rates) / np.sqrt(len(rates))
        print(
            f"fdr={nominal:g}: mean realised {np.mean(rates):.3f} +- {spread:.3f} over "
            f"{len(corpora)} corpora (bar {nominal + 0.03:.2f}), yield {np.mean(yields):.3f} of "
            f"the right masks, {shown / len(corpora):.0f} decoys each"
        )


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


def _scored(tiles: Iterator[Labelled], clip: ClipConfig | None = None) -> pa.Table:
    from segmenters.embedded import EmbeddedSegmenter

    config = FilterConfig(clip=clip) if clip is not None else FilterConfig()
    return score_tiles(tiles, EmbeddedSegmenter(), Score(config))


def on_real(shared: Path) -> None:
    """The same separation on real tiles with expert masks; never used to choose anything."""
    folder = shared / "data" / "real"
    if not folder.is_dir():
        print("real: no ../shared/data/real beside the checkout")
        return
    separation(_scored(iter(list(read_folder(folder)))), "real")


def cost(tiles: int = 6, side: int = 672) -> None:
    """Seconds of the filters against the stain segmenter, and pooled against cropped regions."""
    from filters.calibration.candidates import answers
    from segmenters.regions import bbox, encode, encode_labels
    from segmenters.stain import StainSegmenter

    stain = StainSegmenter()
    scores = {
        "dense": Score(FilterConfig()),
        "crops": Score(FilterConfig(clip=ClipConfig(regions="crops"))),
        "without CLIP": Score(FilterConfig(clip=None)),
    }
    spent = dict.fromkeys(["stain", *scores], 0.0)
    masks = 0
    for tile in phantoms(tiles, SEED + 3, side):
        for repeat in range(2):
            start = time.perf_counter()
            found = answers(tile, stain, sorted(tile.truth))
            if repeat:
                spent["stain"] += time.perf_counter() - start
            rows = [
                {
                    "concept": name,
                    "kind": concepts()[name].kind,
                    "roles": ["positive"],
                    "prompt": name,
                    "segmenter": "stain",
                    "counts": encode(mask),
                    "instances": encode_labels(labels) if labels is not None else [],
                    "bbox": list(bbox(mask)),
                    "area_px": int(mask.sum()),
                    "confidence": confidence,
                }
                for name, mask, labels, confidence in found
            ]
            for name, score in scores.items():
                start = time.perf_counter()
                score.score_image(tile.image, tile.mpp, rows)
                if repeat:
                    spent[name] += time.perf_counter() - start
        masks += len(rows)
    print(f"cost: {tiles} phantoms of {side} px, {masks} masks, interleaved, one thread")
    for name, seconds in spent.items():
        ratio = seconds / spent["stain"]
        print(f"  {name}: {seconds / tiles:.2f} s a tile, {ratio:.2f} x stain (bar 3)")


def pooled_or_cropped(tiles: int = 24) -> None:
    """AUROC of the agreement scores, one pass an image against one crop a region."""
    for name in ("dense", "crops"):
        table = _scored(phantoms(tiles, SEED + 4), ClipConfig(regions=name))
        right = np.array(table["right"].to_pylist(), bool)
        batch = read_batch(table)
        areas = {
            score: auroc(np.nan_to_num(batch.columns[score], nan=-1.0), right)
            for score in ("clip_prob", "clip_margin_sibling", "clip_margin_random")
        }
        print(f"  {name}: AUROC " + ", ".join(f"{k} {v:.3f}" for k, v in areas.items()))


def main() -> None:
    """Print the figures of the parts asked for, or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=PARTS)
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
        cost()
        pooled_or_cropped()
    if "real" in parts:
        on_real(arguments.shared)


if __name__ == "__main__":
    main()
