"""What the agreement costs beside the segmenters: `python -m tests.bench.clip_cost`.

Seconds of one core for the same pictures and the same questions, interleaved. CLIPs of the ViT-B
class and BiomedParse have random weights of the released size: time does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from filters.clip import ClipAgreement, ClipConfig
from miner.demo import render
from ner.concepts import concepts
from segmenters.protocol import Prompt
from segmenters.stain import StainSegmenter

ASKED = ("nucleus", "lymphocyte", "gland", "lumen", "stroma", "necrosis", "fat", "red blood cell")
MPP = 0.5


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU time, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def vit(folder: Path, patch_px: int) -> str:
    """A CLIP of the ViT-B class with random weights."""
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip import CLIPTextConfig, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        patch_size=patch_px,
    )
    config = CLIPConfig(text_config=CLIPTextConfig(), vision_config=vision)
    out = folder / f"vit-b-{patch_px}"
    CLIPModel(config).save_pretrained(out)
    stated = {
        "size": {"shortest_edge": 224},
        "crop_size": 224,
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
    }
    (out / "preprocessor_config.json").write_text(json.dumps(stated))
    return str(out)


def biomedparse() -> Any:
    """BiomedParse at its released size, random weights."""
    from segmenters.biomedparse import BiomedParse
    from segmenters.biomedparse.config import Sizes
    from segmenters.biomedparse.model import Network
    from segmenters.biomedparse.tokenizer import Tokenizer

    sizes = Sizes()
    return BiomedParse(Network(sizes).eval(), sizes, Tokenizer("", sizes.context))


def main() -> None:
    """Print seconds a picture and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="*", default=[512, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crops", action="store_true", help="one crop a region too (slow)")
    parser.add_argument("--vit", action="store_true", help="ViT-B/32 and ViT-B/16 too")
    parser.add_argument("--biomedparse", action="store_true", help="BiomedParse too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    stain = StainSegmenter()
    prompts = [
        Prompt(name, concepts()[name].kind, concepts()[name].wordings)
        for name in ASKED
        if stain.supports(name)
    ]
    configs = {"embedded, dense": ClipConfig()}
    if args.crops:
        configs["embedded, crops"] = ClipConfig(regions="crops", max_instances=4)
    with tempfile.TemporaryDirectory() as folder:
        if args.vit:
            for patch in (32, 16):
                path = vit(Path(folder), patch)
                configs[f"ViT-B/{patch}, dense"] = ClipConfig(model=path)
                if args.crops:
                    configs[f"ViT-B/{patch}, crops"] = ClipConfig(
                        model=path, regions="crops", max_instances=0
                    )
        clips = {name: ClipAgreement(config) for name, config in configs.items()}
        big = biomedparse() if args.biomedparse else None
        for side in args.sides:
            seconds: dict[str, list[float]] = {}
            for i in range(args.rounds):
                image = render.tile(5_000 + i, side, MPP, organ="colon").image
                spent, found = timed(lambda x=image: stain.segment(stain.encode(x, MPP), prompts))
                seconds.setdefault("stain segmenter", []).append(spent)
                asked = [
                    (one.concept, prompt.kind, one.mask, one.labels, ["positive"])
                    for one, prompt in zip(found, prompts, strict=True)
                    if one.mask is not None
                ]
                for name, clip in clips.items():
                    if i == 0:
                        clip.scores(image, asked[:1])  # embeds the texts, once a process
                    if "ViT" in name and "crops" in name and i:
                        continue
                    spent, _ = timed(lambda c=clip, x=image, a=asked: c.scores(x, a))
                    seconds.setdefault(name, []).append(spent)
                if big is not None and i == 0:
                    texts = [prompt.wordings[0] for prompt in prompts]
                    spent, _ = timed(lambda x=image, t=texts: big.decode(big.encode(x), t))
                    seconds["BiomedParse"] = [spent]
            base = median(seconds["stain segmenter"])
            print(f"\n{side} x {side} px, {len(asked)} candidates:", flush=True)
            for name, values in seconds.items():
                print(
                    f"  {name}: {median(values):.2f} s, {median(values) / base:.2f} x stain",
                    flush=True,
                )


if __name__ == "__main__":
    main()
