"""`miner audit`, `miner release`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from miner.commands import refuse_beside


def audit(
    context: typer.Context,
    out: Annotated[str, typer.Argument(help="output folder or URL of a finished run")],
    n: Annotated[int, typer.Option(min=2, help="masks to judge")] = 400,
    by: Annotated[
        str, typer.Option(help="what the sample is spread over: concept, corpus or stratum")
    ] = "concept",
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    judgements: Annotated[
        list[Path] | None,
        typer.Option(help="file that the audit page wrote, given again for each: estimate"),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(help="judgements of the audit before: draw most where they vary most"),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="write what was judged right or redrawn here, for miner calibrate"),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(help="folder of GeoJSON that was exported to QuPath and redrawn there"),
    ] = None,
    auditor: Annotated[str, typer.Option(help="who made the corrections")] = "",
    truth: Annotated[
        Path | None,
        typer.Option(help="judge the sample by <corpus>/<image>/<entity>.png label maps"),
    ] = None,
) -> None:
    """Draw masks to judge and write the page to judge them on; with --judgements, the precision."""
    from typing import get_args

    from miner.audit.estimate import earlier as by_stratum
    from miner.audit.folder import PAGE, read_audit, write_audit
    from miner.audit.judgements import read_judgements
    from miner.audit.population import By
    from miner.core.errors import Refused
    from miner.core.store import Store
    from miner.core.terminal import Terminal

    store, console = Store(out), Terminal()
    drawing = ("n", "by", "seed", "earlier")
    if truth is not None:
        refuse_beside(context, "--truth", *drawing, "judgements", "masks", "corrections", "auditor")
        _by_truth(store, truth, console)
        return
    if corrections is not None:
        refuse_beside(context, "--corrections", *drawing, "judgements", "masks")
        _correct(store, corrections, auditor, console)
        return
    if auditor:
        raise Refused("--auditor: needs --corrections; the page asks for the name itself")
    if judgements:
        refuse_beside(context, "--judgements", *drawing)
        _estimate(store, judgements, masks, console)
        return
    if masks is not None:
        raise Refused("--masks: needs --judgements")
    if by not in get_args(By):
        raise Refused(f"--by {by}: one of {', '.join(get_args(By))}")
    before = None
    if earlier:
        found = read_audit(store)
        before = by_stratum(found, read_judgements(earlier, found))
    drawn = write_audit(store, n, by, seed, before)  # type: ignore[arg-type]
    real = [i for i in drawn["items"] if i["control"] is None]
    console.print(
        f"{len(real)} masks drawn from {sum(drawn['strata'].values())}"
        f" ({sum(i['kept'] for i in real)} kept ones, the others rejected),"
        f" {len(drawn['items']) - len(real)} planted",
        highlight=False,
    )
    if out_of_it := drawn["concepts"].keys() - {i["concept"] for i in real if i["kept"]}:
        console.print(
            f"No mask of {', '.join(sorted(out_of_it))} is among them, and what nobody judges is "
            "not released: --n draws more",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Open {store.shown(PAGE)}", soft_wrap=True, highlight=False)


def _correct(store: Any, folder: Path, auditor: str, console: Any) -> None:
    from miner.audit.corrections import corrections
    from miner.audit.folder import read_audit
    from miner.audit.judgements import HELD, written
    from miner.core.errors import Refused

    if not auditor.strip():
        raise Refused("--corrections: needs --auditor, who made them")
    lines, problems = corrections(store, read_audit(store), folder, auditor.strip())
    for line in problems:
        console.print(f"problem: {line}", highlight=False, soft_wrap=True)
    if not lines:
        console.print("No outline of the sample was changed.")
        return
    name = f"{HELD}/{written(auditor)}-corrections.jsonl"
    _hold(store, name, lines)
    console.print(f"{len(lines)} corrections: {store.shown(name)}", highlight=False, soft_wrap=True)


def _by_truth(store: Any, masks: Path, console: Any) -> None:
    from miner.audit.by_truth import by_truth
    from miner.audit.folder import read_audit
    from miner.audit.judgements import HELD
    from miner.evaluate.regions import pictures_of
    from miner.evaluate.truth import truth_of

    audit = read_audit(store)
    truth = truth_of(masks, pictures_of(store))
    lines = by_truth(store, audit, truth)
    name = f"{HELD}/truth.jsonl"
    _hold(store, name, lines)
    for line in truth.left_out():
        console.print(line, highlight=False, soft_wrap=True)
    real = sum(i["control"] is None for i in audit["items"])
    console.print(
        f"{len(lines)} of {real} masks judged: {store.shown(name)}", highlight=False, soft_wrap=True
    )


def _hold(store: Any, name: str, lines: list[dict[str, Any]]) -> None:
    store.write(name, "".join(json.dumps(line) + "\n" for line in lines).encode())


def _estimate(store: Any, files: list[Path], masks: Path | None, console: Any) -> None:
    from rich.table import Table

    from miner.audit.folder import ESTIMATES, read_audit
    from miner.audit.judgements import read_judgements
    from miner.audit.labels import write_labels
    from miner.audit.release import audited

    drawn = read_audit(store)
    judged = read_judgements(files, drawn)
    found = audited(store, drawn, judged)
    store.write_json(ESTIMATES, found)
    table = Table("masks kept", "judged", "precision", "95% interval", "for ±.03, judge")
    for column in table.columns[1:]:
        column.justify = "right"
    for level, rows in found["precision"].items():
        for name, row in rows.items():
            more = "-" if row["more"] is None else f"{row['more']} more"
            table.add_row(
                name if level == "all" else f"{level} {name}",
                str(row["n"]),
                "-" if row["estimate"] is None else f"{row['estimate']:.3f}",
                f"{row['low']:.3f}-{row['high']:.3f}",
                more,
            )
        table.add_section()
    console.print(table)
    for line in words(found):
        console.print(line, highlight=False, soft_wrap=True)
    if masks is not None:
        n = write_labels(store, drawn, judged, masks)
        console.print(f"{n} label maps written to {masks}", soft_wrap=True)


def words(found: dict[str, Any]) -> list[str]:
    """What the estimates say beside precision, in sentences."""
    from miner.audit.gate import listed

    lines = [f"{found['judged']} of {found['drawn']} masks are judged."]
    strict = found["strict"]
    if strict["estimate"] is not None:
        lines.append(
            f"Right to the outline, roughly right ones not counted: {strict['estimate']:.3f}"
            f" ({strict['low']:.3f}-{strict['high']:.3f})."
        )
    if found["lost"] is not None:
        lost = found["lost"]
        lines.append(
            f"Of all right masks the filters reject {lost['estimate']:.1%}"
            f" ({lost['low']:.1%}-{lost['high']:.1%})."
        )
    if found["promise"] is not None:
        said = {
            "kept": "is kept",
            "broken": "is broken",
            "open": "is neither kept nor broken by so few judgements",
        }[found["promise"]["state"]]
        lines.append(f"The stated {found['promise']['stated']} {found['promise']['value']} {said}.")
    for name, c in found["auditors"]["controls"].items():
        if not c["right"] + c["wrong"]:
            continue
        lines.append(
            f"{name}: {c['right_called_right']} of {c['right']} planted right ones called right,"
            f" {c['wrong_called_wrong']} of {c['wrong']} planted wrong ones called wrong."
        )
    for pair, agreed in found["auditors"]["cohen"].items():
        kappa = "-" if agreed["kappa"] is None else f"{agreed['kappa']:.2f}"
        lines.append(f"{pair}: Cohen's kappa {kappa} over {agreed['items']} masks.")
    if found["unjudged"]:
        lines.append(f"Nobody judged any of {listed(found['unjudged'])}: no figure speaks of them.")
    lines += [f"problem: {line}" for line in found["problems"]]
    return lines


def release(
    out: Annotated[str, typer.Argument(help="output folder or URL of an audited run")],
    to: Annotated[Path, typer.Option(help="folder of the release; must not be there")],
    audit: Annotated[list[Path], typer.Option(help="judgements, given again for each file")],
    min_precision: Annotated[
        float, typer.Option(min=0, max=1, help="that the lower bound must reach")
    ] = 0.9,
    drop_failing: Annotated[
        bool, typer.Option(help="leave out concepts that fall short; bounds hold for all at once")
    ] = False,
    accept_license: Annotated[
        list[str] | None,
        typer.Option(help="licence text that you have the right to pass on; may be given again"),
    ] = None,
) -> None:
    """Write a release of an audited run, when its precision holds; exit 1 says what falls short."""
    from miner.audit.release import release as gate
    from miner.core.store import Store
    from miner.core.terminal import Terminal

    store = Store(out)
    store.reach()
    outcome = gate(store, audit, to, min_precision, drop_failing, accept_license or [])
    console = Terminal()
    for line in outcome.said:
        console.print(line, highlight=False, soft_wrap=True)
    for line in outcome.reasons:
        console.print(f"not released: {line}", highlight=False, soft_wrap=True)
    if outcome.reasons:
        raise typer.Exit(1)
    console.print(f"Released: {to}", highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (audit, release):
        app.command()(command)
