"""Duplicates: speed and accuracy at a million vectors, and copies of pictures of every kind.

    python -m tests.bench.dedupe                  # both parts, 10^6 vectors: some minutes, 5 GB
    python -m tests.bench.dedupe --n 100000 --hard
    python -m tests.bench.dedupe --only pictures

Vectors: `representatives` beside the SemDeDup-style peer with two nearest centroids, each in a
process of its own; needs the reference data. Recall: share of the pairs above the threshold, of a
sample of rows with all others, of which not both stay. Precision: share of the dropped rows that
resemble the row that stands for them (ours), or any other row (the peer, which names none).

Pictures: phantoms and training tiles with copies of each kind. Recall: share of the copies that are
dropped for their original. False: pairs of different fields that are merged.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from filters.dedupe import duplicates, representatives
from filters.dedupe.near import candidates
from filters.dedupe.pixels import SAME, located
from filters.dedupe.thumbnail import pixel_hash, thumbnail
from miner.demo import render
from tests.conftest import SHARED

THRESHOLD = 0.9
SAMPLE = 4000
Picture = np.ndarray


def vectors(n: int, hard: bool) -> np.ndarray:
    """The peer's own data: a tenth of the rows are copies of others at cosine .86 to 1."""
    sys.path.append(str(SHARED / "peers"))
    import synth

    return synth.vectors(n, 512, hard=hard)


def ours(x: np.ndarray) -> np.ndarray:
    return representatives(x, THRESHOLD)


def semdedup2(x: np.ndarray) -> np.ndarray:
    """The peer's function, out of its bench: rows that stay stand for themselves, others for -1."""
    import bench_dedup

    taken: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {}
    bench_dedup.measure = lambda args, folder, dedup: taken.update(run=dedup)
    settings = argparse.Namespace(k=1000, niter=10, per_centroid=40, threads=2)
    bench_dedup.semdedup(settings, None, 2)
    keep = taken["run"](x, THRESHOLD)
    return np.where(keep, np.arange(len(x)), -1)


CONTESTANTS = {"ours": ours, "SemDeDup, 2 nearest": semdedup2}


