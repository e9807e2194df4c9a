"""How well the agreement tells right from wrong, and what it costs: `python -m tests.bench.clip`.

Phantoms with seeds of their own, training tiles of the patients kept apart and, where present, real
tiles with expert masks (reported only). Each mask is judged with its own phrase and with phrases
that are surely wrong for it, and its phrase with the same shape at other places; once with one
dense pass a picture, once with one crop a region. Then the descriptor for near-duplicates.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from filters.calibration.labelled import Labelled, phantoms, read_folder
from filters.clip import ClipAgreement, ClipConfig
from filters.clip.comparison import related
from filters.clip.counterfactuals import shift
from filters.layout import THRESHOLD, describe
from filters.training.clip.measure import auroc
from filters.training.clip.vocabulary import unsure
from ner.concepts import concepts

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
PHANTOM_SEED = 880_001
PHRASES = (
    "nucleus", "lymphocyte", "neutrophil", "macrophage", "epithelial nucleus", "stromal nucleus",
    "red blood cell", "gland", "lumen", "glomerulus", "blood vessel", "stroma", "smooth muscle",
    "tumor", "necrosis", "fat", "mucin", "keratin",
)  # fmt: skip
PHRASE_SCORES = ("cosine", "prob", "margin_sibling", "margin_absent", "rank", "instance_median")
PLACE_SCORES = ("cosine", "margin_complement", "margin_random", "margin_shifted")
RELATED = ("tnbc", "dsb2018")  # sets with slides or patients in common with training tiles
MIN_AREA_PX = 64
MAX_FRACTION = 0.9


def wrong_phrases(concept: str) -> list[str]:
    """Phrases that cannot be right for a mask of the concept."""
    return [name for name in PHRASES if not related(name, concept) and not unsure(name, concept)]


def elsewhere(mask: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The mask moved by half an object's size or anywhere, where that leaves the truth."""
    height, width = mask.shape
    count = max(1, cv2.connectedComponents(mask.astype(np.uint8))[0] - 1)
    step = max(4, round(1.5 * np.sqrt(mask.sum() / count / np.pi)))
    moves = [(step, 0), (0, -step)]
    moves += [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(4)]
    moved = [shift(mask, dy, dx) for dy, dx in moves]
    return [m for m in moved if (m & mask).sum() < 0.25 * m.sum()][:3]


