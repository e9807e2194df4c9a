"""Fields of settings that hold a part's own settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from miner.core.errors import Refused
from miner.core.parts import find, kinds
from miner.core.settings import PartSettings


@dataclasses.dataclass(frozen=True)
class In:
    """Marks a field as a part's settings: `Annotated[PartSettings, In("segmenters")]`.

    `kind` says which; the settings are checked by the part's own model.

    Attributes:
        group: key of `miner.core.built_in.BUILT_IN`.
    """

    group: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validation by the kind's model; dumped as what it is."""
        return core_schema.no_info_plain_validator_function(
            functools.partial(_chosen, self.group, source)
        )


def _chosen(group: str, base: type[PartSettings], value: Any) -> PartSettings:
    """The settings of a part, checked; the place of an error has the kind in it."""
    if isinstance(value, base):
        return value
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str):
        raise _wrong("no_kind", f"a section with a kind; known: {', '.join(kinds(group))}")
    try:
        model = find(group, kind).Settings
    except Refused as error:
        raise _wrong("no_part", str(error)) from None
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        lines = [
            InitErrorDetails(
                type=_wrong(e["type"], e["msg"]), loc=(kind, *e["loc"]), input=e["input"]
            )
            for e in error.errors(include_url=False)
        ]
        raise pydantic.ValidationError.from_exception_data(error.title, lines) from None


def _wrong(what: str, said: str) -> PydanticCustomError:
    return PydanticCustomError(what, "{said}", {"said": said})
