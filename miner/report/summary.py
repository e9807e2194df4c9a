"""What a run found, as tables: from the files of OUT alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from miner.commits import marks
from miner.core.layout import FINISHED
from miner.core.store import Store
from miner.core.unit import STATUSES
from miner.core.wording import counted
from miner.report.gather import row_counts
from miner.report.masks import concept_rows, mask_counts, masks_table
from miner.report.states import state_counts


def print_summary(store: Store, console: Console) -> None:
    """Print rows by status, masks by concept and by reason."""
    rows = row_counts(store)
    table = Table("status", *rows["corpora"], "all", "reasons", title="Caption rows")
    for column in table.columns[1:-1]:
        column.justify = "right"
    nothing = [0] * (len(rows["corpora"]) + 1)
    for status in STATUSES:
        reasons = ", ".join(f"{reason} {n}" for reason, n in rows["reasons"].get(status, ()))
        table.add_row(status, *map(str, rows["table"].get(status, nothing)), reasons)
    table.add_section()
    table.add_row("rows", *map(str, rows["totals"]), "", style="bold")
    console.print(table)

    masks = masks_table(store)
    title = "Masks, each once per picture"
    table = Table("concept", "asked", "accepted", "why the others were not", title=title)
    for column in table.columns[1:3]:
        column.justify = "right"
    for one in concept_rows(masks):
        if one["asked"]:
            others = ", ".join(f"{reason} {n}" for reason, n in one["reasons"])
            table.add_row(one["concept"], str(one["asked"]), str(one["kept"]), others)
    console.print(table)
    counts = mask_counts(masks)
    console.print(
        f"{counts['asked']:,} concepts of pictures were asked for, {counts['drawn']:,} got a mask, "
        f"{counts['accepted']:,} were accepted, {counts['written']:,} are in the shards, where "
        f"captions name them as {counted(rows['regions'], 'region')}; beside them "
        f"{counted(counts['controls'], 'mask')} of controls.",
        highlight=False,
        soft_wrap=True,
    )
    known = state_counts(store)
    console.print(
        f"Of the concepts that written samples name or that were asked for, {known['present']:,} "
        f"are present ({known['whole']:,} probably all of it), {known['absent']:,} absent, "
        f"{known['unknown']:,} unknown.",
        highlight=False,
        soft_wrap=True,
    )
    found_marks = marks(store).values()
    for front, name in (("llm_", "LLM"), ("judge_", "judge")):
        calls: Counter[str] = Counter()
        for mark in found_marks:
            made = mark["counts"].items()
            calls.update({k.removeprefix(front): n for k, n in made if k.startswith(front)})
        if calls:
            console.print(f"{name}: " + ", ".join(f"{k} {n}" for k, n in sorted(calls.items())))
    missing = {k: why for mark in found_marks for k, why in mark["missing"].items()}
    for what, why in sorted(missing.items()):
        console.print(f"{what}: {why}", highlight=False, soft_wrap=True)
    for name in store.names("plan", suffix=".json"):
        for problem in store.read_json(name)["problems"]:
            console.print(f"problem: {problem}", soft_wrap=True)
    for line in unreadable_corpora(rows):
        console.print(f"warning: {line}", style="bold red", soft_wrap=True, highlight=False)


def unreadable_corpora(rows: Mapping[str, Any]) -> list[str]:
    """A line for each corpus of which most rows cannot be read.

    Args:
        rows: see `gather.row_counts`.
    """
    bad = rows["table"].get("unreadable", [0] * len(rows["totals"]))
    return [
        f"{name}: {n:,} of {all_:,} rows cannot be read"
        for name, n, all_ in zip(rows["corpora"], bad, rows["totals"], strict=False)
        if 2 * n > all_
    ]


def print_status(store: Store, captions: int, console: Console, at_work: bool = False) -> None:
    """Print how far a run is.

    Args:
        store: OUT.
        captions: caption rows of all corpora.
        console: where to print.
        at_work: somebody is mining there now.
    """
    if store.exists(FINISHED) and store.read_json(FINISHED).get("released_from"):
        console.print("a release, without the units that it was made of")
        print_summary(store, console)
        return
    done = marks(store).values()
    rows = sum(m["tables"]["samples"]["rows"] for m in done)
    masks = sum(m["masks"] for m in done)
    console.print(
        f"{rows} of {captions} captions in {counted(len(done), 'unit')}; "
        f"{counted(masks, 'mask')} drawn, those of controls among them"
    )
    if store.exists(FINISHED):
        print_summary(store, console)
    elif at_work:
        return
    elif rows == captions:
        console.print("all units are done; run again to write shards, ledger and report")
    else:
        console.print("not finished; run again to go on")
