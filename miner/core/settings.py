"""Base class of every configuration section."""

from __future__ import annotations

import pydantic


class Settings(pydantic.BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class PartSettings(Settings):
    """Settings of a part; see `miner.core.parts`.

    Attributes:
        kind: which part.
    """

    kind: str
