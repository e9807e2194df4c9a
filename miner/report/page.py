"""The report as one HTML file that needs nothing beside it."""

from __future__ import annotations

from typing import Any

import jinja2

from miner.core.layout import CHANGES
from miner.core.store import Store
from miner.report import charts, gallery, gather
from miner.report.calibration import calibration_charts, level_colours
from miner.report.words import STATUS, asked, expected, explain


def render(store: Store, calibration: dict[str, Any]) -> str:
    """The report of a finished OUT; equal OUTs give equal pages, but for the section on time.

    Args:
        store: OUT.
        calibration: see `filters.page.calibration_page`.
    """
    rows = gather.row_counts(store)
    candidates = gather.candidates_table(store)
    concepts = gather.concept_rows(candidates)
    sampling = gather.sampling_facts(store)
    context: dict[str, Any] = {
        "rows": rows,
        "kept_concepts": sum(1 for row in concepts if row["kept"]),
        "concepts": concepts,
        "row_funnel": charts.funnel(gather.row_funnel(rows), "caption rows from step to step"),
        "mask_funnel": charts.funnel(
            gather.mask_funnel(candidates, rows["regions"]), "masks from step to step"
        ),
        "gallery": gallery.examples(store, candidates),
        "histograms": [_histogram(found) for found in gather.score_histograms(candidates)],
        "calibration": calibration,
        "calibration_charts": calibration_charts(calibration),
        "calibration_key": list(level_colours(calibration).items()),
        "sampling": sampling,
        "changes": store.read_json(CHANGES) if store.exists(CHANGES) else None,
        "run": gather.run_facts(store),
        "runtime": gather.runtime(store, rows["rows"]),
        "status_words": STATUS,
        "bar": charts.bar,
    }
    sections = [
        ("changes", "Last refilter"),
        ("funnel", "Funnel"),
        ("rows", "Rows"),
        ("samples", "Grounded captions"),
        ("concepts", "Concepts"),
        ("accepted", "Accepted"),
        ("rejected", "Rejected"),
        ("scores", "Scores"),
        ("calibration", "Calibration"),
        ("sampling", "Sampling"),
        ("run", "How it was made"),
    ]
    there = {"sampling": bool(sampling), "changes": context["changes"] is not None}
    context["sections"] = [s for s in sections if there.get(s[0], True)]
    return _environment().get_template("page.html.j2").render(context)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("miner.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "count": lambda n: f"{n:,}",
            "figure": lambda v: "–" if v is None else f"{v:.2f}",
            "explain": explain,
            "asked": asked,
            "expected": expected,
            "percent": lambda v: "–" if v is None else f"{100 * v:.1f}%",
        }
    )
    return environment


def _histogram(found: dict[str, Any]) -> dict[str, Any]:
    counts = found["counts"]
    series = {
        "accepted": (charts.KEPT, counts["accepted"]),
        "rejected": (charts.DROPPED, counts["rejected"]),
        "controls": (charts.CONTROL, counts["controls"]),
    }
    return {**found, "svg": charts.histogram(found["edges"], series)}
