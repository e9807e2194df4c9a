"""Tasks: each turns a grounded sample into one exchange, from what the ledger supports only.

A number is said as closely as its interval allows, "all of them" only where a region is known to be
all of its concept, and "no" only of what is confirmed to be absent; sizes where um per pixel are
known. A refusal may also say that the organ named has no such thing.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools import mask as coco

from miner.core.masks import decode
from miner.core.parts import Part, find
from ner.concepts import concepts
from ner.families import family, related
from shards.export.dialogue import EITHER, Answering
from shards.export.masks import box_of, boxes
from shards.instruct.called import article_of, counted_name, name_of, telling
from shards.instruct.captions import description
from shards.instruct.denials import absent, refuse
from shards.instruct.exchange import DEFAULT, Asked, Exchange, Task, shown
from shards.instruct.nouns import one as singular
from shards.instruct.numbers import LEAST as LEAST_WORDS
from shards.instruct.numbers import said
from shards.instruct.wordings import pick
from shards.known import is_whole
from shards.sample import GroundedSample

SHARED = 0.1  # of the smaller of two regions that are weighed against each other
LEAST = 3.0  # percent that either covers: what is smaller may have been found in part only
_EVERYWHERE = ("nucleus", "cell nucleus")


def task(kind: str, certain: float = 0.9, form: Answering = EITHER) -> Task:
    """A task by its name, with its share of the settings of a mix and of a dialect."""
    part = find("tasks", kind)
    more: dict[str, Any] = {}
    if issubclass(part.Settings, Asked):
        more = {"certain": certain, "shows": form.shows, "max_boxes": form.max_boxes}
    return part.build(part.Settings(kind=kind, **more), 1)


def _about(
    task: str,
    sample: GroundedSample,
    rng: random.Random,
    region: int,
    asked: Asked,
    answered: str = "",
    **fields: object,
) -> Exchange:
    """An exchange about one region, which its answer points to where it can show it.

    Args:
        task: kind of its wordings.
        sample: what is spoken of.
        rng: of the choices.
        region: of the sample.
        asked: how answers show.
        answered: kind of the answer's wordings, where it is another.
        fields: of the answer.
    """
    x = name_of(sample, region)
    called = x if task in ("segment", "locate") else counted_name(sample, region)
    if task.startswith("prompted"):
        x = called
    elif task == "count":
        x = counted_name(sample, region, 1 if fields["n"] == "1" else 2)
    if task == "present":
        fields["a"] = article_of(sample, region)
    answer = pick(answered or task, False, rng, asked.shows, x=x, **fields)
    start = answer.lower().index(x.lower())
    place = (start, start + len(x), region)
    return Exchange(
        task,
        pick(task, True, rng, asked.shows, x=called),
        answer,
        (place,) if shown(sample["regions"][region], asked) else (),
    )


def _any_region(sample: GroundedSample, rng: random.Random, asked: Asked) -> int | None:
    found = [i for i in telling(sample) if shown(sample["regions"][i], asked)]
    return rng.choice(found) if found else None


def _any_objects(sample: GroundedSample, rng: random.Random, asked: Asked) -> int | None:
    """A region of an object concept whose single instances passed."""
    regions = {i: sample["regions"][i] for i in telling(sample)}
    found = [
        i
        for i, region in regions.items()
        if region["kind"] == "object" and region["instances"] and shown(region, asked)
    ]
    return rng.choice(found) if found else None


def segment(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """Mask of what the text names, or its boxes."""
    region = _any_region(sample, rng, asked)
    return None if region is None else _about("segment", sample, rng, region, asked)


def locate(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """Place of what the text names: boxes where they say one, of objects one each, or a mask."""
    found = [i for i in telling(sample) if _has_place(sample, i, asked)]
    return _about("locate", sample, rng, rng.choice(found), asked) if found else None


def _of_cells(sample: GroundedSample, region: int) -> bool:
    """Whether a region is a substance of cells: chromatin and cytoplasm are where cells are."""
    one = sample["regions"][region]
    return one["kind"] != "object" and related(one["concept"], "cell", concepts())


def _has_place(sample: GroundedSample, region: int, asked: Asked) -> bool:
    """Whether an answer says where a region is."""
    one = sample["regions"][region]
    if _of_cells(sample, region) or (one["kind"] == "object" and not one["instances"]):
        return False
    return asked.shows == "masks" or bool(boxes(one, asked.max_boxes))


def count(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """Number of objects as closely as it is known; their median size where the scale is known.

    Beside more marks than it is sure of, an answer says both numbers.
    """
    told = {i: number for i, r in enumerate(sample["regions"]) if (number := said(r.get("count")))}
    if not told:
        return None
    region = rng.choice(sorted(told))
    least = told[region].startswith(LEAST_WORDS) and shown(sample["regions"][region], asked)
    marked = f"{len(sample['regions'][region]['instances']):,}"
    kind = "count_least" if least else "count"
    exchange = _about("count", sample, rng, region, asked, kind, n=told[region], m=marked)
    if sample["mpp"] is None:
        return exchange
    instances = sample["regions"][region]["instances"]
    areas = [decode(i["counts"], *i["size"]).sum() for i in instances]
    size = 2 * float(np.sqrt(np.median(areas) / np.pi)) * sample["mpp"]
    whose = "Its" if told[region] == "1" else "Their median"
    size_text = f" {whose} diameter is about {size:.1f} µm."
    return dataclasses.replace(exchange, answer=exchange.answer + size_text)


def describe(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """What the caption says of its picture as the answer, its phrases grounded.

    That all it names is marked is asked for only where that is so, and marks where there are some.
    """
    told = description(sample["caption"])
    placed = [(m, told.at(m["start"], m["end"])) for m in sample["mentions"]]
    said = [(m, at) for m, at in placed if at is not None]
    if not any(m["regions"] for m, _ in said):
        return None
    can = [shown(region, asked) for region in sample["regions"]]
    grounded = tuple((*at, i) for m, at in said for i in m["regions"] if can[i])
    whole = all(
        m["regions"] and all(can[i] for i in m["regions"])
        for m, _ in said
        if m["polarity"] == "affirmed"
    )
    kind = "describe" if whole else "describe_some" if grounded else "describe_plain"
    return Exchange("describe", pick(kind, True, rng, asked.shows), told.text, grounded)


def compare(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """Which of two structures covers more of the picture; none of which lies in the other."""
    if len(sample["regions"]) < 2:
        return None
    a, b = rng.sample(range(len(sample["regions"])), 2)
    pixels = sample["width"] * sample["height"]
    shares = {i: 100 * sample["regions"][i]["area_px"] / pixels for i in (a, b)}
    if abs(shares[a] - shares[b]) < 1 or min(shares.values()) < LEAST:
        return None
    if not _alternatives(sample, a, b) or sum(shares.values()) > 100:
        return None
    more, less = sorted((a, b), key=lambda i: -shares[i])
    called = {i: name_of(sample, i) for i in (more, less)}
    the = {i: "the " if article_of(sample, i) else "" for i in called}
    x, y = (the[i] + called[i] for i in (more, less))
    if called[more].lower() in y.lower() or called[less].lower() in x.lower():
        return None
    first, second = (x, y) if rng.random() < 0.5 else (y, x)
    question = pick("compare", True, rng, asked.shows, x=first, y=second)
    numbers = {"p": f"{shares[more]:.1f}", "q": f"{shares[less]:.1f}"}
    answer = pick("compare", False, rng, asked.shows, x=x, y=y, **numbers)
    places = [
        (answer.lower().index(t.lower()) + len(the[r]), len(called[r]), r)
        for t, r in ((x, more), (y, less))
        if shown(sample["regions"][r], asked)
    ]
    return Exchange("compare", question, answer, tuple((s, s + n, r) for s, n, r in sorted(places)))


def _alternatives(sample: GroundedSample, a: int, b: int) -> bool:
    """Whether one asks which of two regions covers more: no kin, no cells beside tissue, apart."""
    one, other = sample["regions"][a], sample["regions"][b]
    table = concepts()
    cells = [family(table.get(r["concept"]), r["kind"]) == "cell" for r in (one, other)]
    kin = related(one["concept"], other["concept"], table)
    return cells[0] == cells[1] and not kin and _shared(sample, a, b) <= SHARED


def _shared(sample: GroundedSample, a: int, b: int) -> float:
    """How much of the smaller of two regions lies in the other, 0 to 1."""
    both = [dict(sample["regions"][i]["rle"]) for i in (a, b)]
    inside = coco.area(coco.merge(both, intersect=True))
    return float(inside) / max(min(sample["regions"][i]["area_px"] for i in (a, b)), 1)


def present(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """Is it there: yes, and where; nobody asks for nuclei as such, nor for what cells hold."""
    special = [i for i in telling(sample) if singular(name_of(sample, i)) not in _EVERYWHERE]
    found = [i for i in special if not _of_cells(sample, i)]
    if not found:
        return None
    region = rng.choice(found)
    kind = "present" if shown(sample["regions"][region], asked) else "present_plain"
    return _about("present", sample, rng, region, asked, kind)


def prompted(sample: GroundedSample, rng: random.Random, asked: Asked = DEFAULT) -> Exchange | None:
    """From a point, box or scribble on one object: the objects of its concept.

    That these are all is asked and said only of a region that is known to be all of its concept.
    """
    region = _any_objects(sample, rng, asked)
    if region is None or len(sample["regions"][region]["instances"]) < 2:
        return None
    rle = rng.choice(sample["regions"][region]["instances"])
    kind = rng.choice(("point", "box", "scribble"))
    if kind == "box":
        x1, y1, x2, y2 = box_of(rle)
        points = [[x1, y1], [x2, y2]]
    else:
        ys, xs = np.nonzero(decode(rle["counts"], *rle["size"]))
        far = (xs - xs.mean()) ** 2 + (ys - ys.mean()) ** 2
        order = [int(np.argmin(far))]
        if kind == "scribble":
            order = sorted(rng.sample(range(len(xs)), min(6, len(xs))), key=lambda i: xs[i])
        points = [[int(xs[i]), int(ys[i])] for i in order]
    whole = is_whole(sample["regions"][region], asked.certain)
    exchange = _about("prompted" if whole else "prompted_some", sample, rng, region, asked)
    return dataclasses.replace(exchange, task="prompted", prompt={"kind": kind, "points": points})


def _part(task: Callable[[GroundedSample, random.Random, Asked], Exchange | None]) -> Part:
    return Part(
        kind=task.__name__,
        Settings=Asked,
        build=lambda asked, threads: lambda sample, rng: task(sample, rng, asked),
    )


_TASKS = (segment, count, locate, describe, compare, present, absent, refuse, prompted)
PARTS = {part.kind: part for part in map(_part, _TASKS)}
