"""`miner segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from miner.core.errors import Refused


def segment(
    image: Annotated[str, typer.Argument(help="picture")],
    phrases: Annotated[list[str], typer.Argument(help="what to look for")],
    config: Annotated[
        str, typer.Option(help="configuration whose segmenters answer")
    ] = "quickstart.yaml",
    set_: Annotated[list[str] | None, typer.Option("--set", help="segment.decoys=0")] = None,
    out: Annotated[
        str, typer.Option(help="overlay to write; in the working folder when left out")
    ] = "",
    mpp: Annotated[float | None, typer.Option(help="um per pixel of the picture")] = None,
    site: Annotated[str | None, typer.Option(help="organ, for models that read it")] = None,
) -> None:
    """Segment phrases in one picture and draw them over it."""
    from miner.core.pixels import decode
    from miner.core.terminal import say
    from miner.core.threads import fix_threads
    from miner.load_config import load_config
    from miner.report.words import explain
    from segmenters.ask import answers, to_prompt
    from segmenters.overlay import describe, draw

    target = _target(image, out)
    settings = load_config(config, set_ or [])
    fix_threads(settings.runner.threads)
    try:
        pixels = decode(Path(image).read_bytes())
    except OSError as error:
        raise Refused(f"{image}: {error.strerror or error}") from None
    except ValueError as error:
        raise Refused(f"{image}: {explain(str(error)) or error}") from None
    prompts = [to_prompt(phrase, site) for phrase in phrases]
    rows = answers(settings.segment, settings.runner.threads, pixels, prompts, mpp, image)
    try:
        draw(pixels, rows).save(target)
    except (OSError, ValueError) as error:
        raise Refused(f"{target}: {error}") from None
    for segmenter, candidate in rows:
        say(describe(segmenter, candidate))
    say(f"wrote {target}")


def _target(image: str, out: str) -> Path:
    """Where the overlay goes: never over a picture, nor among pictures unless that is asked for.

    Raises:
        Refused: nothing is asked for, and the working folder is that of the picture.
    """
    picture = Path(image).resolve()
    target = Path(out or picture.with_suffix(".overlay.png").name)
    if target.resolve() == picture:
        raise Refused(f"--out: {out} is the picture itself")
    if not out and target.resolve().parent == picture.parent:
        raise Refused(f"--out: name a place for the overlay, not among pictures: {picture.parent}")
    return target


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(segment)