def measure(name: str, n: int, hard: bool) -> dict[str, float]:
    """Run one contestant in this process."""
    x = vectors(n, hard)
    begin, cpu = time.perf_counter(), time.process_time()
    stands = CONTESTANTS[name](x)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    keep = stands == np.arange(n)
    rows = np.sort(np.random.default_rng(5).choice(n, min(n, SAMPLE), replace=False))
    pairs = missed = wrong = dropped = 0
    for part in np.array_split(rows, max(1, len(rows) // 500)):
        cosine = x[part] @ x.T
        a, b = np.nonzero(cosine >= THRESHOLD)
        a, b = part[a][part[a] != b], b[part[a] != b]
        pairs += len(a)
        missed += int((keep[a] & keep[b]).sum())
        for row in part[~keep[part]]:
            dropped += 1
            partner = stands[row] if stands[row] >= 0 else None
            alike = b[a == row]
            wrong += int(partner not in alike if partner is not None else not len(alike))
    return {
        "seconds": seconds,
        "cpu_s": cpu,
        "peak_gb": peak,
        "dropped": int((~keep).sum()),
        "pairs": pairs,
        "recall": 1 - missed / max(pairs, 1),
        "precision": 1 - wrong / max(dropped, 1),
    }


def compare(n: int, hard: bool) -> None:
    """Print one line a contestant."""
    print(f"\n{n:,} x 512{', dense topics' if hard else ''}, cosine {THRESHOLD}")
    found = {}
    for name in CONTESTANTS:
        command = [sys.executable, "-m", "tests.bench.dedupe", "--child", name, "--n", str(n)]
        done = subprocess.run([*command, *(["--hard"] * hard)], capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            continue
        row = found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: " + ", ".join(f"{k} {v:.5g}" for k, v in row.items()), flush=True)
    if len(found) == len(CONTESTANTS):
        peer, own = found["SemDeDup, 2 nearest"], found["ours"]
        ratios = (peer[k] / own[k] for k in ("seconds", "cpu_s"))
        print("speed beside the peer: {:.2f} by the clock, {:.2f} by CPU".format(*ratios))


def crop(image: Picture, share: float, rng: np.random.Generator) -> Picture:
    height, width = (round(share * side) for side in image.shape[:2])
    y, x = (
        int(rng.integers(0, a - b + 1)) for a, b in zip(image.shape, (height, width), strict=False)
    )
    return image[y : y + height, x : x + width]


def jpeg(image: Picture, quality: int) -> Picture:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def written_on(image: Picture) -> Picture:
    image, (height, width), scale = image.copy(), image.shape[:2], image.shape[0] / 512
    place = (int(20 * scale), int(60 * scale))
    thick = max(1, round(3 * scale))
    cv2.putText(image, "Fig. 3 H&E x200", place, cv2.FONT_HERSHEY_SIMPLEX, 1.2 * scale, 0, thick)
    tip, tail = (width // 2, height // 2), (int(0.7 * width), int(0.8 * height))
    cv2.arrowedLine(image, tail, tip, (0, 0, 0), 2 * thick)
    return image


def coloured(image: Picture, rng: np.random.Generator) -> Picture:
    return np.clip(image * rng.uniform(0.9, 1.1, 3), 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "JPEG 30": lambda image, rng: jpeg(image, 30),
    "half size": lambda image, rng: cv2.resize(
        image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "crop, 80 % of the sides": lambda image, rng: crop(image, 0.8, rng),
    "crop, 80 % of the area": lambda image, rng: crop(image, 0.8**0.5, rng),
    "turned by 90": lambda image, rng: np.rot90(image),
    "turned by 180": lambda image, rng: np.rot90(image, 2),
    "mirrored": lambda image, rng: image[:, ::-1],
    "colours +-10 %": coloured,
    "text and arrow": lambda image, rng: written_on(image),
}


def phantom_fields(count: int) -> tuple[list[Picture], list[str]]:
    rng = np.random.default_rng(9_500_000)
    images = [render.tile(rng, 256, 0.5, flaws=0.0).image for _ in range(count)]
    return images, [f"phantom {i}" for i in range(count)]


def training_tiles() -> tuple[list[Picture], list[str]]:
    """Tiles of both training sets, those of one slide or patient under one name."""
    images, groups = [], []
    for folder in (SHARED / "data/train", SHARED / "data/train2"):
        if not (folder / "index.jsonl").is_file():
            continue
        for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if not row.get("same_picture_as"):
                images.append(cv2.imread(str(folder / row["file"])))
                groups.append(row.get("group") or row["id"].rsplit("_", 2)[0])
    return images, groups


def pictures(name: str, images: list[Picture], groups: list[str]) -> None:
    """Print recall by kind of copy, and what is merged among different fields."""
    n = len(images)
    thumbs = np.stack([thumbnail(image) for image in images])
    ids = [f"{i:06d}" for i in range(2 * n)]
    same = duplicates(ids[:n], ids[:n], [(0.0,)] * n, None, 0.84, thumbs=thumbs)
    within = sum(groups.count(g) * (groups.count(g) - 1) // 2 for g in set(groups))
    wrong = [(int(a), int(d.keeper), d.similarity) for a, d in same.items()]
    inside = sum(groups[a] == groups[b] for a, b, _ in wrong)
    print(f"\n{name}: {n} fields, {within} pairs of one slide or patient")
    print(
        f"  merged without a copy: {len(wrong)} pairs, {inside} of one slide or patient, "
        f"{inside / max(within, 1):.3%} of these"
    )
    alike = np.array(
        [
            located(thumbs[c.whole], thumbs[c.part], c.window, c.orientation)
            for c in candidates(thumbs)
        ]
    )
    print_tail(alike, n)
    for kind, change in COPIES.items():
        rng = np.random.default_rng(7)
        copies = [np.ascontiguousarray(change(image, rng)) for image in images]
        shown = np.stack([*thumbs, *map(thumbnail, copies)])
        hashes = [pixel_hash(image) for image in (*images, *copies)]
        begin = time.perf_counter()
        found = duplicates(
            ids, hashes, [(0.0,)] * 2 * n, None, 0.84, pixel_hashes=hashes, thumbs=shown
        )
        seconds = time.perf_counter() - begin
        right = sum(ids[n + i] in found and found[ids[n + i]].keeper == ids[i] for i in range(n))
        print(f"  {kind}: recall {right / n:.4f} of {n}, {seconds:.0f} s", flush=True)


def print_tail(alike: np.ndarray, n: int) -> None:
    """Expected false partners of a picture among 10^6, by the tail of what different fields have.

    The tail is exponential from its 99th percentile on; the pairs that were compared stand for all.
    """
    if not len(alike):
        print("  no two different fields are alike enough to be candidates")
        return
    start = float(np.quantile(alike, 0.99))
    beyond = alike[alike > start] - start
    at_same = len(beyond) * np.exp(-(SAME - start) / max(float(beyond.mean()), 1e-9))
    expected = 2 * at_same / n**2 * 1e6
    print(
        f"  correlation of detail of {len(alike)} candidates that are none: 99 % {start:.3f}, "
        f"highest {alike.max():.3f}; expected false partners a picture at 10^6: {expected:.1g}",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--hard", action="store_true", help="dense topics of 5,000 rows")
    parser.add_argument("--only", choices=["vectors", "pictures"])
    parser.add_argument("--phantoms", type=int, default=100)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args.n, args.hard)))
        return
    if args.only != "pictures":
        compare(args.n, args.hard)
    if args.only != "vectors":
        pictures("phantoms", *phantom_fields(args.phantoms))
        images, groups = training_tiles()
        if images:
            pictures("training tiles", images, groups)


if __name__ == "__main__":
    main()
