"""Settings of what is written: caps, targets and proportions."""

from __future__ import annotations

from typing import Annotated

import pydantic

from miner.core.settings import Settings
from ner.strata import COLUMNS, DIMENSIONS

_PUBLISHED = {"source", "group", "image_id"}  # in whatever case they come


class Strata(Settings):
    """Samples told apart by what is said of them; see those who inherit."""

    by: tuple[str, ...] = ()

    @pydantic.field_validator("by")
    @classmethod
    def _known(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        return _known(by)


class Stratum(Strata):
    """One of them, or each."""

    value: str = ""

    @pydantic.field_validator("value")
    @classmethod
    def _as_printed(cls, value: str, info: pydantic.ValidationInfo) -> str:
        return _as_printed(value, info)


class Cap(Stratum):
    """At most so many samples of a stratum.

    Attributes:
        by: dimensions that make up the stratum: organ, system, stain, magnification, specimen,
            subtype, grade, stage, age, sex, scanner, corpus, source, group, image_id.
        value: the one stratum it is for (values joined by `/`); empty means each.
        max_samples: largest number of samples.
    """

    by: tuple[str, ...] = pydantic.Field(min_length=1)
    max_samples: int = pydantic.Field(ge=0)


class ConceptCap(Settings):
    """At most so many samples with a concept.

    A sample goes only when every concept it grounds is full: a rare one is not lost to the nuclei
    around it.

    Attributes:
        concept: the one concept it is for; empty means each.
        max_samples: largest number of samples.
    """

    concept: Annotated[str, pydantic.StringConstraints(to_lower=True)] = ""
    max_samples: int = pydantic.Field(ge=0)


class Target(Stratum):
    """Caps take nothing from a stratum or concept that has not got so many samples.

    Attributes:
        by: dimensions of the stratum; empty when `concept` is given.
        value: the one stratum it is for (values joined by `/`); empty means each.
        concept: the concept it is for.
        min_samples: number of samples wanted.
    """

    concept: Annotated[str, pydantic.StringConstraints(to_lower=True)] = ""
    min_samples: int = pydantic.Field(ge=1)

    @pydantic.model_validator(mode="after")
    def _one_of(self) -> Target:
        if bool(self.by) == bool(self.concept):
            raise ValueError("a target needs either `by` or `concept`")
        return self


class Share(Strata):
    """In which proportion the values of a stratum are written.

    As many samples are written as the scarcest value allows; of the others some are left out, by
    the hash. Values that are not named are left alone, and a value of which there is nothing holds
    back no other.

    Attributes:
        by: dimensions that make up the stratum, as of a cap.
        weights: by value (values joined by `/`), in any scale.
    """

    by: tuple[str, ...] = pydantic.Field(min_length=1)
    weights: dict[str, Annotated[float, pydantic.Field(gt=0)]] = pydantic.Field(min_length=2)

    @pydantic.field_validator("weights")
    @classmethod
    def _as_printed(
        cls, weights: dict[str, float], info: pydantic.ValidationInfo
    ) -> dict[str, float]:
        spelled = {_as_printed(value, info): weight for value, weight in weights.items()}
        if len(spelled) < len(weights):
            raise ValueError(f"a value is there twice, in other case: {', '.join(weights)}")
        return spelled


class SamplingConfig(Settings):
    """Caps on what is written; nothing is capped by default.

    Attributes:
        caps: per stratum.
        concept_caps: per concept.
        targets: strata and concepts that caps spare.
        shares: proportions of strata, such as of corpora, kept among what caps leave.
    """

    caps: tuple[Cap, ...] = ()
    concept_caps: tuple[ConceptCap, ...] = ()
    targets: tuple[Target, ...] = ()
    shares: tuple[Share, ...] = ()

    @property
    def leaves_out(self) -> bool:
        """Whether anything can be left out at all."""
        return bool(self.caps or self.concept_caps or self.shares)


def _known(by: tuple[str, ...]) -> tuple[str, ...]:
    for dimension in by:
        if dimension not in (*DIMENSIONS, *COLUMNS):
            known = ", ".join((*DIMENSIONS, *COLUMNS))
            raise ValueError(f"unknown dimension {dimension!r}; known: {known}")
    return by


def _as_printed(value: str, info: pydantic.ValidationInfo) -> str:
    """A value as the ledger spells it: in lower case, but for what publishers name."""
    by = info.data.get("by", ())
    parts = value.split("/") if len(by) > 1 else [value]
    if len(parts) != len(by):
        return value
    return "/".join(
        part if name in _PUBLISHED else part.lower() for name, part in zip(by, parts, strict=True)
    )
