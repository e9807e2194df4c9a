"""What masks and pictures cost as they are stored, beside what else one would store.

    python -m tests.bench.representations

Phantom tiles of 512 px; processor time of one thread.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from miner.core.masks import decode, encode
from miner.demo import render
from miner.demo.stains import encode_jpeg

TILES = 24
SIDE = 512
REPEATS = 5


def png(mask: np.ndarray) -> bytes:
    """One bit a pixel, as PIL writes it."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def per_call_ms(call: Callable[[], object]) -> float:
    """Processor milliseconds of a call, the best of some."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        call()
        best = min(best, time.process_time() - began)
    return best * 1000


def main() -> None:
    """Print both comparisons."""
    cv2.setNumThreads(1)
    tiles = [render.tile(seed, SIDE, 0.5, flaws=0.0) for seed in range(TILES)]
    masks = [labels > 0 for tile in tiles for labels in tile.labels.values()]
    runs, bits = [encode(m) for m in masks], [png(m) for m in masks]
    size = SIDE, SIDE
    assert all((decode(text, *size) == mask).all() for text, mask in zip(runs, masks, strict=True))
    print(f"{len(masks)} masks of {SIDE} px, per mask")
    print(
        f"  run lengths  {np.mean([len(r) for r in runs]):7.0f} bytes"
        f"  write {per_call_ms(lambda: [encode(m) for m in masks]) / len(masks):.2f} ms"
        f"  read {per_call_ms(lambda: [decode(r, *size) for r in runs]) / len(masks):.2f} ms"
    )
    read = [np.asarray(Image.open(io.BytesIO(b))) for b in bits[:1]]
    assert (read[0] == masks[0]).all()
    print(
        f"  1-bit PNG    {np.mean([len(b) for b in bits]):7.0f} bytes"
        f"  write {per_call_ms(lambda: [png(m) for m in masks]) / len(masks):.2f} ms"
        f"  read {per_call_ms(lambda: [_read(b) for b in bits]) / len(masks):.2f} ms"
    )
    print(f"{TILES} pictures of {SIDE} px, published as JPEG 90, decoded and written again")
    published = [encode_jpeg(tile.image, 90) for tile in tiles]
    for quality in (95, 90):
        again = [encode_jpeg(_rgb(data), quality) for data in published]
        errors = [
            float(np.mean((_rgb(a).astype(float) - _rgb(b)) ** 2))
            for a, b in zip(published, again, strict=True)
        ]
        cost = per_call_ms(lambda q=quality: [encode_jpeg(_rgb(d), q) for d in published])  # type: ignore[misc]
        share = sum(map(len, again)) / sum(map(len, published))
        print(
            f"  JPEG {quality}: {cost / TILES:.1f} ms, {share:.2f} of the bytes, "
            f"PSNR to the published picture {10 * np.log10(255**2 / np.mean(errors)):.1f} dB"
        )


def _read(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def _rgb(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


if __name__ == "__main__":
    main()
