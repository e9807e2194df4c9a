"""Shards and loaders: figures of our own, and entry points for the peers' scripts.

`python -m tests.bench.io` prints one table. With the peers' scripts beside the checkout:

    python ../shared/peers/bench_shards.py --ours tests.bench.io:pack_peer
    python ../shared/peers/bench_loader.py --ours tests.bench.io:load_peer
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
import webdataset as wds
from pycocotools import mask as coco

from miner.core.masks import encode
from miner.core.rle import decode_masks
from miner.core.store import Store
from shards.config import ShardsConfig
from shards.decode import decode_image
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.run import export
from shards.known import completed
from shards.load import GroundedCaptions
from shards.pack import pack, write_manifest
from shards.sample import GroundedSample
from shards.stream import GroundedStream, StreamLoader, part
from shards.tar import scan
from tests.shards.build import build
from tests.shards.build import sample as small_sample

pa.array([0])  # pyarrow imports pandas with its first array: start-up, no matter of packing
SHARD_BYTES = 45_000_000  # what 500 of the peers' samples take


def whole(samples: Iterable[dict[str, Any]]) -> list[tuple[GroundedSample, bytes, str]]:
    """The peers' samples with all fields that packing asks for."""
    rest = {
        "split": "train",
        "image": "a.jpg",
        "image_sha256": None,
        "group": "a",
        "license": "",
        "source": "",
        "turns": [],
        "mpp": 0.5,
        "mpp_source": "slide",
        "mentions": [],
        "negatives": [],
        "facts": [],
        "strata": [],
        "members": [],
    }
    region = {
        "kind": "stuff",
        "instances": [],
        "segmenter": "stain",
        "prompt": "nuclei",
        "confidence": None,
        "clip": {},
        "ks": {},
        "geometry": {},
        "biomedparse_p": None,
        "scores": [],
        "q_value": 0.1,
    }
    items = []
    for s in samples:
        value = {**s["json"], **rest}
        value["regions"] = [{**r, **region} for r in value["regions"]]
        items.append((completed(value), s["jpg"], "jpg"))
    return items


def pack_whole(
    items: Sequence[tuple[GroundedSample, bytes, str]], out: str | os.PathLike[str]
) -> None:
    """Pack samples: fsync, sha256, index and manifest included."""
    store = Store(out)
    write_manifest(store, pack(items, store, "train", ShardsConfig(max_bytes=SHARD_BYTES)))


def pack_peer(samples: Iterable[dict[str, Any]], out: str | os.PathLike[str]) -> None:
    """Pack the peers' samples."""
    pack_whole(whole(samples), out)


def _places(path: str) -> Iterator[tuple[int, int, int]]:
    """Offset of the image, its size, end of the JSON, by sample."""
    members = scan(path)
    for image, text in zip(members, members, strict=True):
        yield image[1], image[2], text[1] + text[2]


def _read(path: str) -> Iterator[dict[str, np.ndarray]]:
    """Samples of a tar as our loader reads them, for tars without an index."""
    file = os.open(path, os.O_RDONLY)
    for start, size, end in _places(path):
        block = os.pread(file, end - start, start)
        sample = json.loads(block[size + (-size % 512) + 512 :])
        image = decode_image(block[:size])
        masks = decode_masks([r["rle"] for r in sample["regions"]], *image.shape[:2])
        yield {"image": image, "masks": masks}
    os.close(file)


def load_peer(paths: Iterable[str]) -> Iterator[dict[str, np.ndarray]]:
    """One process."""
    cv2.setNumThreads(1)
    for path in paths:
        yield from _read(path)


def _timed(run: Callable[[], int]) -> tuple[float, float]:
    """Items per second of wall time, and of processor time (this process and its children)."""
    before = _processor_s()
    begin = time.perf_counter()
    n = run()
    return n / (time.perf_counter() - begin), n / max(_processor_s() - before, 1e-9)


def _processor_s() -> float:
    mine, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime


def _light(image: Any, masks: Any) -> int:
    """What the peers' script does with a sample."""
    return int(image[::64, ::64].sum()) + int(masks[:, ::16, ::16].sum())


def _raw_tar(path: str) -> int:
    """The lower limit: tarfile, cv2, pycocotools in one loop."""
    n = 0
    with tarfile.open(path) as tar:
        image = b""
        for member in tar:
            data = tar.extractfile(member).read()  # type: ignore[union-attr]
            if member.name.endswith(".jpg"):
                image = data
                continue
            regions = json.loads(data)["regions"]
            pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB)
            _light(pixels, coco.decode([r["rle"] for r in regions]).transpose(2, 0, 1))
            n += 1
    return n


