"""BiomedParse behind the segmenters' protocol."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from miner.core.errors import Refused
from miner.core.parts import Part
from miner.core.plain_yaml import load_yaml
from miner.core.settings import MODEL, Files, files_at
from ner.concepts import concepts
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.predict import BiomedParse, Features, Precision
from segmenters.biomedparse.weights import find
from segmenters.protocol import Prompt
from segmenters.text_prompted import SCORES, PhraseAnswer, PhraseConfig, PhraseSegmenter


class BiomedParseConfig(PhraseConfig):
    """BiomedParse v1, the native port.

    Attributes:
        checkpoint: `biomedparse_v1.pt` or its folder, or a hub repository id.
        sizes: YAML file with the sizes of a reduced model; the released sizes when empty.
        tokenizer: folder or hub id of a CLIP tokenizer; the one of `instant-clip-tokenizer` when
            empty.
        sha256: refuse a checkpoint with another checksum.
        precision: number format on a GPU, by default bf16 where it multiplies in it; a CPU always
            computes in fp32.
        channels_last: memory layout of the image encoder; by default so on a GPU.
        compile: run the image encoder through `torch.compile`.
        batch: prompts decoded at once.
        tiles: tiles encoded at once on a GPU, a CPU takes one by one. It always computes so many,
            so that an answer does not depend on how many others there are.
        features: encoded tiles kept in memory beyond those (about 180 MB each at full size).
        template: wording for a BiomedParse target; the bare target is the second wording.
        modality: what stands for {modality} in the template.
    """

    kind: Literal["biomedparse"] = "biomedparse"
    checkpoint: str = "microsoft/BiomedParse"
    sizes: str = ""
    tokenizer: str = ""
    sha256: str = ""
    precision: Precision = "auto"
    channels_last: bool | None = None
    compile: bool = False
    batch: int = pydantic.Field(default=8, ge=1)
    tiles: int = pydantic.Field(default=4, ge=1)
    features: int = pydantic.Field(default=2, ge=1)
    template: str = "{target} in {site} {modality}"
    modality: str = "pathology"

    def files(self) -> Mapping[str, Files]:
        """Checkpoint, and sizes and tokenizer where they are files.

        Raises:
            Refused: there is no checkpoint.
        """
        return {
            "checkpoint": {"": str(find(self.checkpoint))},
            "sizes": {"": self.sizes} if self.sizes else {},
            "tokenizer": files_at(self.tokenizer, MODEL) if self.tokenizer else {},
        }


def phrases(prompt: Prompt, template: str, modality: str) -> list[str]:
    """Wordings for BiomedParse, best first.

    Its own target names come before the concept table's wordings, since it was trained on them;
    each in the training's sentence first, then the best one bare.

    Args:
        prompt: what is asked.
        template: sentence with {target}, {site} and {modality}; an unknown site is left out.
        modality: as BiomedParse calls it.
    """
    known = concepts().get(prompt.concept)
    targets = list(dict.fromkeys((*(known.biomedparse if known else ()), *prompt.wordings)))
    sentences = [
        " ".join(template.format(target=target, site=prompt.site or "", modality=modality).split())
        for target in targets
    ]
    return [sentences[0], targets[0], *sentences[1:]]


class BiomedParseModel:
    """Answers phrases about tiles.

    Args:
        model: the loaded network.
        features: encoded tiles kept, the most recent ones.
        tiles: encoded at once.
    """

    def __init__(self, model: BiomedParse, features: int, tiles: int = 1):
        self.model = model
        self.tiles = tiles
        self._kept: collections.OrderedDict[bytes, Features] = collections.OrderedDict()
        self._bound = features

    def encode(self, image: np.ndarray) -> Features:
        """Encode a tile, uint8 (h, w, 3), or take it from the bounded cache."""
        key = repr(image.shape).encode() + image.tobytes()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        while len(self._kept) >= self._bound:
            self._kept.popitem(last=False)
        self._kept[key] = self.model.encode(image)
        return self._kept[key]

    def encode_all(self, images: Sequence[np.ndarray]) -> list[Features]:
        """Encode up to `tiles` tiles; nothing is kept, since a picture has more of them."""
        return self.model.encode_all(images, self.tiles)

    def answer(self, encoded: Features, phrases: Sequence[str]) -> list[PhraseAnswer]:
        """One answer per phrase."""
        answer = self.model.decode(encoded, phrases)
        return [
            PhraseAnswer(
                answer.prob[i].numpy(),
                query=int(answer.query[i]),
                truncated=bool(answer.truncated[i]),
                fell_back=answer.fell_back,
            )
            for i in range(len(phrases))
        ]


def build(config: BiomedParseConfig, threads: int = 1) -> PhraseSegmenter:
    """The configured BiomedParse.

    Raises:
        Refused: no checkpoint, a wrong one, no such device, or a bad sizes file.
    """
    model = BiomedParse.from_checkpoint(
        config.checkpoint,
        device=config.device,
        sizes=_sizes(config.sizes),
        tokenizer=config.tokenizer,
        sha256=config.sha256,
        precision=config.precision,
        batch=config.batch,
        channels_last=config.channels_last,
        compile=config.compile,
    )
    return PhraseSegmenter(
        config.name or "biomedparse",
        BiomedParseModel(model, config.features, config.tiles if model.device.type != "cpu" else 1),
        config,
        wordings=lambda prompt: phrases(prompt, config.template, config.modality),
    )


def _sizes(path: str) -> Sizes | None:
    if not path:
        return None
    try:
        return Sizes(**load_yaml(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise Refused(f"biomedparse.sizes: {path} is not there") from None
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise Refused(f"biomedparse.sizes: {path} has no valid sizes ({reason})") from None


PART = Part(
    kind="biomedparse",
    Settings=BiomedParseConfig,
    build=build,
    columns=SCORES,
    title="BiomedParse",
    without="segment.segmenters: kind biomedparse and a checkpoint",
)
