"""What a run found, as tables: from the files of OUT alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from miner.commits import marks
from miner.core.layout import FINISHED
from miner.core.store import Store
from miner.core.unit import STATUSES


def ledger_table(store: Store, name: str, columns: list[str] | None) -> pa.Table:
    """Columns of ledger/`name` (None: all), all corpora one after the other."""
    files = store.names(f"ledger/{name}", suffix=".parquet")
    return pa.concat_tables(
        [store.read_table(f, columns=columns) for f in files], promote_options="default"
    )


def counts(store: Store) -> dict[str, Any]:
    """Counts of a finished OUT.

    Returns:
        {"statuses": {corpus: {status: n}}, "reasons": {status: {reason: n}},
        "masks": {concept: {reason or "kept": n}}}; decoys and denied concepts are not in "masks".
    """
    samples = ledger_table(store, "samples", ["corpus", "status", "reason"]).to_pylist()
    statuses: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for row in samples:
        statuses.setdefault(row["corpus"], Counter())[row["status"]] += 1
        if row["reason"] is not None:
            reasons.setdefault(row["status"], Counter())[row["reason"]] += 1
    columns = ["concept", "polarity", "keep", "reason"]
    masks: dict[str, Counter[str]] = {}
    for row in ledger_table(store, "candidates", columns).to_pylist():
        if row["polarity"] == "affirmed":
            masks.setdefault(row["concept"], Counter())[
                "kept" if row["keep"] else row["reason"]
            ] += 1
    return {"statuses": statuses, "reasons": reasons, "masks": masks}


def print_summary(store: Store, console: Console) -> None:
    """Print rows by status, masks by concept and by reason."""
    found = counts(store)
    by_corpus = sorted(found["statuses"].items())
    table = Table("status", *(c for c, _ in by_corpus), "all", "reasons", title="Caption rows")
    for column in table.columns[1:-1]:
        column.justify = "right"
    for status in STATUSES:
        numbers = [statuses[status] for _, statuses in by_corpus]
        why = found["reasons"].get(status, Counter()).most_common()
        reasons = ", ".join(f"{reason} {n}" for reason, n in why)
        table.add_row(status, *map(str, numbers), str(sum(numbers)), reasons)
    table.add_section()
    totals = [statuses.total() for _, statuses in by_corpus]
    table.add_row("rows", *map(str, totals), str(sum(totals)), "", style="bold")
    console.print(table)

    table = Table("concept", "asked", "kept", "why the others were not", title="Masks")
    for column in table.columns[1:3]:
        column.justify = "right"
    by_kept = sorted(found["masks"].items(), key=lambda item: (-item[1]["kept"], item[0]))
    for concept, reasons in by_kept:
        others = [f"{r} {n}" for r, n in reasons.most_common() if r != "kept"]
        table.add_row(concept, str(reasons.total()), str(reasons["kept"]), ", ".join(others))
    console.print(table)
    found_marks = marks(store).values()
    for front, name in (("llm_", "LLM"), ("judge_", "judge")):
        calls: Counter[str] = Counter()
        for mark in found_marks:
            counted = mark["counts"].items()
            calls.update({k.removeprefix(front): n for k, n in counted if k.startswith(front)})
        if calls:
            console.print(f"{name}: " + ", ".join(f"{k} {n}" for k, n in sorted(calls.items())))
    missing = {k: why for mark in found_marks for k, why in mark["missing"].items()}
    for what, why in sorted(missing.items()):
        console.print(f"{what}: {why}", highlight=False, soft_wrap=True)
    for name in store.names("plan", suffix=".json"):
        for problem in store.read_json(name)["problems"]:
            console.print(f"problem: {problem}", soft_wrap=True)


def print_status(store: Store, captions: int, console: Console, at_work: bool = False) -> None:
    """Print how far a run is.

    Args:
        store: OUT.
        captions: caption rows of all corpora.
        console: where to print.
        at_work: somebody is mining there now.
    """
    done = marks(store).values()
    rows = sum(m["tables"]["samples"]["rows"] for m in done)
    masks = sum(m["masks"] for m in done)
    console.print(f"{rows} of {captions} captions in {len(done)} units, {masks} candidate masks")
    if store.exists(FINISHED):
        print_summary(store, console)
    elif at_work:
        return
    elif rows == captions:
        console.print("all units are done; run again to write shards, ledger and report")
    else:
        console.print("not finished; run again to go on")
