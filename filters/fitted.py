"""Reading the data files of the filters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from miner.core.errors import Refused


def read_json(
    file: Path, field: str, version: int, command: str = "miner calibrate"
) -> dict[str, Any]:
    """A JSON object that states its version.

    Args:
        file: to be read.
        field: of the configuration that named it, for messages.
        version: the only one that is read.
        command: that writes such a file.

    Raises:
        Refused: no such file, not JSON, another version.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{field}: cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise Refused(f"{field}: {file} is not JSON: {error}") from error
    found = data.get("version") if isinstance(data, dict) else None
    if found != version:
        raise Refused(
            f"{field}: {file} has version {found}, this program reads {version}; "
            f"write it anew with `{command}`"
        )
    return data
