"""What BiomedParse computes for a picture, by count, and what eight GPUs make of that.

    python -m tests.bench.encodes [--captions 120]

Captions of phantoms ask about pictures of the sizes that corpora have; a model that only counts is
shown the tiles. Operations are those of the network at full size (torch's counter, on no data).
Captions/s are peak operations of the card times a stated share, which convolutions and attention
of such sizes reach: an estimate on paper, the same for before and after.
"""

from __future__ import annotations

import argparse
import tempfile
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
from segmenters.config import SegmentConfig
from segmenters.protocol import Prompt
from segmenters.stage import _captions_by_image
from segmenters.text_prompted import PhraseAnswer, PhraseConfig, PhraseSegmenter
from segmenters.tiling import TilingConfig

PEAK = {"fp32": 19.5e12, "bf16": 312e12}  # of an A100, operations/s (NVIDIA's data sheet)
SHARE = 0.4
GPUS = 8
# As it was: three scales where none is known, tiles without a cap, fp32.
BEFORE = TilingConfig(scales_mpp=(0.25, 0.5, 1.0), max_tiles=10_000)
CASES = {"1,000 px, scale unknown (QUILT)": (1000, None), "672 px of 0.5 um (PathGen)": (672, 0.5)}


class Counter:
    """Counts what it is shown and asked."""

    def __init__(self) -> None:
        self.encodes = self.decodes = 0

    def encode(self, image: np.ndarray) -> tuple[int, int]:
        self.encodes += 1
        return image.shape[0], image.shape[1]

    def answer(self, encoded: tuple[int, int], phrases: list[str]) -> list[PhraseAnswer]:
        self.decodes += len(phrases)
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


def asked(captions: int) -> list[list[Prompt]]:
    """Prompts of every picture of phantom corpora."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_demo(Path(folder) / "corpora", captions=captions, seed=4)
        quilt = f"quilt={folder}/corpora/quilt"
        config = load_config("quickstart.yaml", [], [quilt], f"{folder}/out")
        store = Store(config.out)
        extract = ExtractMentions(config.ner)
        for ref in make_plan(config.corpora, 64, store).refs():
            unit = extract(load_unit(ref, config.corpora, store))
            for image_id, (mentions, facts) in _captions_by_image(unit.samples).items():
                rows = asks(mentions, facts, lambda concept: True, SegmentConfig(), image_id)
                prompts = [Prompt(r["concept"], r["kind"], tuple(r["wordings"])) for r in rows]
                if prompts:
                    found.append(prompts)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=120)
    args = parser.parse_args()
    encode, decode = operations()
    print(f"{encode / 1e12:.2f} TFLOP an encode, {decode / 1e12:.3f} a prompt among eight")
    pictures = asked(args.captions)
    for case, (side, mpp) in CASES.items():
        image = tile(3, size=side, mpp=mpp or 0.5, flaws=0).image
        for name, tiling, form in (("before", BEFORE, "fp32"), ("after", TilingConfig(), "bf16")):
            model = Counter()
            config = PhraseConfig(kind="stub", tiling=tiling)
            segmenter = PhraseSegmenter("stub", model, config)
            for prompts in pictures:
                segmenter.segment(segmenter.encode(image, mpp), prompts)
            n = len(pictures)
            work = (model.encodes * encode + model.decodes * decode) / n
            rate = GPUS * SHARE * PEAK[form] / work
            print(
                f"{case}, {name} ({form}): {model.encodes / n:.0f} encodes and "
                f"{model.decodes / n:.0f} prompts a picture, {work / 1e12:.0f} TFLOP, "
                f"{rate:.2f} pictures/s on {GPUS} A100 at {SHARE:.0%} of their peak"
            )


if __name__ == "__main__":
    main()