def _own_part(args: tuple[str, int]) -> int:
    """One of two processes that each read and use their half, as ranks of a group do."""
    out, rank = args
    one_thread()
    stream = GroundedStream(out, "train")
    stream._source.left = part([[0, len(stream)]], rank, 2)
    return sum(1 for item in stream if _light(item["image"], item["masks"]) >= 0)


def one_thread(_: int = 0) -> None:
    """Processes are compared, not threads."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def tiles(n: int, side: int) -> list[dict[str, Any]]:
    """Samples of about 90 KB like the peers': a smooth picture and three masks; 50 distinct."""
    rng = np.random.default_rng(0)
    pool = []
    for _ in range(min(n, 50)):
        coarse = cv2.resize(rng.standard_normal((side // 24,) * 2), (side, side), interpolation=2)
        fine = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 1.2)
        noise = (coarse[..., None] * 22 + fine[..., None] * 60) * [0.6, 1.0, 0.8]
        pixels = np.clip(noise + np.array([190, 150, 205]), 0, 255).astype(np.uint8)
        regions = []
        for level in (0.4, 0.9, 1.4):
            mask = coarse > level
            rle = {"size": [side, side], "counts": encode(mask)}
            regions.append({"concept": "nucleus", "rle": rle, "area_px": int(mask.sum())})
        pool.append((cv2.imencode(".jpg", pixels)[1].tobytes(), regions))
    return [
        {
            "__key__": f"tile-{i:08d}",
            "jpg": pool[i % len(pool)][0],
            "json": {
                "key": f"tile-{i:08d}",
                "corpus": "tile",
                "row": i,
                "caption": "nuclei",
                "width": side,
                "height": side,
                "regions": [
                    {**r, "score": 0.5, "bbox": [0, 0, 1, 1]} for r in pool[i % len(pool)][1]
                ],
            },
        }
        for i in range(n)
    ]


def bench_pack(folder: Path, samples: list[dict[str, Any]]) -> Iterator[tuple[str, Callable]]:
    """Packing against a bare TarWriter, which neither syncs nor hashes."""

    def bare() -> int:
        for start in range(0, len(samples), 500):
            with open(folder / f"bare-{start:06d}.tar", "wb") as file:
                with wds.TarWriter(file, mtime=0) as sink:
                    for s in samples[start : start + 500]:
                        sink.write(s)
        return len(samples)

    items = whole(samples)

    def ours() -> int:
        pack_whole(items, folder / "out")
        return len(samples)

    yield "pack: TarWriter", bare
    yield "pack: ours, synced, hashed, indexed", ours


def bench_load(out: Path) -> Iterator[tuple[str, Callable]]:
    """Reading and decoding; the first row is the limit of one process."""
    paths = sorted(str(p) for p in (out / "shards").glob("*.tar"))

    def sequential() -> int:
        return sum(1 for s in GroundedStream(out, "train") if _light(s["image"], s["masks"]) >= 0)

    def random_once() -> int:
        dataset = GroundedCaptions(out, "train")
        n = 0
        for i in random.Random(0).sample(range(len(dataset)), len(dataset)):
            item = dataset[i]
            n += _light(item["image"], item["masks"]) >= 0
        return n

    def two_raw() -> int:
        with multiprocessing.Pool(2, one_thread, (0,)) as pool:
            return sum(pool.imap_unordered(_raw_tar, paths))

    def two_ranks() -> int:
        with multiprocessing.Pool(2) as pool:
            return sum(pool.map(_own_part, [(str(out), 0), (str(out), 1)], chunksize=1))

    def two_workers() -> int:
        loader = StreamLoader(GroundedStream(out, "train"), 16, 2, worker_init_fn=one_thread)
        n = 0
        for batch in loader:
            for image, masks in zip(batch["images"], batch["masks"], strict=True):
                n += _light(image, masks) >= 0
        return n

    yield "load: raw tar + cv2", lambda: sum(map(_raw_tar, paths))
    yield "load: stream", sequential
    yield "load: map, random order", random_once
    yield "load: raw tar + cv2, two processes", two_raw
    yield "load: two ranks, each its half", two_ranks
    yield "load: StreamLoader, two workers", two_workers


def small_samples(n: int) -> Iterator[Sample]:
    """Samples of some kilobytes, 100 distinct: what is measured is what each one costs besides."""
    pool = [small_sample(i) for i in range(100)]
    for i in range(n):
        value, image, extension = pool[i % 100]
        key = f"quilt-{i:08d}-abcdef"
        yield Sample({**value, "key": key, "group": key}, image, extension, "train")


def many(what: str, n: int) -> dict[str, float]:
    """Pack, or export to granDf, n small samples; samples/s of wall and processor time, peak MB."""
    with tempfile.TemporaryDirectory(prefix="bench-io-") as temporary:

        def run() -> int:
            if what == "export":
                export(small_samples(n), "granDf", f"{temporary}/granDf", Options())
            else:
                store = Store(temporary)
                source = ((s.value, s.image, s.format) for s in small_samples(n))
                write_manifest(store, pack(source, store, "train", ShardsConfig(max_bytes=10**7)))
            return n

        wall, processor = _timed(run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "processor": processor, "peak_mb": peak}


def many_apart(what: str, n: int) -> dict[str, float]:
    """The same in a process of its own, whose peak memory is its own."""
    run = f"io.one_thread(); print(json.dumps(io.many({what!r}, {n})))"
    code = f"import json, tests.bench.io as io; {run}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


FIRST_BATCH = """
import sys, time, torch
from shards import GroundedCaptions, GroundedStream, StreamLoader, collate
begin = time.perf_counter()
if sys.argv[2] == "map":
    data = GroundedCaptions(sys.argv[1], "train")
    loader = torch.utils.data.DataLoader(data, 16, shuffle=True, collate_fn=collate)
else:
    stream = GroundedStream(sys.argv[1], "train", shuffle=True)
    loader = StreamLoader(stream, 16, int(sys.argv[2]))
next(iter(loader))
print(time.perf_counter() - begin)
"""


def first_batch(out: Path, how: str) -> float:
    """Seconds of wall time from opening OUT to the first batch of 16, in a fresh process."""
    command = [sys.executable, "-c", FIRST_BATCH, str(out), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def resume(out: Path, points: int, method: str) -> int:
    """Stop a two-worker epoch at random batches and go on; returns how often it came out wrong."""
    expected = sorted(GroundedCaptions(out, "train").index["key"].to_pylist())
    rng = random.Random(0)
    wrong = 0
    for _ in range(points):
        seed = rng.randrange(1000)
        make = dict(shuffle=True, seed=seed, decode=False)
        names = _Names()
        first = StreamLoader(
            GroundedStream(out, "train", **make),
            4,
            2,
            names,
            multiprocessing_context=method,
        )
        stop = rng.randrange(1, len(expected) // 4)
        seen = [key for batch in itertools.islice(first, stop) for key in batch]
        state = first.state_dict()
        again = StreamLoader(
            GroundedStream(out, "train", **make), 4, 2, names, multiprocessing_context=method
        )
        again.load_state_dict(state)
        rest = [key for batch in again for key in batch]
        wrong += sorted(seen + rest) != expected
    return wrong


class _Names:
    """Collate to keys; may be pickled."""

    def __call__(self, items: list[dict[str, Any]]) -> list[str]:
        return [item["key"] for item in items]


def contest(
    contestants: Sequence[tuple[str, Callable]], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """What `_timed` says of every contestant in every round, every other round backwards."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in contestants}
    for number in range(rounds):
        for name, run in contestants[:: 1 if number % 2 == 0 else -1]:
            rates[name].append(_timed(run))
    return rates


def main() -> None:
    """Run everything, rounds interleaved, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--n", type=int, default=1000, help="tiles of 512 px")
    parser.add_argument("--export", type=int, default=100_000, help="samples to pack and export")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=50, help="interruptions")
    args = parser.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory(prefix="bench-io-") as temporary:
        folder = Path(temporary)
        out = folder / "out"
        samples = tiles(args.n, 512)
        pack_peer(samples, out)
        rates = contest([*bench_pack(folder, samples), *bench_load(out)], args.rounds)
        print("| what | samples/s | of the limit | of its processor time |\n|---|---|---|---|")
        limits = {"pack": "pack: TarWriter", "load": "load: raw tar + cv2"}
        for name in rates:
            limit = limits[name[:4]]
            if "two" in name or "ranks" in name:
                limit = "load: raw tar + cv2, two processes"
            ratios = [
                statistics.median(
                    a[k] / b[k] for a, b in zip(rates[name], rates[limit], strict=True)
                )
                for k in (0, 1)
            ]
            wall = statistics.median(r[0] for r in rates[name])
            print(f"| {name} | {wall:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
        build(folder / "many", n=400, max_bytes=1)
        build(folder / "hundred", n=100, max_bytes=1)
        for how, words in (("map", "GroundedCaptions"), ("2", "StreamLoader, two workers")):
            seconds = statistics.median(first_batch(folder / "hundred", how) for _ in range(3))
            print(f"\nfirst batch of 100 shards, {words}: {seconds:.2f} s")
        for method, points in (("fork", args.points), ("spawn", 1)):
            wrong = resume(folder / "many", points, method)
            print(f"resume, two workers, {method}: {wrong} of {points} wrong")
    for what, words in (("pack", "packing"), ("export", "granDf")):
        for n in (args.export // 10, args.export):
            found = many_apart(what, n)
            print(
                f"{words} of {n}: {found['wall']:.0f} samples/s, {found['processor']:.0f} per "
                f"second of processor time, peak {found['peak_mb']:.0f} MB"
            )


if __name__ == "__main__":
    main()
