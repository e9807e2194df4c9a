"""A question with its answer, and what makes one of a sample."""

from __future__ import annotations

import dataclasses
import random
from typing import Protocol

from miner.core.settings import PartSettings
from shards.export.dialogue import EITHER, Shows
from shards.export.folder import VisualPrompt
from shards.export.masks import boxes
from shards.sample import GroundedSample, Region


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A question and its answer.

    Attributes:
        task: name of the task.
        question: text of the user; `<vp>` stands for the visual prompt.
        answer: text of the assistant.
        grounded: phrases of the answer with the region each points to: (start, end, region).
        think: chain of thought in front of the answer, empty where there is none.
        prompt: visual prompt: kind (point, box, scribble) and points (x, y) in pixels, or None.
        denied: concept that the answer says is not there, empty where it denies none.
    """

    task: str
    question: str
    answer: str
    grounded: tuple[tuple[int, int, int], ...] = ()
    think: str = ""
    prompt: VisualPrompt | None = None
    denied: str = ""


class Task(Protocol):
    """Turns a grounded sample into an exchange, None where the sample does not support one."""

    def __call__(self, sample: GroundedSample, rng: random.Random, /) -> Exchange | None:
        """Ask about a sample, with the random choices of `rng`."""
        ...


class Asked(PartSettings):
    """What a task knows beside the sample.

    Attributes:
        certain: least `exhaustive` of a region that is said to be all of its concept.
        shows: how answers say where something is: by masks, by boxes, or either where that is not
            known; wordings go with it.
        max_boxes: most objects that have a box each.
    """

    certain: float = 0.9
    shows: Shows = "either"
    max_boxes: int = EITHER.max_boxes


DEFAULT = Asked(kind="")


def shown(region: Region, asked: Asked) -> bool:
    """Whether an answer can show where a region is; boxes cannot where it is all over."""
    return asked.shows != "boxes" or bool(boxes(region, asked.max_boxes))
