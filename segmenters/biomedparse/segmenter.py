"""BiomedParse behind the segmenters' protocol."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydantic
import yaml

from miner.core.errors import Refused
from ner.concepts import concepts
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.predict import BiomedParse, Features
from segmenters.config import BiomedParseConfig
from segmenters.phrases import PhraseAnswer, PhraseSegmenter
from segmenters.protocol import Prompt


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
    """

    def __init__(self, model: BiomedParse, features: int):
        self.model = model
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


def build(config: BiomedParseConfig) -> PhraseSegmenter:
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
        BiomedParseModel(model, config.features),
        config,
        wordings=lambda prompt: phrases(prompt, config.template, config.modality),
    )


def _sizes(path: str) -> Sizes | None:
    if not path:
        return None
    try:
        return Sizes(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise Refused(f"biomedparse.sizes: {path} is not there") from None
    except (TypeError, yaml.YAMLError, pydantic.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise Refused(f"biomedparse.sizes: {path} has no valid sizes ({reason})") from None
