"""`miner refilter`, `miner show`, `miner calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from miner.commands import Sets


def refilter(
    out: Annotated[str, typer.Argument(help="output folder or URL of a run")],
    set_: Sets = None,
) -> None:
    """Give a run new verdicts from its stored scores; no model runs."""
    from rich.table import Table

    from miner.barrier.refilter import refilter as judge
    from miner.core.terminal import Terminal
    from miner.run import write_report

    changes = judge(out, set_ or [], write_report)
    console = Terminal()
    for line in changes.settings:
        console.print(line, highlight=False)
    tables = {
        "regions kept": changes.concepts,
        "dropped for": changes.reasons,
        "caption rows": changes.rows,
    }
    for title, rows in tables.items():
        table = Table(title, "before", "after")
        for name, (before, after) in rows.items():
            table.add_row(name, str(before), str(after))
        console.print(table)
    console.print(f"{changes.gained} kept that were not, {changes.lost} dropped that were kept")


def show(
    out: Annotated[str, typer.Argument(help="output folder or URL of a finished run")],
    key: Annotated[str, typer.Argument(help="key, sample_id or name of the picture")],
    png: Annotated[Path | None, typer.Option(help="overlay; default SAMPLE_ID.png")] = None,
    scores: Annotated[bool, typer.Option("--scores", help="list all that was measured")] = False,
) -> None:
    """Explain the verdict on every candidate mask of one sample, and draw them."""
    from rich.table import Table

    from miner.core.errors import Refused
    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.report.show import chain, find, measured, overlay
    from miner.report.states import state_rows, states_of

    shown = find(Store(out), key)
    console = Terminal()
    state = shown.sample["status"]
    if shown.sample["reason"]:
        state += f" ({shown.sample['reason']})"
    console.print(f"{shown.sample['sample_id']}: {state}", highlight=False)
    if shown.sample["duplicate_of"]:
        keeper, similarity = shown.sample["duplicate_of"], shown.sample["similarity"]
        console.print(f"{keeper} stays for it, similarity {similarity:.3f}", highlight=False)
    console.print(shown.caption, highlight=False)
    for one in shown.candidates:
        table = Table("", "", title=one["concept"], title_justify="left", show_header=False)
        for name, value in chain(one, shown.limits) + (measured(one) if scores else []):
            table.add_row(name, value)
        console.print(table)
    if state == "written" and (known := states_of(Store(out), shown.sample["key"])):
        table = Table("concept", "state", "p", "why", title="What is known")
        for row in state_rows(known):
            table.add_row(*row)
        console.print(table)
    if not shown.candidates:
        console.print("No candidates: nothing was asked of the segmenters.")
        return
    if all(one["mask"] is None for one in shown.candidates):
        console.print("No masks to draw.")
        return
    file = png if png is not None else Path(f"{shown.sample['sample_id']}.png")
    try:
        file.write_bytes(overlay(shown))
    except OSError as error:
        raise Refused(f"--png {file}: {error.strerror}") from None
    console.print(f"Drawn to {file}", soft_wrap=True)


def calibrate(
    masks: Annotated[
        list[Path],
        typer.Option(help="labelled tiles, or an annotated set as published; may be given again"),
    ],
    out: Annotated[Path, typer.Option(help="folder for references.json and decision.json")],
    config: Annotated[
        str | None, typer.Option(help="run configuration with segmenters and filters")
    ] = None,
    set_: Sets = None,
    references_only: Annotated[
        bool, typer.Option("--references-only", help="leave the decision as it is")
    ] = False,
    tiles: Annotated[
        int, typer.Option(help="of each annotated set at most so many, at even distances", min=1)
    ] = 500,
) -> None:
    """Refit the reference distributions and the decision on labelled tiles.

    --masks takes these layouts, label maps being PNGs with 0 as background: a folder with
    index.jsonl, one row per tile; corpora with expert_masks/CORPUS/IMAGE/ENTITY.png beside them;
    images/ with masks/ENTITY/; or a set as published: pannuke, lizard, consep, monusac, monuseg,
    nucls, panoptils, segpath, bcss, glas, tnbc, expert (classes.csv, images/, labels/).
    """
    from filters.calibration.refit import refit
    from filters.config import FilterConfig
    from miner.core.errors import Refused
    from miner.core.terminal import say
    from miner.corpora.expert.labelled import read_masks
    from miner.load_config import load_config
    from segmenters.config import SegmentConfig

    segment, filters = SegmentConfig(), FilterConfig()
    if config is not None:
        loaded = load_config(config, set_ or [])
        segment, filters = loaded.segment, loaded.filters
    elif set_:
        raise Refused("--set: needs --config, the configuration that it changes")
    for line in refit(read_masks(masks, tiles), out, segment, filters, references_only):
        say(line)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (refilter, show, calibrate):
        app.command()(command)
