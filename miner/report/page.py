"""The report as one HTML file that needs nothing beside it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup

from miner.core.layout import CHANGES
from miner.core.store import Store
from miner.report import charts, gallery, gather, inline
from miner.report.calibration import calibration_charts, level_colours
from miner.report.find import searchable
from miner.report.masks import concept_rows, mask_counts, mask_funnel, masks_table, score_histograms
from miner.report.outlines import COLOURS
from miner.report.states import state_counts, state_funnel
from miner.report.summary import unreadable_corpora
from miner.report.words import (
    Q_VALUE,
    REASONS,
    SCORE,
    STATUS,
    asked,
    expected,
    explain,
    level,
    other_estimate,
    threshold,
)

CSS_COLOURS = ["rgb({},{},{})".format(*colour) for colour in COLOURS]


def render(store: Store, calibration: dict[str, Any]) -> str:
    """The report of a finished OUT; equal OUTs give equal pages, but for the section on time.

    Args:
        store: OUT.
        calibration: see `filters.page.calibration_page`.
    """
    return page(facts(store, calibration))


def facts(store: Store, calibration: dict[str, Any]) -> dict[str, Any]:
    """Everything the page says, from the files of OUT; nothing here is drawn."""
    rows = gather.row_counts(store)
    table = masks_table(store)
    return {
        "rows": rows,
        "masks": mask_counts(table),
        "states": state_counts(store),
        "concepts": concept_rows(table),
        "gallery": gallery.examples(store, table),
        "histograms": score_histograms(table),
        "calibration": calibration,
        "sampling": gather.sampling_facts(store),
        "changes": store.read_json(CHANGES) if store.exists(CHANGES) else None,
        "run": gather.run_facts(store),
        "runtime": gather.runtime(store, rows["rows"]),
        "estimated": gather.estimated(store),
        "search": searchable(store, table),
    }


def page(found: dict[str, Any]) -> str:
    """The page that says what `facts` found."""
    rows, calibration = found["rows"], found["calibration"]
    environment = _environment()
    assert environment.loader is not None
    script = environment.loader.get_source(environment, "page.js")[0]
    context: dict[str, Any] = {
        **found,
        "unreadable": unreadable_corpora(rows),
        "kept_concepts": sum(1 for row in found["concepts"] if row["written"]),
        "row_funnel": charts.funnel(gather.row_funnel(rows), "caption rows from step to step"),
        "mask_funnel": charts.funnel(
            mask_funnel(found["masks"], rows["regions"]), "masks from step to step"
        ),
        "state_funnel": charts.funnel(state_funnel(found["states"]), "what is known of concepts"),
        "histograms": [_histogram(one) for one in found["histograms"]],
        "calibration_charts": calibration_charts(calibration),
        "calibration_key": list(level_colours(calibration).items()),
        "status_words": STATUS,
        "score_words": SCORE,
        "q_words": Q_VALUE,
        "duplicate_words": REASONS["duplicate"],
        "bar": charts.bar,
        "data": inline.data(found["search"]),
        "script": Markup(script),
        "digest": inline.digest(script),
    }
    sections = [
        ("changes", "Last refilter"),
        ("funnel", "Funnel"),
        ("rows", "Rows"),
        ("samples", "Grounded captions"),
        ("concepts", "Concepts"),
        ("accepted", "In the shards"),
        ("others", "Not in the shards"),
        ("duplicates", "Duplicates"),
        ("find", "Search"),
        ("scores", "Scores"),
        ("calibration", "Calibration"),
        ("sampling", "Sampling"),
        ("run", "How it was made"),
    ]
    there = {
        "sampling": bool(found["sampling"]),
        "changes": found["changes"] is not None,
        "duplicates": bool(found["gallery"]["duplicates"]),
    }
    context["sections"] = [s for s in sections if there.get(s[0], True)]
    return environment.get_template("page.html.j2").render(context)


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
            "level": level,
            "other_estimate": other_estimate,
            "percent": lambda v: "–" if v is None else f"{100 * v:.1f}%",
        }
    )
    environment.globals.update(
        {"rows_of": _rows_of, "threshold": threshold, "colours": CSS_COLOURS}
    )
    return environment


def _rows_of(what: str, **asked: str) -> str:
    """Link to the search, set to the rows that a number counts."""
    return f"#find?{urlencode({'what': what, **asked})}"


def _histogram(found: dict[str, Any]) -> dict[str, Any]:
    counts = found["counts"]
    series = {
        "accepted": (charts.KEPT, counts["accepted"]),
        "rejected": (charts.DROPPED, counts["rejected"]),
        "controls": (charts.CONTROL, counts["controls"]),
    }
    return {**found, "svg": charts.histogram(found["edges"], series, found["name"])}
