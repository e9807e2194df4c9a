"""The report of a run: a page and a notebook, made from the files of OUT alone."""

from __future__ import annotations

from miner.core.store import Store


def write_report(store: Store) -> None:
    """Write the page and the notebook of a finished OUT.

    Args:
        store: OUT with run.json, ledger, shards and units.
    """
    from miner.core.layout import CALIBRATION, NOTEBOOK, REPORT
    from miner.report.notebook import audit_notebook
    from miner.report.page import render

    store.write(REPORT, render(store, store.read_json(CALIBRATION)).encode())
    store.write(NOTEBOOK, audit_notebook().encode())
