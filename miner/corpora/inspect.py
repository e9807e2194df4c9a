"""What a path holds: corpus, counts, missing files, samples, spread, and the settings to paste."""

from __future__ import annotations

import array
import dataclasses
import math
import shlex
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from miner.core.parts import find
from miner.core.store import Store
from miner.core.wording import counted
from miner.corpora.config import CorpusConfig, advice
from miner.corpora.detect import detect
from miner.corpora.opened import Opened, opened
from miner.corpora.part import CorpusPart
from miner.corpora.plan import reader
from miner.corpora.rows import Place, Reader, Row
from ner.strata import UNKNOWN, strata_of

# Rows whose captions are read for the spread, taken at even distances.
SPREAD_ROWS = 2000
SAMPLE_ROWS = 5
NAMES_SHOWN = 5
CONCEPTS_SHOWN = 25
_DIMENSIONS = ("organ", "system", "stain", "magnification", "specimen")


def examine(
    path: str,
    count: Callable[[str, list[str]], Any] | None = None,
    sets: Sequence[str] = (),
) -> dict[str, Any]:
    """Look at a corpus without mining it. Counts are of all rows, spreads of a part.

    Args:
        path: folder, file or fsspec URL.
        count: what else is found in the captions of that part, as JSON, from the corpus's kind and
            these: `concepts` of the result.
        sets: see `miner.corpora.detect.detect`.

    Returns:
        JSON values: corpus, path, rows, images, missing (count), missing_names (some), opened
        (pictures of a sample that were opened: how many, and why others cannot be), unreadable
        (rows of the part that cannot be read, by reason), notes (rows of it with each), hint
        (what to do about these), problems, samples, license, spread, spread_rows, config (YAML to
        paste).

    Raises:
        Refused: it is no corpus.
    """
    config = detect(path, sets)
    source = reader(config)
    problems: list[str] = []
    tables, offsets, lengths = array.array("h"), array.array("q"), array.array("q")
    groups, images = array.array("Q"), array.array("Q")
    for table, name in enumerate(source.tables):
        found: list[str] = []
        for entry in source.scan(table, 0, found):
            tables.append(table)
            offsets.append(entry.offset)
            lengths.append(entry.length)
            groups.append(entry.group)
            images.append(entry.image)
        problems += [f"{name}: {line}" if name else line for line in found]
    rows = len(offsets)

    def parse(numbers: Iterable[int]) -> list[Row]:
        places = [Place(i, tables[i], offsets[i], lengths[i]) for i in numbers]
        return source.rows(places) if places else []

    image_hashes = np.frombuffer(images, np.uint64) if rows else np.zeros(0, np.uint64)
    distinct, first = np.unique(image_hashes, return_index=True)
    in_group = np.frombuffer(groups, np.uint64)[first] if rows else distinct
    lacking = np.flatnonzero(source.lacking(distinct, in_group))
    part = parse(np.unique(np.linspace(0, rows - 1, min(rows, SPREAD_ROWS)).astype(int)).tolist())
    unreadable = Counter(r.reason for r in part if r.status == "unreadable")
    notes = Counter(name for r in part for name in {n.partition(":")[0] for n in r.notes})
    some = _opened(source, part)
    reasons = {*some["faults"], *map(str, unreadable), *notes}
    if 2 * len(lacking) <= len(distinct):  # single ones are simply not there
        reasons.discard("missing_image")
    texts = [r.caption for r in part if r.status is None]
    return {
        "corpus": config.kind,
        "path": path,
        "rows": rows,
        "images": len(distinct),
        "missing": len(lacking),
        "missing_names": [
            r.image or f"row {r.row} names none"
            for r in parse(sorted(first[lacking].tolist())[:NAMES_SHOWN])
        ],
        "opened": some,
        "hint": advice(config, reasons),
        "unreadable": dict(sorted((str(k), n) for k, n in unreadable.items())),
        "notes": dict(sorted(notes.items())),
        "problems": problems,
        "samples": [
            {"row": r.row, "image": r.image, "caption": r.caption[:300]}
            for r in parse(range(min(rows, SAMPLE_ROWS)))
        ],
        "license": config.license,
        "spread": {**_spread(part), **source.spread(part)},
        "spread_rows": len(part),
        "config": _yaml(config),
        **({} if count is None else {"concepts": count(config.kind, texts)}),
    }


