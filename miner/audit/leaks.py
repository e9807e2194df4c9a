"""Whether the certificate about protected test sets holds for what is to be released."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from miner.config import Config
from miner.core.layout import LEAKS
from miner.core.store import Store
from miner.report.ledger import ledger_table

UNPROTECTED = "no test set was protected (protect:), so the release says nothing about leaks"


def leak_faults(store: Store, config: Config) -> list[str]:
    """Why the certificate does not hold; empty when it does, or when nothing was to be protected.

    Every protected set of the configuration has to be in it, compared as it is now, with all
    planted copies found, and the ledger has to leave out as many pictures as it says.

    Args:
        store: OUT.
        config: of its run.

    Raises:
        DamagedFile: it is no certificate as a run writes it.
    """
    if not config.protect:
        return []
    if not store.exists(LEAKS):
        return [f"leaks: {LEAKS} is not there, although test sets are protected"]
    found: Mapping[str, Any] = store.read_json(LEAKS)
    sets = {s["name"]: s for s in found["sets"]}
    lines = []
    for name in (entry.name for entry in config.protect):
        if name not in sets:
            lines.append(f"leaks: {name}: protected, but not in {LEAKS}")
            continue
        control = sets[name]["control"]
        if control["found"] < control["planted"]:
            lines.append(
                f"leaks: {name}: of {control['planted']} planted copies only "
                f"{control['found']} were found"
            )
    left_out = _left_out(store)
    if left_out != found["excluded"]:
        lines.append(
            f"leaks: {LEAKS} says that {found['excluded']} pictures are left out, the ledger "
            f"leaves out {left_out}"
        )
    return lines


def _left_out(store: Store) -> int:
    """Pictures that the ledger leaves out as protected."""
    rows = ledger_table(store, "samples", ["corpus", "image", "status", "reason"])
    here = pc.and_(
        pc.equal(rows["status"], "excluded"),
        pc.fill_null(pc.starts_with(rows["reason"], "protected:"), False),
    )
    return rows.filter(here).group_by(["corpus", "image"]).aggregate([]).num_rows
