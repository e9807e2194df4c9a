"""What stands on the two pages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from filters.completeness import WHY, add_extent
from filters.config import FilterConfig
from filters.decide import decide
from filters.scores import EXTENT, SCORES, VERDICT
from miner.barrier import ledger
from miner.barrier.refilter import ALLOWED
from miner.config import Config
from miner.core import layout, rows, unit
from miner.core.parts import find, kinds
from miner.core.settings import PartSettings
from miner.core.unit import STATUSES
from miner.reference.columns import columns, comments, described
from miner.reference.markdown import table
from miner.reference.models import attributes, fields, sections, summary
from miner.report.words import REASONS, STATUS
from shards import pack, sample
from shards.export.options import Options
from shards.instruct.mix import Mix

SAMPLE_ROWS = (
    sample.GroundedSample,
    sample.SampleMention,
    sample.Region,
    sample.NamedScore,
    sample.CountRange,
    sample.Negative,
    sample.KnownConcept,
    sample.IgnoredMask,
    sample.SlidePlace,
    rows.FactRow,
    rows.TurnRow,
    sample.Rle,
)
HEAD = "Written by `make docs` from the code; change it there."


def configuration() -> str:
    """`docs/configuration.md`: every setting with its path, type, default and meaning."""
    refilter = ", ".join(f"`{name}`" for name in ALLOWED)
    parts = [
        "# Configuration reference",
        HEAD,
        "A configuration is YAML; `--set a.b=c` changes one setting of it, the value in YAML too. "
        "`N` is a position in a list, from 0, and `NAME` a key of the user's. An unknown key is an "
        "error. `run.json` in OUT has the configuration of a run with all defaults. "
        f"`miner refilter` changes only {refilter}.",
        *sections("", Config),
        "## Exports: `miner export OUT --to DIALECT --out DIR --set NAME=VALUE`",
        *_exports(),
        "## Instructions: the YAML file behind `--instruct` of `miner export`",
        *sections("", Mix),
    ]
    return "\n\n".join(parts) + "\n"


def _exports() -> Iterator[str]:
    """Settings of the exporters: those that most share, and by kind those that have their own."""
    owned: dict[type[PartSettings], list[str]] = {Options: []}
    for kind in kinds("exporters"):
        owned.setdefault(find("exporters", kind).Settings, []).append(f"`{kind}`")
    for model, names in owned.items():
        rows = [row for row in fields("", model) if row[0] != "`kind`"]
        if model is not Options:
            yield f"**{', '.join(names)}.** {summary(model)}"
            yield table(("setting", "type", "default", "meaning"), rows)
            continue
        read = {kind: find("exporters", kind).options or () for kind in kinds("exporters")}
        by = [
            ", ".join(f"`{kind}`" for kind, names in read.items() if row[0].strip("`") in names)
            for row in rows
        ]
        head = ("setting", "type", "default", "meaning", "read by")
        yield table(head, ((*row, who) for row, who in zip(rows, by, strict=True)))


def output() -> str:
    """`docs/output.md`: statuses, reasons, and the files of OUT."""
    reasons = [
        table(
            (f"`{status}`" if status else "of masks alone", "meaning"),
            ((f"`{name}`", meaning) for name, meaning in words.items()),
        )
        for status, words in REASONS.items()
    ]
    files = [
        f"### `{name}`\n\n"
        + table(("field", "meaning"), ((f"`{field}`", said) for field, said in meanings.items()))
        for name, meanings in layout.FIELDS.items()
    ]
    shard = ((f"`{field.name}`", str(field.type)) for field in dataclasses.fields(pack.ShardInfo))
    parts = [
        "# Output reference",
        HEAD,
        "## Statuses",
        "Every caption row of the corpora is in the ledger once, with one of these.",
        table(("status", "meaning"), ((f"`{s}`", STATUS[s]) for s in STATUSES)),
        "## Reasons",
        "Of caption rows, by status. A mask that was not kept has a reason as well: one of "
        "`no_mask`, one of `rejected`, or one of the last table. What stands behind a colon names "
        "the error, score, flag or stratum.",
        *reasons,
        "Of a region whose `exhaustive` or `count` is null:",
        table(("why", "meaning"), ((f"`{name}`", said) for name, said in WHY.items())),
        "## JSON files",
        *files,
        "An entry of `shards` in `shards/manifest.json`:",
        table(("field", "type"), shard),
        "## Tables",
        "Parquet; a column is null where it is not defined.",
        "### `ledger/samples/{corpus}-{000000}.parquet`",
        "A row per caption row; some 8,000 to a file, in the order of the plan.",
        columns(ledger, "SAMPLE_ROWS"),
        "### `ledger/candidates/{corpus}-{000000}.parquet`",
        "A row per caption and candidate mask. A decoy, which no caption names, is listed with the "
        "first caption of its picture. The scores of the segmenters that were asked are columns, "
        "too, and those of `filters.scores`.",
        _ledger_columns(),
        "#### Scores of segmenters and of other packages",
        "`ensemble_iou` where several segmenters are asked, `refine_iou` with `segment.refine`, "
        "and:",
        _part_columns(),
        "### `units/{unit}/samples.parquet`",
        _columns(rows.SampleRow),
        "### `units/{unit}/images.parquet`",
        _columns(rows.StoredImage),
        "### `units/{unit}/candidates.parquet`",
        "And the scores of the candidate ledger, from `geometry_area_fraction` on.",
        _columns(rows.CandidateRow),
        "### An entry of `mentions`",
        _columns(rows.MentionRow),
        "### An entry of `facts`",
        _columns(rows.FactRow),
        "### An entry of `asks`",
        _columns(rows.AskRow),
        "### An entry of `strata`",
        _columns(rows.StratumRow),
        "### `shards/{split}-{n}.parquet`",
        "The index of a tar: a row per sample.",
        columns(pack, "INDEX"),
        "## The grounded sample: `{key}.json` in a tar",
        "`shards/sample.schema.json` in every OUT is its JSON Schema, made from the same rows.",
    ]
    for row in SAMPLE_ROWS:
        said = ((name, kind, meaning) for name, kind, _, meaning in fields("", row))
        parts += [
            f"### {row.__name__.removesuffix('Row')}",
            summary(row),
            table(("field", "type", "meaning"), said),
        ]
    return "\n\n".join(parts) + "\n"


def _columns(row: type) -> str:
    return described(rows.schema(row), _meanings(row))


def _meanings(row: type) -> dict[str, str]:
    """As comments beside columns are written: without a full stop."""
    return {name: re.sub(r"(?<!\.)\.$", "", said) for name, said in attributes(row).items()}


def _part_columns() -> str:
    """Columns of all parts that have any; those that several kinds have stand once."""
    named: dict[tuple[str, str], list[str]] = {}
    for group in ("segmenters", "scores"):
        for kind in kinds(group):
            for column in find(group, kind).columns.items():
                named.setdefault(column, []).append(f"`{kind}`")
    rows = ((f"`{name}`", ", ".join(by), said) for (name, said), by in sorted(named.items()))
    return table(("column", "of", "meaning"), rows)


def _ledger_columns() -> str:
    """Columns of the candidate ledger, as the barrier would write them."""
    added = [pa.field(name, pa.float64()) for name in SCORES]
    candidates = pa.schema([*unit.CANDIDATES, *added, *unit.CANDIDATES_ADDED])
    config = FilterConfig()
    judged = add_extent(decide(candidates.empty_table(), config), config)
    meanings = {
        **_meanings(rows.CandidateRow),
        **comments(ledger, "CANDIDATE_HEAD"),
        **SCORES,
        **VERDICT,
        **EXTENT,
    }
    return described(ledger.candidate_schema(judged.schema), meanings)


PAGES: Mapping[str, Callable[[], str]] = {"configuration.md": configuration, "output.md": output}
