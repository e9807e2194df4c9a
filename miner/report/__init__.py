"""The report of a run: a page and a notebook, made from the files of OUT alone."""

from __future__ import annotations

from miner.core.store import Store

# What is drawn from the calibration's file.
NEEDS = ("target", "sources", "calibrations", "fdr", "histograms", "levels", "limits")


def write_report(store: Store) -> None:
    """Write the page and the notebook of a finished OUT.

    Args:
        store: OUT with run.json, ledger, shards and units.
    """
    from miner.core.layout import CALIBRATION, NOTEBOOK, REPORT
    from miner.report.notebook import audit_notebook
    from miner.report.page import render

    calibration = store.read_json(CALIBRATION, NEEDS)
    store.write(REPORT, render(store, calibration).encode())
    store.write(NOTEBOOK, audit_notebook().encode())
