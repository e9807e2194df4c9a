"""From a YAML file and the changes of the command line to the configuration of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from miner.config import Config
from miner.core.errors import Refused
from miner.core.read_settings import apply_set, check, read_yaml

# One way of stating the quality replaces the other.
RIVALS = {"filters.precision": "fdr", "filters.fdr": "precision"}


def load_config(
    path: str,
    sets: Sequence[str] = (),
    corpora: Sequence[str] = (),
    out: str | None = None,
    workers: int | None = None,
) -> Config:
    """Read a configuration.

    Args:
        path: YAML file; `configs/NAME.yaml` is also found among those that ship with the package.
        sets: `a.b=c` changes, the value in YAML; numbers index lists.
        corpora: `KIND=PATH` entries that replace the list of corpora.
        out: replaces `out`.
        workers: replaces `runner.workers`.

    Raises:
        Refused: the file is missing or not YAML, or a field is wrong.
    """
    value = read_yaml(path)
    if corpora:
        value["corpora"] = [_corpus(entry) for entry in corpora]
    apply_sets(value, sets)
    if out is not None:
        value["out"] = out
    if workers is not None:
        apply_set(value, f"runner.workers={workers}")
    return check_config(value, path)


def apply_sets(value: dict[str, Any], sets: Sequence[str]) -> None:
    """Apply `a.b=c` changes, in order, to a plain configuration; raises `Refused`."""
    if {change.partition("=")[0] for change in sets} >= RIVALS.keys():
        raise Refused("--set: filters.precision and filters.fdr together; give one of them")
    for change in sets:
        apply_set(value, change)
        rival = RIVALS.get(change.partition("=")[0])
        if rival is not None:
            value["filters"].pop(rival, None)


def check_config(value: Any, where: str) -> Config:
    """Turn a plain dict into a `Config`; raises `Refused` naming `where` and the field."""
    return check(Config, value, f"{where}: ")


def _corpus(entry: str) -> dict[str, Any]:
    kind, equals, path = entry.partition("=")
    if not equals or not kind or not path:
        raise Refused(f"--corpus {entry}: expected KIND=PATH")
    return {"kind": kind, "path": path}
