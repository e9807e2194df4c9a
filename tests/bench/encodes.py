"""What BiomedParse computes for a picture, by count, and what eight GPUs make of that.

    python -m tests.bench.encodes [--captions 120]

Captions of phantoms ask about pictures of the sizes that corpora have; a model that only counts is
shown the tiles, with what fills its batches up. Operations are those of the network at full size
(torch's counter, on no data). Pictures/s and captions/s are peak operations of the card times a
stated share, which convolutions and attention of such sizes reach: an estimate on paper, the same
for before and after.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from miner.core.store import Store
from miner.corpora.plan import load_unit, make_plan
from miner.demo import write_demo
from miner.demo.render import tile
from miner.load_config import load_config
from ner.stage import ExtractMentions
from segmenters.asks import asks
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.decoder import Memory
from segmenters.biomedparse.model import Network
from segmenters.biomedparse.segmenter import BiomedParseConfig
from segmenters.config import SegmentConfig
from segmenters.protocol import Prompt
from segmenters.stage import _captions_by_image
from segmenters.text_prompted import PhraseAnswer, PhraseConfig, PhraseSegmenter
from segmenters.tiling import TilingConfig

PEAK = {"fp32": 19.5e12, "bf16": 312e12}  # of an A100, operations/s (NVIDIA's data sheet)
SHARE = 0.4
GPUS = 8
SCORED = 7.0  # captions/s that a core scores (python -m tests.bench.stages)
# As it was: three scales where none is known, tiles without a cap, fp32.
BEFORE = TilingConfig(scales_mpp=(0.25, 0.5, 1.0), max_tiles=10_000)
CASES = {"1,000 px, scale unknown (QUILT)": (1000, None), "672 px of 0.5 um (PathGen)": (672, 0.5)}


class Counter:
    """Counts what it is shown and asked, and what it computes.

    Args:
        tiles: encoded at once, always so many.
        batch: prompts decoded at once, always so many.
    """

    def __init__(self, tiles: int, batch: int) -> None:
        self.tiles, self.batch = tiles, batch
        self.shown = self.asked = self.encodes = self.decodes = 0

    def encode(self, image: np.ndarray) -> tuple[int, int]:
        return self.encode_all([image])[0]

    def encode_all(self, images: Sequence[np.ndarray]) -> list[tuple[int, int]]:
        self.shown += len(images)
        self.encodes += self.tiles
        return [(image.shape[0], image.shape[1]) for image in images]

    def answer(self, encoded: tuple[int, int], phrases: list[str]) -> list[PhraseAnswer]:
        self.asked += len(phrases)
        self.decodes += math.ceil(len(phrases) / self.batch) * self.batch
        return [PhraseAnswer(np.zeros(encoded, np.float32)) for _ in phrases]


def operations() -> tuple[float, float]:
    """Of an encoded tile, and of a decoded prompt among eight."""
    sizes = Sizes()
    with torch.device("meta"):
        network = Network(sizes).eval()
        x = torch.empty(1, 3, sizes.image_size, sizes.image_size)
        tokens = torch.empty(8, sizes.context, sizes.proj_dim)
        real = torch.ones(8, sizes.context, dtype=torch.bool)
    with torch.inference_mode(), FlopCounterMode(display=False) as encode:
        mask_features, levels = network.pixel_decoder(network.backbone(x))
        memory = Memory.of(mask_features, levels)
    with torch.inference_mode(), FlopCounterMode(display=False) as decode:
        network.decoder(memory, tokens, real)
    return encode.get_total_flops(), decode.get_total_flops() / 8


def asked(captions: int) -> tuple[list[list[Prompt]], int]:
    """Prompts of every picture of phantom corpora, and how many captions those have."""
    found, named = [], 0
    with tempfile.TemporaryDirectory() as folder:
        write_demo(Path(folder) / "corpora", captions=captions, seed=4)
        quilt = f"quilt={folder}/corpora/quilt"
        config = load_config("quickstart.yaml", [], [quilt], f"{folder}/out")
        store = Store(config.out)
        extract = ExtractMentions(config.ner)
        for ref in make_plan(config.corpora, 64, store).refs():
            unit = extract(load_unit(ref, config.corpora, store))
            images = unit.samples["image_id"].to_pylist()
            for image_id, (mentions, facts) in _captions_by_image(unit.samples).items():
                rows = asks(mentions, facts, lambda concept: True, SegmentConfig(), image_id)
                prompts = [Prompt(r["concept"], r["kind"], tuple(r["wordings"])) for r in rows]
                if prompts:
                    found.append(prompts)
                    named += images.count(image_id)
    return found, named


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=120)
    args = parser.parse_args()
    encode, decode = operations()
    print(f"{encode / 1e12:.2f} TFLOP an encode, {decode / 1e12:.3f} a prompt among eight")
    pictures, captions = asked(args.captions)
    now = BiomedParseConfig(kind="biomedparse", checkpoint="")
    print(f"{captions / len(pictures):.2f} captions a picture")
    ways = (("before", BEFORE, "fp32", 1, 1), ("after", now.tiling, "bf16", now.tiles, now.batch))
    for case, (side, mpp) in CASES.items():
        image = tile(3, size=side, mpp=mpp or 0.5, flaws=0).image
        for name, tiling, form, tiles, batch in ways:
            model = Counter(tiles, batch)
            segmenter = PhraseSegmenter("stub", model, PhraseConfig(kind="stub", tiling=tiling))
            for prompts in pictures:
                segmenter.segment(segmenter.encode(image, mpp), prompts)
            n = len(pictures)
            work = (model.encodes * encode + model.decodes * decode) / n
            rate = GPUS * SHARE * PEAK[form] / work
            rows = rate * captions / n
            print(
                f"{case}, {name} ({form}): {model.shown / n:.0f} tiles and "
                f"{model.asked / n:.0f} prompts a picture, computed {model.encodes / n:.0f} and "
                f"{model.decodes / n:.0f}, {work / 1e12:.0f} TFLOP, {rate:.2f} pictures/s and "
                f"{rows:.2f} captions/s on {GPUS} A100 at {SHARE:.0%} of their peak; scoring "
                f"needs {rows / SCORED:.1f} cores"
            )


if __name__ == "__main__":
    main()
