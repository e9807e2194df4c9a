"""The audit notebook: a short walk over ledger and samples that a reader can change and rerun."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

INTRO = """# Audit of a Histomine run

Everything here is read from the files of OUT through `miner.open`. Set `MASKS` to a folder of
expert label maps (`<corpus>/<image>/<entity>.png`) to see precision against truth; without one,
judge a sample by the buttons at the end.

It runs with `pip install 'histomine[notebook]'` and `jupyter lab audit.ipynb`."""

SETUP = """import html
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

import miner

run = miner.open(os.environ.get("HISTOMINE_OUT", ".."))  # the notebook lies in OUT/report
MASKS = os.environ.get("HISTOMINE_MASKS")  # folder of expert label maps, or None
AUDITOR = os.environ.get("HISTOMINE_AUDITOR", "me")  # who judges

samples, masks = run.samples().to_pandas(), run.masks().to_pandas()
written = samples[samples.status == "written"]
counts = run.counts()
print(f"{len(samples):,} caption rows, {len(written):,} written; {counts['drawn']:,} masks drawn, "
      f"{counts['accepted']:,} accepted, {counts['written']:,} in the shards, named by captions as "
      f"{written.regions.sum():,} regions")"""

FUNNEL = """names, left = zip(*run.funnel())
steps = ("asked", "drawn", "accepted", "written")
figure, (rows, drawn) = plt.subplots(1, 2, figsize=(12, 3))
rows.barh(names[::-1], left[::-1], color="#5a3d9a")
rows.set_xlabel("caption rows")
drawn.barh(steps[::-1], [counts[s] for s in steps[::-1]], color="#e69f00")
drawn.set_xlabel("concepts of pictures, each once")
plt.tight_layout()
plt.show()
for status, part in samples.groupby("status"):
    reasons = part.reason.value_counts()
    print(f"{status:>11}: " + ", ".join(f"{reason} {n}" for reason, n in reasons.items()))"""

CONCEPTS = """concepts = pd.DataFrame(run.concepts()).set_index("concept")
concepts[concepts.asked > 0].drop(columns=["decoys", "controls", "level"]).head(25)"""

SCORES = """shown = [c for c in ("score", "confidence", "clip_prob", "ks_margin")
         if c in masks and masks[c].notna().any()]
figure, axes = plt.subplots(1, max(len(shown), 1), figsize=(16, 2.8), squeeze=False)
affirmed = masks[masks.polarity == "affirmed"]
groups = {"accepted": masks[masks.keep], "rejected": affirmed[~affirmed.keep],
          "controls": masks[masks.polarity != "affirmed"]}
for axis, name in zip(axes[0], shown):
    edges = np.linspace(masks[name].min(), masks[name].max() + 1e-9, 25)
    for (group, part), colour in zip(groups.items(), ("#5a3d9a", "#e69f00", "#7d879b")):
        axis.hist(part[name].dropna(), edges, histtype="step", lw=1.6, color=colour, label=group)
    axis.set_xlabel(name)
    axis.set_ylabel("masks")
axes[0, 0].legend()
plt.tight_layout()
plt.show()"""

WHY = """# The masks that came closest to being accepted, by the filter that stopped them.
stopped = affirmed[~affirmed.keep & (affirmed.area_px > 0)].sort_values("score", ascending=False)
columns = ["reason", "concept", "score", "sample_id"]
stopped.groupby("reason").head(3)[columns].sort_values("reason")"""

TRUTH = """if MASKS:
    found = run.evaluate(MASKS)
    judged = {name: row for name, row in [*found["concepts"].items(), ("all", found["all"])]
              if row["judged"]}
    figure, (by_concept, by_score) = plt.subplots(1, 2, figsize=(12, 1.5 + 0.3 * len(judged)))
    for y, (name, row) in enumerate(judged.items()):
        by_concept.plot([row["precision_low"], row["precision_high"]], [y, y], color="#7d879b")
        by_concept.plot(row["precision"], y, "o", color="#5a3d9a")
        print(f"{name:>20}: precision {row['precision']:.2f} "
              f"[{row['precision_low']:.2f}, {row['precision_high']:.2f}], "
              f"Dice {row['dice']:.2f}, {row['judged']} judged of {row['mined']}")
    by_concept.set_yticks(range(len(judged)), judged)
    by_concept.set_xlabel("share with an IoU of at least .5, 95% interval")
    rows = [row for row in found["thresholds"]["score"] if row["judged"]]
    for what, colour in (("precision", "#5a3d9a"), ("recall", "#e69f00")):
        by_score.plot([r["at"] for r in rows], [r[what] for r in rows], "o-", color=colour,
                      label=what)
    by_score.set_xlabel("score from which on masks count")
    by_score.legend()
    plt.tight_layout()
    plt.show()
