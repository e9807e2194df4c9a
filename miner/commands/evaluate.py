"""`miner evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miner.commands import Sets, refuse_beside

if TYPE_CHECKING:
    from filters.config import FilterConfig
    from ner.config import NerConfig
    from segmenters.config import SegmentConfig


def evaluate(
    context: typer.Context,
    masks: Annotated[
        list[Path] | None,
        typer.Option(
            help="<corpus>/<image>/<entity>.png label maps of the run's pictures, or the annotated "
            "set that they are from; without OUT annotated sets or labelled tiles, several times"
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Argument(help="output folder or URL of a finished run")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write the figures here too")
    ] = None,
    worst: Annotated[
        Path | None, typer.Option(help="write a page of the worst regions here")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="without OUT: configuration of segmenters and filters")
    ] = None,
    set_: Sets = None,
    tiles: Annotated[
        int, typer.Option(help="without OUT: of each set, or of --boxes, at most so many", min=1)
    ] = 500,
    boxes: Annotated[
        list[Path] | None,
        typer.Option(
            help="RefPath's expressions with boxes, a JSON lines file or a folder of some"
        ),
    ] = None,
) -> None:
    """Compare mined regions with expert masks, each once per picture.

    Without OUT the configured segmenters and filters are run over annotated sets: asked for what
    experts outlined and for what they looked for in vain, or for what expressions with boxes name.
    """
    from miner.core.errors import Refused
    from miner.core.store import Store
    from miner.core.terminal import Terminal
    from miner.evaluate.compare import evaluate as compare
    from miner.evaluate.worst import write_worst

    if bool(masks) == bool(boxes) or (boxes and out is not None):
        raise Refused("give --masks, or --boxes without OUT")
    if out is None and worst is not None:
        raise Refused("--worst: needs OUT, whose regions it draws")
    if boxes:
        _boxes(boxes, json_file, config, set_ or [], tiles)
        return
    assert masks  # one of the two
    if out is None:
        _sets(masks, json_file, config, set_ or [], tiles)
        return
    if config is not None or set_ or len(masks) > 1:
        raise Refused("--config, --set and several --masks: for annotated sets, without OUT")
    refuse_beside(context, "OUT", "tiles")
    store = Store(out)
    store.reach()
    found = compare(store, masks[0])
    if json_file is not None:
        _write(json_file, found)
    console = Terminal()
    console.print(_table(found))
    for line in words(found):
        console.print(line, highlight=False, soft_wrap=True)
    if worst is not None:
        n = write_worst(store, masks[0], worst)
        console.print(f"The worst {n} are drawn in {worst}", soft_wrap=True)


def _write(file: Path, found: Mapping[str, Any]) -> None:
    import json

    from miner.core.errors import Refused

    try:
        file.write_text(json.dumps(found, indent=2) + "\n")
    except OSError as error:
        raise Refused(f"--json {file}: {error.strerror}") from None


def _sets(
    masks: list[Path], json_file: Path | None, config: str | None, sets: list[str], tiles: int
) -> None:
    """Figures of segmenters and filters on annotated sets."""
    from miner.core.errors import Refused
    from miner.core.terminal import Terminal
    from miner.corpora.expert.labelled import read_masks
    from miner.evaluate.direct import evaluate_sets

    _, segment, filters = _settings(config, sets)
    found = evaluate_sets(read_masks(masks, tiles), segment, filters)
    if not found["tiles"]:
        raise Refused("--masks: no labelled tile in these folders")
    if json_file is not None:
        _write(json_file, found)
    names = ("present", "absent", "dice", "pq", "aji", "auroc", "kept", "precision")
    table = _figures(names, title=f"{found['tiles']} tiles")
    organs = {f"organ {name}": row for name, row in found["organs"].items()}
    for rows in (found["concepts"], organs, {"all": found["all"]}):
        for name, row in rows.items():
            cells = (row[n] for n in names)
            table.add_row(name, *(_figure(c) if not isinstance(c, int) else str(c) for c in cells))
        table.add_section()
    Terminal().print(table)


def _boxes(
    boxes: list[Path], json_file: Path | None, config: str | None, sets: list[str], pictures: int
) -> None:
    """Figures of segmenters and filters on expressions with boxes."""
    import itertools
    from collections import Counter, defaultdict

    from miner.core.errors import Refused
    from miner.core.terminal import Terminal
    from miner.evaluate.boxes import evaluate_boxes
    from miner.evaluate.refpath import Box, read_boxes

    faults: Counter[str] = Counter()
    by_image: dict[Path, list[Box]] = defaultdict(list)
    for path in boxes:
        for one in read_boxes(path, faults):
            by_image[one.image].append(one)
    first = dict(itertools.islice(by_image.items(), pictures))
    found = evaluate_boxes(first, *_settings(config, sets))
    found["faults"] = dict(sorted((faults + Counter(found["faults"])).items()))
    if not found["pictures"]:
        raise Refused(f"--boxes: no box with its picture in these files ({found['faults']})")
    if json_file is not None:
        _write(json_file, found)
    names = tuple(found["all"])
    headings = [n.replace("_", " ") for n in names]
    table = _figures(headings, title=f"{found['pictures']} pictures")
    for name, row in {**found["concepts"], "all": found["all"]}.items():
        cells = (row[n] for n in names)
        table.add_row(name, *(_figure(c) if not isinstance(c, int) else str(c) for c in cells))
    console = Terminal()
    console.print(table)
    for reason, count in found["faults"].items():
        console.print(f"{count} left out: {reason}", highlight=False)


def _settings(config: str | None, sets: list[str]) -> tuple[NerConfig, SegmentConfig, FilterConfig]:
    """Of extraction, segmenters and filters: those of a configuration, else as they are."""
    from filters.config import FilterConfig
    from miner.core.errors import Refused
    from miner.load_config import load_config
    from ner.config import NerConfig
    from segmenters.config import SegmentConfig

    if config is not None:
        loaded = load_config(config, sets)
        return loaded.ner, loaded.segment, loaded.filters
    if sets:
        raise Refused("--set: needs --config, the configuration that it changes")
    return NerConfig(), SegmentConfig(), FilterConfig()


def _figures(headings: Sequence[str], title: str | None = None) -> Any:
    """A table of names and figures: on a narrow terminal names are folded, figures never cut."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for heading in headings:
        table.add_column(heading.replace(" ", "\n", 1), justify="right", no_wrap=True)
    return table