def _opened(source: Reader, part: list[Row]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:  # where indexes of zips go
        store = Store(folder)
        source.prepare(store)
        return dataclasses.asdict(opened(source, part, store))


def _spread(part: list[Row]) -> dict[str, dict[str, int]]:
    """Per dimension: how many rows of the part have which value, the most frequent first."""
    counts: dict[str, Counter[str]] = {d: Counter() for d in _DIMENSIONS}
    mpp: Counter[str] = Counter()
    for row in part:
        found = {s.dimension: s.value for s in strata_of(row.caption, row.meta)}
        for dimension in _DIMENSIONS:
            counts[dimension][found.get(dimension, UNKNOWN)] += 1
        said = row.stated_mpp if row.mpp is None else row.mpp
        mpp[UNKNOWN if said is None else f"{said:g}"] += 1
    spread = {**counts, "mpp": mpp}
    return {d: dict(sorted(c.items(), key=lambda i: (-i[1], i[0]))) for d, c in spread.items()}


def _yaml(config: CorpusConfig) -> str:
    settings = config.model_dump(mode="json", exclude_defaults=True)
    ordered = {"kind": config.kind, "path": config.path, **settings}
    return yaml.safe_dump({"corpora": [ordered]}, sort_keys=False, allow_unicode=True)


def show(found: dict[str, Any], console: Console) -> None:
    """Print what `examine` found, for people."""
    console.print(Text(found["path"], "bold") + f" is {found['corpus']}", soft_wrap=True)
    pictures = f"{counted(found['images'], 'picture')}, {found['missing']:,} of them missing"
    console.print(f"{counted(found['rows'], 'row')}, {pictures}")
    if found["missing_names"]:
        console.print(f"missing, for example: {', '.join(found['missing_names'])}")
    for problem in found["problems"]:
        console.print(f"problem: {problem}", soft_wrap=True)
    some = Opened(**found["opened"])
    said = some.said or f"{counted(some.pictures, 'picture')} opened, all can be read"
    console.print(f"of a sample {said}" if some.said else said, highlight=False, soft_wrap=True)
    looked = f"of {counted(found['spread_rows'], 'row')} looked at"
    for what, why in (("cannot be read", found["unreadable"]), ("with notes", found["notes"])):
        if why:
            listed = ", ".join(f"{name} {n:,}" for name, n in why.items())
            console.print(f"{looked}, {what}: {listed}", highlight=False, soft_wrap=True)
    if found["hint"]:
        console.print(found["hint"], highlight=False, soft_wrap=True)
    console.print(f"licence: {found['license']}")
    table = Table("", "value (rows)", title=f"Spread of {found['spread_rows']:,} rows")
    for dimension, counts in found["spread"].items():
        shown = ", ".join(f"{value} {n}" for value, n in list(counts.items())[:8])
        table.add_row(dimension, shown or "-")
    console.print(table)
    if "concepts" in found:
        _show_concepts(found["concepts"], console)
    samples = Table("row", "picture", "caption", title="Samples")
    for sample in found["samples"]:
        # As `Text`: brackets in captions are no markup.
        samples.add_row(str(sample["row"]), Text(sample["image"]), Text(sample["caption"]))
    console.print(samples)
    console.print("Settings:\n")
    console.print(found["config"], soft_wrap=True)
    (settings,) = yaml.safe_load(found["config"])["corpora"]
    console.print(f"or: {_command(settings)}", highlight=False, soft_wrap=True)


def _command(settings: dict[str, Any]) -> str:
    """The command line that mines a corpus of these settings."""
    kind, path = settings.pop("kind"), settings.pop("path")
    part = find("corpora", kind)
    file = part.configuration if isinstance(part, CorpusPart) else "quickstart.yaml"
    words = ["miner", "run", file, "--out", "OUT", "--corpus", f"{kind}={path}"]
    for name, value in settings.items():
        # In a list, where YAML writes a text without the end of a document behind it.
        said = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=math.inf)
        words += ["--set", f"corpora.{kind}.{name}={said.strip()[1:-1]}"]
    return shlex.join(words)


def _show_concepts(concepts: dict[str, Any], console: Console) -> None:
    named, known, share = concepts["named"], concepts["known"], concepts["share"]
    if share is None:
        console.print("the captions name nothing that could be outlined")
        return
    mentions = counted(sum(named.values()), "mention")
    console.print(f"{mentions} in them; for {share:.0%} a segmenter has an answer", highlight=False)
    table = Table("concept", "named", "known")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in list(named)[:CONCEPTS_SHOWN]:
        table.add_row(name, f"{named[name]:,}", f"{known[name]:,}")
    console.print(table)
    if len(named) > CONCEPTS_SHOWN:
        console.print(f"and {len(named) - CONCEPTS_SHOWN} concepts more: --json lists all")