else:
    print("no truth at hand: set HISTOMINE_MASKS and run again, or judge a sample below")"""

GALLERY = """figure, axes = plt.subplots(2, 4, figsize=(15, 8))
for axis in axes.ravel():
    axis.axis("off")
for axis, key in zip(axes.ravel(), written.drop_duplicates("image").key):
    axis.imshow(run.drawn(key, fill=0.3))
    axis.set_title(", ".join(r["concept"] for r in run.regions(key))[:44], fontsize=9)
plt.tight_layout()
plt.show()"""

STRATA = """covered = run.sampling()["coverage"]
table = pd.DataFrame(covered["samples"], index=covered["concepts"], columns=covered["organs"])
table.iloc[:20, :12]"""

SAMPLING_CELL = """for dimension, table in run.sampling()["before_after"].items():
    if len(table) > 1:
        print(dimension)
        for value, before, after in table[:8]:
            print(f"    {value or '(not stated)':<28} {before:>6} -> {after}")"""

JUDGE = """session = run.audit(AUDITOR, n=60)
try:
    import ipywidgets as widgets
except ImportError:
    print("buttons need pip install 'histomine[notebook]'; audit/index.html needs nothing")
else:
    shown, said, progress = widgets.Image(format="png"), widgets.HTML(), widgets.Label()
    buttons = {v: widgets.Button(description=v.replace("_", " ")) for v in session.verdicts}
    undo = widgets.Button(description="undo")

    def ask():
        left = session.left()
        progress.value = f"{len(left)} left; kept in {session.file}"
        shown.layout.visibility = "visible" if left else "hidden"
        if left:
            concept, caption, shown.value = session.question(left[0])
            said.value = f"<b>{html.escape(concept)}</b><br>{html.escape(caption)}"

    def answer(verdict):
        if left := session.left():
            session.judge(left[0], verdict)
        ask()

    for verdict, button in buttons.items():
        button.on_click(lambda _, verdict=verdict: answer(verdict))
    undo.on_click(lambda _: (session.undo(), ask()))
    ask()
    display(widgets.VBox([said, shown, widgets.HBox([*buttons.values(), undo]), progress]))"""

JUDGED = """# Run this again after judging.
found = session.estimates()
whole = found["precision"]["all"]["all"]
if whole["n"]:
    print(f"precision {whole['estimate']:.3f} [{whole['low']:.3f}, {whole['high']:.3f}] "
          f"of {whole['n']} kept masks judged; for +-.03 judge {whole['more']} more")
    display(pd.DataFrame(found["precision"]["concept"]).T[["n", "estimate", "low", "high"]])
    display(pd.DataFrame(found["errors"]).T.fillna(0).astype(int))  # what is wrong with them
else:
    print("nothing is judged yet")"""


def audit_notebook() -> str:
    """The notebook as JSON, the same for every OUT; no cell is run here."""
    cells = [
        new_markdown_cell(INTRO),
        new_code_cell(SETUP),
        new_markdown_cell("## Funnel\nEvery row of the corpora ends in exactly one state."),
        new_code_cell(FUNNEL),
        new_markdown_cell(
            "## Concepts\nMasks count once per picture; medians are of accepted ones"
        ),
        new_code_cell(CONCEPTS),
        new_markdown_cell("## Scores\nControls are decoys and phrases that the caption denies."),
        new_code_cell(SCORES),
        new_markdown_cell("## What the filters stopped"),
        new_code_cell(WHY),
        new_markdown_cell("## Precision against truth"),
        new_code_cell(TRUTH),
        new_markdown_cell("## What a trainer gets"),
        new_code_cell(GALLERY),
        new_markdown_cell("## Samples that ground a concept, by organ"),
        new_code_cell(STRATA),
        new_markdown_cell("## Strata before and after sampling"),
        new_code_cell(SAMPLING_CELL),
        new_markdown_cell(
            "## Judge a sample\nDrawn blind, with planted masks among them. Left the picture, "
            "right the mask outlined; every click is on the disk at once."
        ),
        new_code_cell(JUDGE),
        new_markdown_cell("## What the judgements say"),
        new_code_cell(JUDGED),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"  # nbformat draws these at random
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3", "language": "python", "name": "python3",
    }  # fmt: skip
    return str(nbformat.writes(notebook))
