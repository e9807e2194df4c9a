"""Peak resident memory of a run in one process, with few captions and with ten times as many.

    python -m tests.bench.memory [--captions 1000] [--times 10]

The pictures are small phantom tiles, each a little different, read as picture-text pairs. Of the
process and of the one that it has the mining done in, the larger counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SIDE_PX = 96
TILES = 50
COPIES = 20  # pictures of one tile at most; more would be refused as suspiciously alike

_RUN = """
import resource, sys
from miner.load_config import load_config
from miner.progress import Lines
from miner.run import run
run(load_config("quickstart.yaml", [], [f"pairs={sys.argv[1]}"], sys.argv[2]), Lines(), False)
both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
print(max(resource.getrusage(who).ru_maxrss for who in both) // 1024)
"""


def write_pairs(folder: Path, captions: int) -> None:
    """Write `captions` small tiles with a caption each."""
    import cv2
    import numpy as np

    from miner.demo.render import tile

    different = max(TILES, captions // COPIES)
    tiles = [tile(seed, size=SIDE_PX, mpp=0.5).image for seed in range(different)]
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(captions):
        noise = rng.integers(-3, 4, size=(SIDE_PX, SIDE_PX, 1))
        picture = np.clip(tiles[i % different] + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i:06d}.png"), picture[..., ::-1])
        (folder / f"{i:06d}.txt").write_text(f"Nuclei and stroma in field {i}, without necrosis.")


def peak_mb(captions: int) -> int:
    """Peak resident memory in MiB of a run over that many captions."""
    with tempfile.TemporaryDirectory() as folder:
        pairs, out = Path(folder) / "pairs", Path(folder) / "out"
        write_pairs(pairs, captions)
        done = subprocess.run(
            [sys.executable, "-c", _RUN, pairs, out], capture_output=True, text=True, check=True
        )
    return int(done.stdout.splitlines()[-1])


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=1000)
    parser.add_argument("--times", type=int, default=10)
    args = parser.parse_args()
    few = peak_mb(args.captions)
    many = peak_mb(args.captions * args.times)
    print(f"{args.captions} captions: {few} MiB; {args.captions * args.times}: {many} MiB")
    print(f"growth: {many / few:.2f}")


if __name__ == "__main__":
    main()
