"""A task: does a structure touch the border of the picture?"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from miner.core.parts import Part
from miner.core.settings import PartSettings
from shards.instruct.called import name_of
from shards.instruct.exchange import Exchange


def border(sample: Mapping[str, Any], rng: random.Random) -> Exchange | None:
    """Asked of any region; the answer points to it."""
    if not sample["regions"]:
        return None
    region = rng.randrange(len(sample["regions"]))
    x1, y1, x2, y2 = sample["regions"][region]["bbox"]
    touches = min(x1, y1) == 0 or x2 == sample["width"] or y2 == sample["height"]
    name = name_of(sample, region)
    answer = f"{'Yes' if touches else 'No'}: the {name} {'does' if touches else 'does not'}."
    start = answer.index(name)
    question = f"Does the {name} reach the border of the picture?"
    return Exchange("border", question, answer, ((start, start + len(name), region),))


PART = Part(kind="border", Settings=PartSettings, build=lambda settings, threads: border)
