"""The numbers of the report about caption rows and the run: from the files of OUT alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from miner.commits import marks
from miner.core.amounts import unit
from miner.core.built_in import BUILT_IN
from miner.core.layout import ESTIMATE, RUN, SAMPLING, TOOK
from miner.core.parts import find
from miner.core.store import Store
from miner.core.unit import STATUSES
from miner.report.ledger import ledger_table

# Statuses in the order in which rows leave the funnel, and what is left afterwards.
LEAVES = (
    ("unreadable", "readable"),
    ("no_entity", "name a structure"),
    ("no_mask", "with a mask"),
    ("rejected", "with an accepted mask"),
    ("duplicate", "unique pictures"),
    ("excluded", "written"),
)


def row_counts(store: Store) -> dict[str, Any]:
    """Caption rows by corpus, status and reason.

    Returns:
        corpora; rows; table: per status counts per corpus and all; reasons: per status
        (reason, count), the most frequent first; splits; written; groups; regions;
        notes: (note, count).
    """
    columns = ["corpus", "status", "reason", "split", "group", "regions", "notes"]
    table = ledger_table(store, "samples", columns)
    groups = _counted(table, ["corpus", "status", "reason"])
    corpora = sorted({g["corpus"] for g in groups})
    pairs: Counter[tuple[str, str]] = Counter()
    why: dict[str, Counter[str]] = {}
    for g in groups:
        pairs[g["corpus"], g["status"]] += g["count_all"]
        if g["reason"] is not None:
            why.setdefault(g["status"], Counter())[g["reason"]] += g["count_all"]
    statuses = [s for s in STATUSES if any(pairs[c, s] for c in corpora)]
    written = table.filter(pc.equal(table["status"], "written"))
    return {
        "corpora": corpora,
        "rows": table.num_rows,
        "table": {
            s: [pairs[c, s] for c in corpora] + [sum(pairs[c, s] for c in corpora)]
            for s in statuses
        },
        "totals": [sum(pairs[c, s] for s in STATUSES) for c in corpora] + [table.num_rows],
        "reasons": {s: sorted(why.get(s, Counter()).items(), key=_by_count) for s in statuses},
        "splits": sorted((g["split"], g["count_all"]) for g in _counted(written, ["split"])),
        "written": written.num_rows,
        "groups": len(_counted(written, ["group"])),
        "regions": pc.sum(written["regions"]).as_py() or 0,
        "notes": sorted(
            Counter(pc.list_flatten(table["notes"]).to_pylist()).items(), key=_by_count
        ),
    }


def _counted(table: pa.Table, by: list[str]) -> list[dict[str, Any]]:
    """Rows per combination of some columns."""
    return table.group_by(by, use_threads=False).aggregate([([], "count_all")]).to_pylist()


def _by_count(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]


def row_funnel(rows: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Steps from caption row to written row: name, count, what was lost."""
    left = rows["rows"]
    steps = [("caption rows", left, "")]
    for status, name in LEAVES:
        lost = rows["table"].get(status, [0])[-1]
        left -= lost
        steps.append((name, left, f"−{lost:,} {status}" if lost else ""))
    return steps


def optional_json(store: Store, name: str) -> Any:
    """A JSON file of OUT, None when it is not there."""
    return store.read_json(name) if store.exists(name) else None


def run_facts(store: Store) -> dict[str, Any]:
    """The resolved configuration in the reader's words, and what was left out."""
    run = store.read_json(RUN, ["config"])
    config = run["config"]
    filters, ner, segment = config["filters"], config["ner"], config["segment"]
    clip = filters.get("clip")
    used = [
        ("segmenters", ", ".join(_segmenter(s) for s in segment["segmenters"])),
        ("controls per picture", str(segment.get("decoys", 0))),
        ("phrase finder", _phrases(ner)),
        ("agreement model", clip["model"] if clip else ""),
        ("KS references", filters.get("references", "")),
        ("decision", filters.get("decision", "")),
        ("target", _target(filters)),
        ("duplicates", _dedupe(config["dedupe"])),
    ]
    left_out = [
        (bool(ner.get("llm")), "LLM extractor", "ner.llm: base_url and model of a server"),
        (bool(clip), "agreement model", "filters.clip"),
        (bool(filters.get("judge")), "vision-model judge", "filters.judge"),
        (bool(filters.get("biomedparse_table")), "BiomedParse's own KS test",
         "filters.biomedparse_table: its target_dist.json"),
        *_segmenters_left_out({s["kind"] for s in segment["segmenters"]}),
        (bool(segment.get("refine")), "mask refinement", "segment.refine"),
        (any(config.get("sampling", {}).values()), "caps and targets", "sampling"),
    ]  # fmt: skip
    return {
        "used": [(k, v) for k, v in used if v],
        "left_out": [(name, key) for there, name, key in left_out if not there],
        "versions": sorted(run.get("versions", {}).items()),
        "hash": run.get("hash", ""),
        "seed": run.get("seed"),
        "corpora": [(c.get("name") or c["kind"], c.get("license", "")) for c in config["corpora"]],
    }


