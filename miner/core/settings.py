"""Base class of every configuration section."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import pydantic

SHIPPED = "embedded"  # what a setting says for the file that comes with the package
Files = Mapping[str, str]  # path by name; the one file of a setting has the name ""


class Settings(pydantic.BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    def files(self) -> Mapping[str, Files]:
        """Files that the outcome depends on, by the setting that names them.

        They are part of a run's identity by their content (`miner.core.contents`); where they lie
        is not. What ships has a name that is no setting, or that of the setting left as it is.
        """
        return {}

    def incidental(self) -> Set[str]:
        """Settings that do not change the outcome, such as where something lies."""
        return frozenset()


def files_at(place: str | Path, suffixes: tuple[str, ...] = (), pattern: str = "*") -> Files:
    """Files behind a setting that may name a file, a folder or something on a hub.

    Args:
        place: what it says.
        suffixes: of a folder's files only these count; all when empty.
        pattern: glob of a folder's files.

    Returns:
        The file; those of the folder by their names in it; none for anything else.
    """
    path = Path(place).expanduser()
    if path.is_file():
        return {"": str(path)}
    found = (file for file in path.glob(pattern) if file.is_file()) if path.is_dir() else ()
    chosen = (file for file in sorted(found) if not suffixes or file.suffix in suffixes)
    return {file.relative_to(path).as_posix(): str(file) for file in chosen}


# Of a model's folder: weights, and how they are to be used.
MODEL = (".safetensors", ".bin", ".json", ".txt")


class PartSettings(Settings):
    """Settings of a part; see `miner.core.parts`.

    Attributes:
        kind: which part.
    """

    kind: str
