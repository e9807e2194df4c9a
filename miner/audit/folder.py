"""OUT/audit/: the drawn sample, the page to judge it on, and the pictures it shows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup

from miner.audit.controls import Control, plant
from miner.audit.draw import Drawn, draw
from miner.audit.population import By, Mask, population
from miner.core.errors import Refused
from miner.core.layout import FINISHED, check_out
from miner.core.masks import bbox, decode
from miner.core.store import DamagedFile, Store
from miner.report import inline
from miner.report.gallery import Pictures
from shards.sample import IMAGE_FORMATS

FOLDER = "audit"
SAMPLE = f"{FOLDER}/audit.json"
PAGE = f"{FOLDER}/index.html"
ESTIMATES = f"{FOLDER}/estimates.json"
CONTROLS = 0.04  # of the sample, right ones and wrong ones each


def write_audit(
    store: Store,
    n: int,
    by: By,
    seed: int,
    earlier: Mapping[str, tuple[float, int]] | None = None,
) -> dict[str, Any]:
    """Draw a sample of the masks of a finished OUT and write the page that shows it.

    Args:
        store: OUT.
        n: masks to judge, planted controls not counted.
        by: what the sample is spread over.
        seed: of the draw.
        earlier: see `draw.draw`.

    Returns:
        Content of audit.json: `audit` (the sample's name), `run` (digest of the finished run),
        `by`, `seed`, `strata` (masks by "kept/…" or "rejected/…"), `concepts` (kept masks by
        concept, all that the run has, drawn or not), `items` (per item what is in
        `Mask`, with the `stratum` and `probability` of `Drawn`, `size` of the picture (width and
        height in px) and `control`: null, "right" or "wrong").

    Raises:
        Refused: OUT is not finished, or has no mask.
    """
    check_out(store)
    if not store.exists(FINISHED):
        raise Refused(f"{store.url}: not finished; run again to go on")
    masks = population(store, by)
    if not masks:
        raise Refused(f"{store.url}: no mask in it to audit")
    sample = draw(masks, n, seed, earlier)
    drawn = sample.drawn
    controls = plant(max(2, round(CONTROLS * len(drawn))), seed)
    run = store.read_json(FINISHED, ["digest"])["digest"]
    named = [[d.mask.item for d in drawn], by, seed, run, len(controls)]
    name = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]
    planted = {hashlib.sha256(f"{name}:{i}".encode()).hexdigest()[:16]: c
               for i, c in enumerate(controls)}  # fmt: skip
    store.remove(FOLDER)
    shown = _show(store, drawn, planted)
    items = [_item(d) for d in drawn] + [_planted(item, c) for item, c in planted.items()]
    items = [{**i, "size": shown[i["item"]]["size"]} for i in items]
    items.sort(key=lambda i: hashlib.sha256(f"{seed}{i['item']}".encode()).digest())
    audit = {"audit": name, "run": run, "by": by, "seed": seed, "strata": sample.strata,
             "concepts": _concepts(masks), "items": items}  # fmt: skip
    store.write_json(SAMPLE, audit)
    page = {"audit": name, "items": [shown[i["item"]] for i in items]}
    store.write(PAGE, render(page).encode())
    return audit


def read_audit(store: Store) -> dict[str, Any]:
    """The drawn sample of an OUT; raises `Refused` when there is none, or of another run."""
    if not store.exists(SAMPLE):
        raise Refused(f"{store.url}: no audit in it; draw one with miner audit OUT --n 400")
    if not fresh(store):
        raise Refused(f"{store.shown(SAMPLE)}: drawn from other verdicts; draw again")
    audit: dict[str, Any] = store.read_json(SAMPLE)
    if "concepts" not in audit:  # as samples were written that knew their strata alone
        audit["concepts"] = _concepts(population(store, audit["by"]))
    return audit


def _concepts(masks: Sequence[Mask]) -> dict[str, int]:
    return dict(sorted(Counter(m.concept for m in masks if m.kept).items()))


def fresh(store: Store) -> bool:
    """Whether there is a sample, of the verdicts that OUT has now."""
    if not (store.exists(SAMPLE) and store.exists(FINISHED)):
        return False
    return bool(store.read_json(FINISHED, ["digest"])["digest"] == store.read_json(SAMPLE)["run"])


def read_shown(store: Store) -> list[dict[str, Any]]:
    """What the page knows of every item: concept, caption, names of picture and mask."""
    text = store.read(PAGE).decode(errors="replace").partition('id="data">')[2]
    try:
        found: list[dict[str, Any]] = json.loads(text.partition("</script>")[0])["items"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DamagedFile(store.shown(PAGE), "holds no items as the audit wrote them") from None
    return found


def _item(drawn: Drawn) -> dict[str, Any]:
    return {
        **dataclasses.asdict(drawn.mask),
        "stratum": drawn.stratum,
        "probability": round(drawn.probability, 9),
        "control": None,
    }


def _planted(item: str, control: Control) -> dict[str, Any]:
    nothing = Mask(
        item, "", "", "", "", control.concept, "", "", False, None, None, "", None, (), ()
    )
    right = "right" if control.right else "wrong"
    return {**dataclasses.asdict(nothing), "probability": None, "control": right}


def _show(
    store: Store, drawn: Sequence[Drawn], planted: Mapping[str, Control]
) -> dict[str, dict[str, Any]]:
    """Write pictures and masks; returns what the page knows of every item."""
    pictures = Pictures(store, {d.mask.sample_id for d in drawn})
    shown = {}
    for mask in (d.mask for d in drawn):
        sample = pictures.samples[mask.sample_id]
        image = pictures.images[sample["image_id"]]
        counts = pictures.masks[sample["image_id"], mask.concept, mask.segmenter]
        if image["format"] not in IMAGE_FORMATS:
            raise Refused(f"{mask.sample_id}: its picture is of format {image['format']!r}")
        name = f"pictures/{hashlib.sha256(image['data']).hexdigest()[:16]}.{image['format']}"
        if not store.exists(f"{FOLDER}/{name}"):
            store.write(f"{FOLDER}/{name}", image["data"])
        told = {
            "kept": "yes" if mask.kept else f"no: {mask.reason}",
            "probability to be right": mask.score,
            "q-value": mask.q_value,
            "segmenter": mask.segmenter,
            "sample": mask.sample_id,
        }
        shown[mask.item] = {
            "item": mask.item,
            "concept": mask.concept,
            "picture": name,
            "mask": _write_mask(store, mask.item, decode(counts, image["height"], image["width"])),
            "size": [image["width"], image["height"]],
            "mpp": image["mpp"],
            "box": mask.box,
            "caption": sample["caption"],
            "span": mask.span,
            "told": told,
        }
    for item, control in planted.items():
        name = f"pictures/{item}.png"
        store.write(f"{FOLDER}/{name}", control.picture)
        found = decode(control.counts, control.height, control.width)
        shown[item] = {
            "item": item,
            "concept": control.concept,
            "picture": name,
            "mask": _write_mask(store, item, found),
            "size": [control.width, control.height],
            "mpp": control.mpp,
            "box": bbox(found),
            "caption": f"There is {control.concept}.",
            "span": [9, 9 + len(control.concept)],
            "told": {"planted": "right" if control.right else "wrong"},
        }
    return shown


def _write_mask(store: Store, item: str, mask: np.ndarray) -> str:
    """A PNG that is opaque where the mask is; its name."""
    name = f"masks/{item}.png"
    white = np.full((*mask.shape, 4), 255, np.uint8)
    white[..., 3] = mask.astype(np.uint8) * 255
    store.write(f"{FOLDER}/{name}", cv2.imencode(".png", white)[1].tobytes())
    return name


def render(page: Mapping[str, Any]) -> str:
    """The audit page; `page` holds `audit` and `items` as `write_audit` makes them.

    Captions come from the internet: they enter as JSON in which no tag can open or close, and
    nothing but the page's own script may run.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("miner.audit", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    assert environment.loader is not None
    script = environment.loader.get_source(environment, "page.js")[0]
    return environment.get_template("page.html.j2").render(
        data=inline.data(page), script=Markup(script), digest=inline.digest(script)
    )
