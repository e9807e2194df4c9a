"""How good the embedded segmenters are: `python -m tests.bench.quality` (`make bench-quality`).

Phantoms that nothing was trained on, training tiles kept apart and, where present, real tiles with
expert masks, each beside what scikit-image gives; what share of what captions name can be answered
and comes out; what is kept at a stated precision, and where there is nothing. The real tiles and
captions are only reported on.
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import time
from collections.abc import Iterable

import cv2
import numpy as np
import torch

from filters.calibration import fit_extent, labelled
from filters.calibration.train import half_hidden
from miner.core.names import map_name
from segmenters.embedded import EmbeddedSegmenter
from segmenters.protocol import Candidate, Prompt
from segmenters.routes import ROUTES
from segmenters.stain import StainSegmenter, support
from segmenters.stain.scale import resize_to
from segmenters.training.augment import restain
from tests.bench import completeness, kept, kinds, overlap, shares, sheets, tiles
from tests.bench.baselines import BASELINES

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
ENTITIES = {map_name(concept): concept for concept in ROUTES} | {"tumor": "epithelium"}
# Same slides or patients as the training tiles: never in the headline.
RELATED = ("tnbc", "dsb2018")


PARTS = ("speed", "shares", "phantom", "train", "kinds", "kept", "known", "real")


def ask(segmenter, encoded, concept: str) -> Candidate:
    """One concept of an encoded picture."""
    return segmenter.segment(encoded, [Prompt(concept, "", (concept,))])[0]


def mask_of(found: Candidate, shape: tuple[int, ...]) -> np.ndarray:
    """The mask, empty where there is none."""
    return np.zeros(shape, bool) if found.mask is None else found.mask


def labels_of(found: Candidate, shape: tuple[int, ...]) -> np.ndarray:
    """The objects, the mask as one where they are not told apart."""
    if found.labels is not None:
        return found.labels
    return mask_of(found, shape).astype(np.int32)


def overlaps(name: str, source: Iterable[tiles.Tile], segmenters: dict) -> list[tuple]:
    """Print Dice and object F1 per set, entity and segmenter; returns the embedded answers."""
    table: dict[tuple[str, str, str], list[tuple]] = {}
    answers = []
    for tile in source:
        shape = tile.image.shape[:2]
        views = {k: s.encode(tile.image, tile.mpp) for k, s in segmenters.items()}
        for entity, truth in sorted(tile.truth.items()):
            concept = ENTITIES.get(entity)
            if concept is None:
                continue
            rows = {}
            for kind, segmenter in segmenters.items():
                found = ask(segmenter, views[kind], concept)
                if found.reason == "unsupported":
                    continue
                rows[kind] = (mask_of(found, shape), labels_of(found, shape))
                if kind == "embedded":
                    answers.append((tile, entity, concept, truth, found))
            if entity == "nuclei":
                for kind, recipe in BASELINES.items():
                    labels = recipe(tile.image)
                    rows[kind] = (labels > 0, labels)
            for kind, (mask, labels) in rows.items():
                table.setdefault((tile.source, entity, kind), []).append(
                    (overlap.dice(mask, truth > 0), overlap.matches(labels, truth), tile.counted)
                )
    print(f"\n## {name}\n{'set':14}{'entity':18}{'segmenter':18}{'tiles':>5}{'Dice':>7}{'F1':>7}")
    for key in sorted(table):
        rows_ = table[key]
        f1 = overlap.object_f1([r[1] for r in rows_ if r[2]])
        dice = np.mean([r[0] for r in rows_])
        print(f"{key[0]:14}{key[1]:18}{key[2]:18}{len(rows_):5}{dice:7.3f}{f1:7.3f}")
    return answers


def headline(answers: list[tuple]) -> None:
    """Nuclei where all are outlined, glands and lymphocytes, on the real tiles."""
    print("\n## real tiles, headline (sets without slides or patients in common with training)")
    for title, skip in (("without TNBC and DSB2018", RELATED), ("all sets", ())):
        dice = [
            (
                overlap.dice(mask_of(found, truth.shape), truth > 0),
                *(overlap.dice(recipe(t.image) > 0, truth > 0) for recipe in BASELINES.values()),
            )
            for t, entity, _, truth, found in answers
            if entity == "nuclei" and t.exhaustive and t.source not in skip
        ]
        if dice:
            means = np.mean(dice, axis=0)
            rest = ", ".join(f"{k} {v:.3f}" for k, v in zip(BASELINES, means[1:], strict=True))
            print(f"nuclei Dice, {title}: embedded {means[0]:.3f}, {rest} ({len(dice)} tiles)")
    hits = []
    for tile, entity, _, truth, found in answers:
        if entity != "lymphocyte":
            continue
        others = [v for k, v in tile.truth.items() if k not in ("lymphocyte", "nuclei")]
        other = np.maximum.reduce([*others, np.zeros_like(truth)])
        labels = labels_of(found, truth.shape)
        hits.append(overlap.detections(labels, truth, other, reach_px=12))
    print(f"lymphocyte F1 (detection among outlined nuclei): {overlap.object_f1(hits):.3f}")


def reliability(name: str, answers: list[tuple]) -> None:
    """Print how often masks of a confidence have an IoU of .5 or more."""
    rows = [
        (found.confidence, overlap.iou(found.mask, truth > 0) >= 0.5)
        for tile, _, _, truth, found in answers
        if found.mask is not None and tile.exhaustive
    ]
    print(f"\n## confidence, {name}: share of masks with an IoU of .5 or more")
    for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        chosen = [good for value, good in rows if low <= value < high]
        if chosen:
            print(f"{low:.1f}-{min(high, 1):.1f}: {np.mean(chosen):.2f} of {len(chosen)}")


def disturbed(image: np.ndarray) -> dict[str, tuple[np.ndarray, float]]:
    """The tile as others would have scanned it: name -> (picture, factor of its size)."""
    hue = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(int)
    shifts = {}
    for name, turn, gain in (("hue +8", 8, 1.0), ("hue -8", -8, 1.0), ("saturation x.7", 0, 0.7)):
        other = np.stack(
            [(hue[..., 0] + turn) % 180, np.clip(hue[..., 1] * gain, 0, 255), hue[..., 2]], axis=-1
        )
        shifts[name] = (cv2.cvtColor(other.astype(np.uint8), cv2.COLOR_HSV2RGB), 1.0)
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])
    return {
        "mpp x2": (resize_to(image, 0.5), 0.5),
        "mpp x1/2": (resize_to(image, 2.0), 2.0),
        **shifts,
        "other stain": (restain(image, np.random.default_rng(0)), 1.0),
        "JPEG 50": (cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].copy(), 1.0),
        "blur 1 px": (cv2.GaussianBlur(image, (0, 0), 1.0), 1.0),
    }


def robustness(name: str, source: Iterable[tiles.Tile], segmenter) -> None:
    """Print the mean nuclei Dice of the tiles as they are and disturbed."""
    table: dict[str, list[float]] = {}
    for tile in source:
        if "nuclei" not in tile.truth or not tile.exhaustive:
            continue
        truth = (tile.truth["nuclei"] > 0).astype(np.uint8)
        views = {"as it is": (tile.image, 1.0), **disturbed(tile.image)}
        for kind, (image, factor) in views.items():
            mpp = tile.mpp / factor if tile.mpp else None
            want = cv2.resize(truth, image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
            found = ask(segmenter, segmenter.encode(image, mpp), "nucleus")
            table.setdefault(kind, []).append(overlap.dice(mask_of(found, want.shape), want))
    print(f"\n## robustness, {name}: nuclei Dice and its change")
    for kind, values in table.items():
        change = np.mean(values) - np.mean(table["as it is"])
        print(f"{kind:16}{np.mean(values):7.3f}{change:+8.3f}")


def recognition(source: Iterable[tiles.Tile]) -> None:
    """Print what kinds of picture the tiles are taken for."""
    table: dict[tuple[str, str], int] = {}
    for tile in source:
        key = (f"{tile.source} {tile.stain}"[:40], support.recognise(tile.image))
        table[key] = table.get(key, 0) + 1
    print("\n## kind of picture")
    for (what, kind), count in sorted(table.items()):
        print(f"{what:42}{kind:14}{count:4}")


def speed(segmenters: dict) -> None:
    """Print CPU seconds per 1000 x 1000 tile at .5 um per pixel, all concepts asked."""
    image = next(iter(tiles.phantoms(1, side_px=1000))).image
    prompts = [Prompt(c, "", (c,)) for c in ROUTES]
    print("\n## CPU seconds per 1000 x 1000 tile, all concepts, one thread")
    for kind, segmenter in segmenters.items():
        segmenter.segment(segmenter.encode(image[:256, :256], 0.5), prompts)
        for mpp in (0.5, None):
            start = time.process_time()
            segmenter.segment(segmenter.encode(image, mpp), prompts)
            print(f"{kind:10}mpp {mpp or 'unknown'!s:8}{time.process_time() - start:6.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MB")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=pathlib.Path, default=SHARED / "real")
    parser.add_argument("--train", type=pathlib.Path, default=SHARED / "train")
    parser.add_argument("--train2", type=pathlib.Path, default=SHARED / "train2")
    parser.add_argument("--phantoms", type=int, default=24)
    parser.add_argument("--per-set", type=int, default=12, help="kept-apart tiles of a set")
    parser.add_argument("--only", nargs="*", default=list(PARTS))
    parser.add_argument("--sheets", type=pathlib.Path, help="folder for contact sheets")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    segmenters = {"embedded": EmbeddedSegmenter(), "stain": StainSegmenter()}
    if "speed" in args.only:
        speed(segmenters)
    if "shares" in args.only and (SHARED / "nergold").is_dir():
        shares.report(SHARED / "nergold")
    if "phantom" in args.only:
        answers = overlaps("phantoms", tiles.phantoms(args.phantoms), segmenters)
        reliability("phantoms", answers)
    if "train" in args.only and args.train.is_dir():
        held = list(tiles.kept_apart(args.train, args.per_set))
        answers = overlaps("training tiles kept apart", held, segmenters)
        reliability("training tiles kept apart", answers)
        robustness(
            "training tiles kept apart", held[:: max(1, len(held) // 12)], segmenters["embedded"]
        )
    folders = [f for f in (args.train, args.train2) if f.is_dir()]
    if "kinds" in args.only and folders:
        kinds.report(folders, segmenters["embedded"])
    if "kept" in args.only:
        kept.report(
            "phantoms",
            labelled.phantoms(args.phantoms, tiles.HELD_OUT_SEED),
            segmenters["embedded"],
        )
        if folders:
            source = kept.tiles(folders, args.per_set)
            drawn_to = args.sheets / "kept" if args.sheets else None
            kept.report("training tiles kept apart", source, segmenters["embedded"], drawn_to)
    if "known" in args.only:
        drawn = half_hidden(labelled.phantoms(args.phantoms, tiles.HELD_OUT_SEED + 1))
        completeness.report("phantoms", drawn, segmenters["embedded"])
        if folders:
            apart = fit_extent.labelled(folders, True)
            completeness.report("training tiles kept apart", apart, segmenters["embedded"])
    if "real" in args.only and args.real.is_dir():
        real = list(tiles.real(args.real))
        answers = overlaps("real tiles", real, segmenters)
        headline(answers)
        reliability("real tiles", answers)
        robustness("real tiles", real[::2], segmenters["embedded"])
        recognition(real)
        if args.sheets:
            sheets.write(answers, args.sheets)


if __name__ == "__main__":
    main()
