"""The report of a run: a page and a notebook, made from the files of OUT alone."""

from __future__ import annotations

from miner.core.store import Store


def write_report(store: Store) -> None:
    """Write the page and the notebook of a finished OUT.

    Args:
        store: OUT with run.json, ledger, shards and units.
    """
    from miner.core.layout import NOTEBOOK, REPORT
    from miner.report.calibration import CALIBRATION, calibration_facts
    from miner.report.notebook import audit_notebook
    from miner.report.page import render

    calibration = calibration_facts(store)
    store.write_json(CALIBRATION, calibration)
    store.write(REPORT, render(store, calibration).encode())
    store.write(NOTEBOOK, audit_notebook(store).encode())