def _table(found: Mapping[str, Any]) -> Any:
    headings = ("mined", "judged", "Dice", "IoU", "IoU >=.5", "95% interval", "PQ", "AJI")
    table = _figures(headings)
    levels = [("", found["concepts"]), ("corpus ", found["corpora"])]
    levels += [(f"{dimension} ", rows) for dimension, rows in found["strata"].items()]
    for name, rows in levels:
        judged = {key: row for key, row in rows.items() if not name or row["judged"]}
        for key, row in judged.items() if not name or len(judged) > 1 else ():
            table.add_row(f"{name}{key}", *_cells(row))
        table.add_section()
    table.add_row("all", *_cells(found["all"]))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    figures = ["-"] * 4
    if row["judged"]:
        interval = f"{row['precision_low']:.2f}-{row['precision_high']:.2f}"
        numbers = (row["dice"], row["iou"], row["precision"])
        figures = [*(f"{v:.3f}" for v in numbers), interval]
    objects = row["objects"] or {"pq": None, "aji": None}
    single = ("-" if objects[n] is None else f"{objects[n]:.3f}" for n in ("pq", "aji"))
    return [str(row["mined"]), str(row["judged"]), *figures, *single]


def words(found: Mapping[str, Any]) -> Iterator[str]:
    """What the figures say beside the table, in sentences."""
    yield from found["left_out"]
    if found["judged_as"]:
        pairs = ", ".join(f"{name} as {other} ({n})" for name, other, n in found["judged_as"])
        yield f"Judged as what was asked for in their place, where experts have no other: {pairs}."
    yield "The interval counts regions of one slide, article or video as fewer than they are."
    if found["asked"]:
        yield f"{found['asked']} structures were asked for and are outlined by experts."
    for kind, name in (("iou", "IoU"), ("score", "score")):
        rows = [r for r in found["thresholds"][kind] if r["judged"]]
        if rows:
            yield f"{name} from: precision, recall: " + "; ".join(
                f"{r['at']:g}: {_figure(r['precision'])}, {_figure(r['recall'])}" for r in rows
            )
    yield from _known(found["known"])
    if found["phrases"]:
        p = found["phrases"]
        yield (
            f"Of {p['phrases']} phrases that the gold affirms in {p['captions']} captions, "
            f"{p['found']} are found (precision {_figure(p['precision'])}, recall "
            f"{_figure(p['recall'])}); polarity is right in {_figure(p['polarity'])}."
        )
        yield (
            f"Of the {p['outlined']} that experts outlined {p['grounded']} have a mask, "
            f"{p['right']} a right one ({_figure(p['grounded_recall'])})."
        )


def _known(found: Mapping[str, Any]) -> Iterator[str]:
    """What was said to be there, not there and unknown, and the numbers."""
    for state, row in found["states"].items():
        if row["judged"]:
            yield (
                f"{row['stated']} times {state}; of {row['judged']} that experts know, "
                f"{row['there']} are there."
            )
    if found["cgf1"] is not None:
        yield (
            f"cgF1 {100 * found['cgf1']:.1f}: localisation (pmF1) {100 * found['pmf1']:.1f}, "
            f"presence (MCC) {found['il_mcc']:.3f}."
        )
    elif found["pmf1"] is not None:
        yield f"pmF1 {100 * found['pmf1']:.1f}; cgF1 needs concepts that are known to be absent."
    for name, row in found["concepts"].items():
        numbers = ""
        if row["counts"]:
            numbers = f"; numbers off by {row['count_error']:.0%} (median of {row['counts']})"
        if row["intervals"]:
            numbers += f", in the interval {row['held']:.3f} of {row['intervals']}"
        recall, pixels = _figure(row["recall"]), _figure(row["pixel_recall"])
        yield f"{name}: recall {recall} of {row['there']}, {pixels} of the pixels{numbers}."


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)
