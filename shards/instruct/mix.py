"""The mix of tasks: how much of each, how many refusals, which strata may not run away."""

from __future__ import annotations

import difflib

import pydantic

from miner.core.built_in import BUILT_IN
from miner.core.llm_settings import LlmSettings
from miner.core.parts import kinds
from miner.core.read_settings import check, read_yaml
from miner.core.settings import Settings
from ner.strata import DIMENSIONS


class Paraphraser(LlmSettings):
    """An OpenAI-compatible server that rewords answers."""

    retries: int = pydantic.Field(2, ge=0)


class Mix(Settings):
    """What the dialogues are made of.

    Attributes:
        tasks: share of each task among the exchanges, any scale; a task left out is not asked.
        refusals: share of refusals among all exchanges, 0..1, beside the tasks.
        exchanges: most exchanges in a dialogue.
        certain: least `exhaustive` of a region that is said to be all of its concept.
        think: write chains of thought, in front of every refusal.
        think_share: share of the other grounded answers that have one too, 0..1.
        stratum: kind of stratum that is balanced (corpus, organ, stain, …), empty for none.
        max_share: largest share of the dialogues one value of that stratum may take.
        seed: of every choice.
        paraphrase: server that rewords answers, None leaves the templates.
    """

    tasks: dict[str, float] = pydantic.Field(
        default_factory=lambda: {name: 1.0 for name in BUILT_IN["tasks"] if name != "refuse"}
    )
    refusals: float = pydantic.Field(0.15, ge=0, le=1)
    exchanges: int = pydantic.Field(3, ge=1)
    certain: float = pydantic.Field(0.9, ge=0, le=1)
    think: bool = True
    think_share: float = pydantic.Field(0.3, ge=0, le=1)
    stratum: str = "organ"
    max_share: float = pydantic.Field(1.0, gt=0, le=1)
    seed: int = 0
    paraphrase: Paraphraser | None = None

    @pydantic.field_validator("stratum")
    @classmethod
    def _dimension(cls, value: str) -> str:
        known = ("corpus", *DIMENSIONS)
        if value and value not in known:
            raise ValueError(f"unknown stratum {value}; known: {', '.join(known)}")
        return value

    @pydantic.field_validator("tasks")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        there = kinds("tasks")
        unknown = sorted(set(value) - set(there) | set(value) & {"refuse"})
        if unknown:
            tasks = [t for t in there if t != "refuse"]
            near = difflib.get_close_matches(unknown[0], tasks, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(tasks)}"
            raise ValueError(f"unknown task {unknown[0]}; {hint}; how many refusals: `refusals`")
        if not value or min(value.values()) < 0 or sum(value.values()) <= 0:
            raise ValueError("shares must not be negative, and one must be above zero")
        return value


def read_mix(name: str) -> Mix:
    """Read a mix from YAML; `default` is the one above, `NAME` also one that ships.

    Raises:
        Refused: no such file, or a wrong setting.
    """
    if name == "default":
        return Mix()
    return check(Mix, read_yaml(name), f"--instruct {name}: ")
