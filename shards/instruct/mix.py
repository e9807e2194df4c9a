"""The mix of tasks: how much of each, how many refusals, which strata may not run away."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pydantic
import yaml

from miner.errors import Refused
from miner.settings import Settings
from shards.instruct.tasks import TASKS


class Paraphraser(Settings):
    """An OpenAI-compatible server that rewords answers.

    Attributes:
        base_url: of the server.
        model: name of the model.
        api_key_env: environment variable with the key.
        timeout_s: of one request.
        retries: how often a request is repeated before the template stays.
    """

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = pydantic.Field(60.0, gt=0)
    retries: int = pydantic.Field(2, ge=0)


class Mix(Settings):
    """What the dialogues are made of.

    Attributes:
        tasks: share of each task among the exchanges, any scale; a task left out is not asked.
        refusals: share of refusals among all exchanges, 0..1, beside the tasks.
        exchanges: most exchanges in a dialogue.
        think: write the chain of thought of refusals.
        stratum: kind of stratum that is balanced (corpus, organ, stain, …), empty for none.
        max_share: largest share of the dialogues one value of that stratum may take.
        seed: of every choice.
        paraphrase: server that rewords answers, None leaves the templates.
    """

    tasks: dict[str, float] = pydantic.Field(
        default_factory=lambda: {name: 1.0 for name in TASKS if name != "refuse"}
    )
    refusals: float = pydantic.Field(0.15, ge=0, le=1)
    exchanges: int = pydantic.Field(3, ge=1)
    think: bool = True
    stratum: str = "organ"
    max_share: float = pydantic.Field(1.0, gt=0, le=1)
    seed: int = 0
    paraphrase: Paraphraser | None = None

    @pydantic.field_validator("tasks")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(TASKS) | set(value) & {"refuse"})
        if unknown:
            known = ", ".join(t for t in TASKS if t != "refuse")
            raise ValueError(f"unknown task {unknown[0]}; known: {known}; refusals: is a share")
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
    path = Path(name)
    source = path if path.exists() else importlib.resources.files("configs") / path.name
    try:
        value = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise Refused(f"--instruct {name}: no such file") from None
    except yaml.YAMLError as error:
        raise Refused(f"--instruct {name}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return Mix(**(value or {}))
    except (pydantic.ValidationError, TypeError) as error:
        first = error.errors(include_url=False)[0] if hasattr(error, "errors") else {}
        where = ".".join(str(p) for p in first.get("loc", ()))
        raise Refused(f"--instruct {name}: {where}: {first.get('msg', error)}") from None