class Tally:
    """Right and wrong values of every score."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[list[float], list[float]]] = {}
        self.by_concept: dict[str, tuple[list[float], list[float]]] = {}
        self.seconds = 0.0
        self.pictures = self.regions = 0

    def add(self, name: str, value: object, right: bool) -> None:
        """One value, if defined."""
        if isinstance(value, float):
            self.values.setdefault(name, ([], []))[0 if right else 1].append(value)

    def rows(self) -> dict[str, float]:
        """AUROC per score."""
        return {name: auroc(*pair) for name, pair in sorted(self.values.items())}


def judge(clip: ClipAgreement, tiles: Iterable[Labelled]) -> tuple[Tally, Tally]:
    """Right against wrong phrases, and right against wrong places."""
    by_phrase, by_place = Tally(), Tally()
    for number, tile in enumerate(tiles):
        rng = np.random.default_rng(number)
        candidates, keys = [], []
        for concept, truth in tile.truth.items():
            mask = truth.labels > 0
            if clip.encoder.judged_as(concept) is None:
                continue
            if not MIN_AREA_PX <= mask.sum() <= MAX_FRACTION * mask.size:
                continue
            kind = concepts()[concept].kind
            candidates.append((concept, kind, mask, truth.labels, ["positive"]))
            keys.append((concept, "right"))
            for name in wrong_phrases(concept):
                other = concepts()[name].kind
                candidates.append((name, other, mask, truth.labels, ["decoy"]))
                keys.append((concept, "phrase"))
            if truth.exhaustive:
                for moved in elsewhere(mask, rng):
                    candidates.append((concept, kind, moved, None, ["positive"]))
                    keys.append((concept, "place"))
        if not candidates:
            continue
        start = time.process_time()
        found = clip.scores(tile.image, candidates)
        by_phrase.seconds += time.process_time() - start
        by_phrase.pictures += 1
        by_phrase.regions += len(candidates)
        for (concept, how), scores in zip(keys, found, strict=True):
            for name in PHRASE_SCORES if how != "place" else ():
                by_phrase.add(name, scores[name], how == "right")
            for name in PLACE_SCORES if how != "phrase" else ():
                by_place.add(name, scores[name], how == "right")
            pair = by_phrase.by_concept.setdefault(concept, ([], []))
            if how != "place" and isinstance(scores["prob"], float):
                pair[how != "right"].append(scores["prob"])
    return by_phrase, by_place


def thin(tiles: Iterable[Labelled], per_source: int) -> Iterator[Labelled]:
    """The first tiles of every source that have masks."""
    seen: dict[str, int] = {}
    for tile in tiles:
        if tile.truth and seen.get(tile.source, 0) < per_source:
            seen[tile.source] = seen.get(tile.source, 0) + 1
            yield tile


def related_pictures(folder: Path) -> set[str]:
    """Names of real pictures whose slides or patients occur among the training tiles."""
    names = set()
    for line in (folder / "gold.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["tile"].startswith(RELATED):
            names.add(Path(row["image"]).stem if row["corpus"] != "pathgen" else row["image"])
    return names


def copies(image: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Near-duplicates of a picture, each beside what it is a copy of."""
    height, width = image.shape[:2]
    margin = max(4, round(0.02 * min(height, width)))
    middle = image[margin : height - margin, margin : width - margin]
    out = {}
    for share in (0.01, 0.02):
        step = max(1, round(share * min(height, width)))
        moved = image[margin - step : height - margin - step, margin + step : width - margin + step]
        out[f"moved by {share:.0%} of the side, JPEG 70"] = (middle, _jpeg(moved, 70))
    out["JPEG 50"] = (middle, _jpeg(middle, 50))
    half = cv2.resize(middle, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    out["half size, JPEG 80"] = (middle, _jpeg(half, 80))
    return out


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def duplicates(tiles: Mapping[str, list[np.ndarray]]) -> dict[str, dict[str, float]]:
    """Cosines of copies and of different tiles, by set."""
    table = {}
    for name, images in tiles.items():
        if len(images) < 8:
            continue
        row: dict[str, float] = {"tiles": len(images)}
        pairs = [copies(image) for image in images]
        for how in pairs[0]:
            cosines = [float(describe(p[how][0]) @ describe(p[how][1])) for p in pairs]
            row[f"{how}: lowest"] = min(cosines)
            row[f"{how}: found"] = float(np.mean(np.array(cosines) >= THRESHOLD))
        own = np.stack([describe(image) for image in images])
        other = (own @ own.T)[np.triu_indices(len(own), 1)]
        row["other tiles: highest"] = float(other.max())
        row["other tiles: 99 %"] = float(np.quantile(other, 0.99))
        row["other tiles: called copies"] = float(np.mean(other >= THRESHOLD))
        table[name] = row
    return table


def main() -> None:
    """Print the tables; `--json` writes them too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--phantoms", type=int, default=48)
    parser.add_argument("--per-set", type=int, default=12)
    parser.add_argument("--crops", action="store_true", help="also one crop a region (slow)")
    parser.add_argument("--outside", default="blur", help="what a crop shows outside the region")
    parser.add_argument("--context", type=float, default=1.5, help="side of a crop in regions")
    parser.add_argument("--no-real", action="store_true", help="leave the expert masks alone")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sources: dict[str, list[Labelled]] = {"phantoms": list(phantoms(args.phantoms, PHANTOM_SEED))}
    if (SHARED / "train").is_dir():
        kept = (tile for tile in read_folder(SHARED / "train") if tile.kept)
        sources["training tiles kept apart"] = list(thin(kept, args.per_set))
    if (SHARED / "real").is_dir() and not args.no_real:
        common = related_pictures(SHARED / "real")
        for tile in read_folder(SHARED / "real"):
            name = "real, slides in common with training" if tile.name in common else "real"
            sources.setdefault(name, []).append(tile)
    out: dict[str, object] = {}
    for mode in ("dense", "crops") if args.crops else ("dense",):
        config = ClipConfig(
            model=args.model,
            regions=mode,
            max_instances=32 if mode == "dense" else 4,
            outside=args.outside,
            context=args.context,
        )
        clip = ClipAgreement(config)
        for name, tiles in sources.items():
            phrase, place = judge(clip, tiles)
            per_picture = phrase.seconds / max(1, phrase.pictures)
            print(f"\n{mode}, {name}: {phrase.pictures} pictures, {phrase.regions} candidates, ")
            print(f"  {per_picture:.3f} s a picture")
            for title, tally in (("right against wrong phrase", phrase), ("place", place)):
                cells = ", ".join(f"{key} {value:.3f}" for key, value in tally.rows().items())
                print(f"  AUROC, {title}: {cells}")
            each = {c: auroc(*pair) for c, pair in sorted(phrase.by_concept.items())}
            print("  prob by concept:", ", ".join(f"{c} {v:.2f}" for c, v in each.items()))
            out[f"{mode}, {name}"] = {
                "seconds": per_picture,
                "phrases": phrase.rows(),
                "places": place.rows(),
                "by_concept": each,
            }
    by_set: dict[str, list[np.ndarray]] = {"phantoms": [t.image for t in sources["phantoms"]]}
    for tile in sources.get("training tiles kept apart", []):
        by_set.setdefault(tile.source, []).append(tile.image)
    out["duplicates"] = duplicates(by_set)
    for name, row in out["duplicates"].items():  # type: ignore[attr-defined]
        print(f"\ncopies, {name}:", ", ".join(f"{key} {value:.3f}" for key, value in row.items()))
    if args.json:
        args.json.write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
