"""The calibration section: what it is drawn from, and its charts."""

from __future__ import annotations

from typing import Any

from miner.report import charts

# Okabe and Ito's, which everybody tells apart, readable on white and on black.
PALETTE = ("#8a63d2", "#e69f00", "#0098d8", "#d55e00", "#009e73", "#cc79a7")


def level_colours(page: dict[str, Any]) -> dict[str, str]:
    """Colour of every level that is drawn: those that judged most masks of the run."""
    levels = page["levels"]
    used = sorted(page["calibrations"], key=lambda n: (-levels.get(n, 0), n))
    return dict(zip(used, PALETTE, strict=False))


def calibration_charts(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Reliability, ROC, precision per threshold, and scores of targets and decoys.

    Args:
        page: see `filters.page.calibration_page`.

    Returns:
        Dicts with `svg` and `caption`.
    """
    found = page["calibrations"]
    colour = level_colours(page)
    used = list(colour)
    reliability = {}
    for name in used:
        one = found[name]["reliability"]
        rows = zip(one["predicted"], one["observed"], one["count"], strict=True)
        bins = [(p, o) for p, o, n in rows if n > 0]
        reliability[name] = (colour[name], [p for p, _ in bins], [o for _, o in bins])
    roc = {
        name: (
            colour[name],
            found[name]["roc"]["false_positive_rate"],
            found[name]["roc"]["true_positive_rate"],
        )
        for name in used
    }
    precision = {
        name: (colour[name], found[name]["threshold"], found[name]["precision"]) for name in used
    }
    histograms = page["histograms"]
    edges = histograms["edges"]
    targets = {
        "accepted": (charts.KEPT, histograms["accepted"]),
        "not accepted": (
            charts.DROPPED,
            [
                max(t - a, 0)
                for t, a in zip(*(histograms[k] for k in ("target", "accepted")), strict=True)
            ],
        ),
    }
    controls = {
        "decoys": (charts.CONTROL, histograms["decoy"]),
        "denied": (charts.DROPPED, histograms["negated"]),
    }
    return [
        {
            "svg": charts.curves(reliability, "stated probability", "share that was right"),
            "caption": "Reliability on held-out labelled masks: on the diagonal, a score means "
            "what it says.",
        },
        {
            "svg": charts.curves(roc, "wrong masks let through", "right masks kept"),
            "caption": "ROC on labelled masks.",
        },
        {
            "svg": charts.curves(precision, "threshold", "precision", diagonal=False),
            "caption": "Precision at or above each threshold, on labelled masks.",
        },
        {
            "svg": charts.histogram(edges, targets, "score"),
            "caption": "Scores of targets, the phrases that captions affirm: accepted (purple) and "
            "not (orange).",
        },
        {
            "svg": charts.histogram(edges, controls, "score"),
            "caption": "Scores of controls, decoys (grey) and denied phrases (orange): they should "
            "lie to the left.",
        },
    ]
