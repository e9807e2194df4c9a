"""Train the small CLIP: `python -m filters.training.clip --data DIR --out FILE`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import torch

from filters.clip.embedded import EmbeddedClip, write
from filters.clip.network import SmallClip
from filters.training.clip.measure import measure
from filters.training.clip.tiles import phantom_tiles, real_tiles
from filters.training.clip.train import Schedule, train
from filters.training.clip.vocabulary import Vocabulary, judged_as

PHANTOMS = 480
PHANTOM_SEED = 1


def main() -> None:
    """Parse the command line, train, measure on the tiles kept apart, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with index.jsonl; phantoms alone without")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop by then at the latest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--phantoms", type=int, default=PHANTOMS)
    parser.add_argument("--leave-out", nargs="*", default=[], help="sets not to train on")
    parser.add_argument("--figures", type=Path, help="JSON file for the figures on kept tiles")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    real = list(real_tiles(args.data, args.leave_out)) if args.data else []
    if not real:
        print("no --data: training on phantoms alone", file=sys.stderr)
    phantoms = list(phantom_tiles(args.phantoms, PHANTOM_SEED))
    vocabulary = Vocabulary(layer.concept for tile in real + phantoms for layer in tile.layers)
    start = time.monotonic()

    def report(step: int, loss: float, net: SmallClip) -> None:
        minutes = (time.monotonic() - start) / 60
        print(f"step {step}: loss {loss:.3f}, {minutes:.1f} min", file=sys.stderr, flush=True)

    net = train(
        [tile for tile in real if not tile.kept],
        [tile for tile in phantoms if not tile.kept],
        vocabulary,
        Schedule(args.steps, args.minutes, seed=args.seed),
        report,
    )
    judged = judged_as(vocabulary.names)
    args.out.write_bytes(write(net, judged))
    clip = EmbeddedClip(args.threads, net=net, judged=judged)
    figures = {
        name: measure(clip, [tile for tile in tiles if tile.kept], vocabulary)
        for name, tiles in (("real", real), ("phantoms", phantoms))
        if tiles
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if args.figures:
        args.figures.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
