"""Where Histomine lies: its rooms beside `miner`, and nobody else's packages of those names.

`filters`, `ner` and `configs` are also distributions on the package index. Installed after
Histomine they write over its files; installed into another folder they may be found first.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from pathlib import Path

from miner.core.errors import Refused

HOME = Path(__file__).resolve().parents[2]
CONFIGS = HOME / "configs"
ROOMS = ("ner", "segmenters", "filters", "shards")
_OURS = '"""Histomine'  # how the `__init__.py` of each room begins


@functools.cache
def check_rooms() -> None:
    """Check, without importing it, that each room is Histomine's own.

    Raises:
        Refused: one is not; the line says where it lies instead and how to mend that.
    """
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        found = Path(spec.origin) if spec is not None and spec.origin else None
        ours = HOME / room / "__init__.py"
        if found is None:
            raise Refused(f"{room}: {ours} is not there; {_mend(room, over=True)}")
        beside = found.resolve() == ours
        if not beside or not found.read_text(encoding="utf-8").startswith(_OURS):
            what = f"written over {ours}" if beside else f"found at {found} before {ours}"
            raise Refused(f"{room}: another package is {what}; {_mend(room, over=beside)}")


def _mend(room: str, over: bool) -> str:
    owners = importlib.metadata.packages_distributions().get(room, [])
    foreign = sorted({name for name in owners if name != "histomine"})
    steps = [f"pip uninstall {' '.join(foreign)}"] if foreign else []
    if over:
        steps.append("pip install --force-reinstall --no-deps histomine")
    return f"mend with: {' && '.join(steps)}" if steps else "rename it, or start elsewhere"
