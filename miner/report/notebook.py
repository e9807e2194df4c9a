"""The audit notebook: a short walk over ledger and samples that a reader can change and rerun."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from miner.core.layout import SAMPLING
from miner.core.store import Store

INTRO = """# Audit of a Histomine run

Everything here is read from the files of OUT: the ledger (one row per caption row, one per
candidate mask) and the shards. Set `MASKS` to a folder of expert label maps
(`<corpus>/<image>/<entity>.png`) to see precision against truth."""

SETUP = """import os

import matplotlib.pyplot as plt
import numpy as np

import miner

run = miner.open(os.environ.get("HISTOMINE_OUT", ".."))  # the notebook lies in OUT/report
MASKS = os.environ.get("HISTOMINE_MASKS")  # folder of expert label maps, or None
samples, frame = run.samples().to_pandas(), run.candidates().to_pandas()
written = samples[samples.status == "written"]
print(f"{len(samples):,} caption rows, {len(written):,} written, "
      f"{written.regions.sum():,} regions, {len(frame):,} candidate masks")"""

FUNNEL = """names, left = zip(*run.funnel())
figure, axes = plt.subplots(figsize=(8, 3))
axes.barh(names[::-1], left[::-1], color="#5a3d9a")
axes.set_xlabel("caption rows")
axes.set_title("From caption to written row")
plt.show()
for status, rows in samples.groupby("status"):
    reasons = rows.reason.value_counts()
    print(f"{status:>11}: " + ", ".join(f"{reason} {n}" for reason, n in reasons.items()))"""

CONCEPTS = """affirmed = frame[frame.polarity == "affirmed"]
by_concept = affirmed.groupby("concept").agg(
    asked=("keep", "size"), drawn=("area_px", lambda a: int((a > 0).sum())),
    accepted=("keep", "sum"), median_score=("score", "median"),
).sort_values(["accepted", "asked"], ascending=False)
by_concept.head(25)"""

SCORES = """shown = [c for c in ("score", "confidence", "clip_prob", "ks_margin")
         if c in frame and frame[c].notna().any()]
panels = max(len(shown), 1)
figure, axes = plt.subplots(1, panels, figsize=(4 * panels, 2.8), squeeze=False)
groups = {"accepted": frame[frame.keep], "rejected": affirmed[~affirmed.keep],
          "controls": frame[frame.polarity != "affirmed"]}
for axis, name in zip(axes[0], shown):
    edges = np.linspace(frame[name].min(), frame[name].max() + 1e-9, 25)
    for (group, part), colour in zip(groups.items(), ("#5a3d9a", "#e38bab", "#9aa4b5")):
        axis.hist(part[name].dropna(), edges, histtype="step", lw=1.6, color=colour, label=group)
    axis.set_title(name)
axes[0, 0].legend()
plt.tight_layout()
plt.show()"""

TRUTH = """if MASKS:
    found = run.evaluate(MASKS)
    for name, row in [*found["concepts"].items(), ("all", found["all"])]:
        if row["judged"]:
            print(f"{name:>20}: precision {row['precision']:.2f} "
                  f"[{row['precision_low']:.2f}, {row['precision_high']:.2f}], "
                  f"Dice {row['dice']:.2f}, {row['judged']} judged of {row['mined']}")
else:
    print("no truth at hand: set HISTOMINE_MASKS and run again")"""

GALLERY = """figure, axes = plt.subplots(2, 4, figsize=(15, 8))
for axis in axes.ravel():
    axis.axis("off")
for axis, key in zip(axes.ravel(), written.key):
    axis.imshow(run.drawn(key))
    axis.set_title(", ".join(r["concept"] for r in run.regions(key))[:44], fontsize=9)
plt.tight_layout()
plt.show()"""

SAMPLING_CELL = """for dimension, table in run.sampling()["before_after"].items():
    if len(table) > 1:
        print(dimension)
        for value, before, after in table[:8]:
            print(f"    {value or '(not stated)':<28} {before:>6} -> {after}")"""


def audit_notebook(store: Store) -> str:
    """The notebook as JSON; equal OUTs give equal bytes, and no cell is run here."""
    cells = [
        new_markdown_cell(INTRO),
        new_code_cell(SETUP),
        new_markdown_cell("## Funnel\nEvery row of the corpora ends in exactly one state."),
        new_code_cell(FUNNEL),
        new_markdown_cell("## Concepts"),
        new_code_cell(CONCEPTS),
        new_markdown_cell("## Scores\nControls are decoys and phrases that the caption denies."),
        new_code_cell(SCORES),
        new_markdown_cell("## Precision against truth"),
        new_code_cell(TRUTH),
        new_markdown_cell("## What a trainer gets"),
        new_code_cell(GALLERY),
    ]
    if store.exists(SAMPLING):
        cells += [
            new_markdown_cell("## Strata before and after sampling"),
            new_code_cell(SAMPLING_CELL),
        ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"  # nbformat draws these at random
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3", "language": "python", "name": "python3",
    }  # fmt: skip
    return str(nbformat.writes(notebook))