def _segmenters_left_out(asked: set[str]) -> Iterator[tuple[bool, str, str]]:
    """Of the segmenters that ship those whose part says how to get them."""
    for kind in BUILT_IN["segmenters"]:
        part = find("segmenters", kind)
        if part.without:
            yield kind in asked, part.title or kind, part.without


def _segmenter(one: dict[str, Any]) -> str:
    model = one.get("model") or one.get("checkpoint") or one.get("path")
    return f"{one['kind']} ({model})" if model else str(one["kind"])


def _phrases(ner: dict[str, Any]) -> str:
    parts = ["concept table"]
    if ner.get("abbreviations"):
        parts.append("abbreviations")
    if ner.get("model"):
        parts.append(f"spaCy {ner['model']}")
    if ner.get("llm"):
        parts.append(f"LLM {ner['llm'].get('model', '')}")
    return ", ".join(parts)


def _target(filters: dict[str, Any]) -> str:
    if filters.get("fdr") is not None:
        return f"at most {filters['fdr']:.0%} wrong masks among the accepted"
    if filters.get("precision") is not None:
        return f"{filters['precision']:.0%} of the accepted masks right"
    if filters.get("at_least") or filters.get("at_most"):
        return "raw thresholds"
    return "90% of the accepted masks right (default)"


def _dedupe(dedupe: dict[str, Any]) -> str:
    levels = ["same bytes or pixels"]
    if dedupe.get("near"):
        levels.append("same field by thumbnail")
    if dedupe.get("semantic"):
        levels.append(f"cosine at least {dedupe['threshold']:g} ({dedupe['model']} embedding)")
    if dedupe.get("caption"):
        levels.append("same caption")
    return ", or ".join(levels)


def sampling_facts(store: Store) -> dict[str, Any] | None:
    """Strata before and after caps, and concepts by organ; None when there are none."""
    found = optional_json(store, SAMPLING)
    if not found:
        return None
    tables = {
        name: [row for row in rows if row[0]][:10]
        for name, rows in found.get("before_after", {}).items()
        if len(rows) > 1
    }
    coverage = found.get("coverage") or {}
    return {"tables": tables, "coverage": coverage}


def estimated(store: Store) -> list[tuple[str, str, str, str]]:
    """What was estimated and what it came to: name, estimate, interval, figure; empty without.

    The figures are of this OUT: time by `TOOK`, scaled to all rows where not all were timed; bytes
    and tokens by the units' marks.
    """
    if not (store.exists(ESTIMATE) and store.exists(TOOK)):
        return []
    expected, took = store.read_json(ESTIMATE), store.read_json(TOOK)
    units = marks(store).values()
    tokens = {
        side: sum(n for mark in units for name, n in mark["counts"].items() if name.endswith(side))
        for side in ("tokens_in", "tokens_out")
    }
    stored = sum(table["bytes"] for mark in units for table in mark["tables"].values())
    figures = {
        "seconds": took["seconds"] * expected["rows"] / took["rows"],
        "bytes": stored,
        **tokens,
    }
    words = {
        "seconds": ("time", "{} of work, all workers together"),
        "bytes": ("bytes", "{} of units"),
        "tokens_in": ("tokens", "{} asked"),
        "tokens_out": ("tokens", "{} answered"),
    }
    rows = []
    for name, (kind, what) in words.items():
        name_of_unit, factor = unit(kind, expected[name]["middle"])
        low, middle, high = (expected[name][k] * factor for k in ("low", "middle", "high"))
        if middle or figures[name]:
            interval, came_to = f"{low:.3g}–{high:.3g}", f"{figures[name] * factor:.3g}"
            rows.append((what.format(name_of_unit), f"{middle:.3g}", interval, came_to))
    return rows


def runtime(store: Store, rows: int) -> list[tuple[str, str]]:
    """Figures about time, from the times of the unit marks; empty where a store keeps none."""
    times = []
    for name in store.names("units", suffix=".json"):
        info = store.fs.info(store.path(name))
        when = info.get("mtime") or info.get("LastModified")
        if when is None:
            return []
        times.append(when if isinstance(when, float) else when.timestamp())
    if len(times) < 2 or max(times) <= min(times):
        return []
    span = max(times) - min(times)
    return [
        ("units", f"{len(times):,}"),
        ("between the first and the last unit's commit", f"{span:,.0f} s"),
        ("captions per second, about", f"{rows * (len(times) - 1) / len(times) / span:,.1f}"),
    ]
