"""Tasks: each turns a grounded sample into one exchange, from what the ledger supports only.

A number is said as closely as its interval allows, "all of them" only where a region is known to be
all of its concept, and "no" only of what is confirmed to be absent; sizes where um per pixel are
known. A refusal may also say that the organ named has no such thing.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from pycocotools import mask as coco

from miner.core.masks import decode
from miner.core.parts import Part, find
from miner.core.settings import PartSettings
from ner.concepts import concepts
from ner.families import family, lineage, related
from ner.ground import forbidden, named_sites
from shards.export.folder import VisualPrompt
from shards.export.masks import box_of
from shards.export.options import Options
from shards.instruct.captions import description
from shards.instruct.nouns import (
    article,
    countable,
    many,
    named,
    numbered,
    plural,
    single,
    written,
)
from shards.instruct.nouns import one as singular
from shards.instruct.numbers import said
from shards.instruct.wordings import THINK, pick, quantified
from shards.known import absent as absent_concepts
from shards.known import is_whole, states
from shards.sample import GroundedSample

# Objects that dialects give a box each, `max_boxes` of the exporters; one box round more of them
# would answer "where" with the whole picture.
BOXES = Options().max_boxes
SHARED = 0.1  # of the smaller of two regions that are weighed against each other
LEAST = 3.0  # percent that either covers: what is smaller may have been found in part only
# Sites that no tissue is called by.
_PLACES = frozenset(
    "anus,aorta,bile duct system,ear,eye,joint,limb,nose,oral cavity,pleura,retroperitoneum,"
    "spinal cord,vulva".split(",")
)
_EVERYWHERE = ("nucleus", "cell nucleus")
PLACE = 0.5  # of the picture: a substance whose box is larger is all over it, not somewhere


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A question and its answer.

    Attributes:
        task: name of the task.
        question: text of the user; `<vp>` stands for the visual prompt.
        answer: text of the assistant.
        grounded: phrases of the answer with the region each points to: (start, end, region).
        think: chain of thought in front of the answer, empty where there is none.
        prompt: visual prompt: kind (point, box, scribble) and points (x, y) in pixels, or None.
        denied: concept that the answer says is not there, empty where it denies none.
    """

    task: str
    question: str
    answer: str
    grounded: tuple[tuple[int, int, int], ...] = ()
    think: str = ""
    prompt: VisualPrompt | None = None
    denied: str = ""


class Task(Protocol):
    """Turns a grounded sample into an exchange, None where the sample does not support one."""

    def __call__(self, sample: GroundedSample, rng: random.Random, /) -> Exchange | None:
        """Ask about a sample, with the random choices of `rng`."""
        ...


class Certain(PartSettings):
    """Of a task that says that there is no more.

    Attributes:
        certain: least `exhaustive` of a region that is said to be all of its concept.
    """

    certain: float = 0.9


def task(kind: str, certain: float = 0.9) -> Task:
    """A task by its name, with its share of the settings of a mix."""
    part = find("tasks", kind)
    more = {"certain": certain} if issubclass(part.Settings, Certain) else {}
    return part.build(part.Settings(kind=kind, **more), 1)


def name_of(sample: GroundedSample, region: int) -> str:
    """How the text calls a region: its first mention, else the concept; in number as marked."""
    one = sample["regions"][region]
    said = (m["text"] for m in sample["mentions"] if region in m["regions"])
    text = written(next(said, one["concept"]))
    if one["kind"] != "object" or not one["instances"]:
        return text
    return counted_name(sample, region, len(one["instances"]))


def counted_name(sample: GroundedSample, region: int, number: int = 2) -> str:
    """How objects of that number are called: the words of the text, else the concept's name."""
    one = sample["regions"][region]
    said = (m["text"] for m in sample["mentions"] if region in m["regions"])
    text = written(next(said, one["concept"]))
    if one["kind"] != "object":
        return text
    if number == 1:
        return singular(text)
    if many(text) or not countable(text):
        return text if many(text) else named(one["concept"])
    return plural(text)


def _article(sample: GroundedSample, region: int) -> str:
    """What stands before the name of a region that is one thing; nothing before others."""
    name = name_of(sample, region)
    return article(name) if single(name) or counted_name(sample, region) != name else ""


def site_of(sample: GroundedSample) -> str | None:
    """The organ, when the text names exactly one."""
    sites = {f["value"] for f in sample["facts"] if f["kind"] == "site"}
    return next(iter(sites)) if len(sites) == 1 else None


def spoken(concept: str) -> str:
    """A concept that is not in the text, as one says it: plural where it can be counted."""
    return named(concept)


def _about(
    task: str,
    sample: GroundedSample,
    rng: random.Random,
    region: int,
    **fields: object,
) -> Exchange:
    x = name_of(sample, region)
    asked = x if task in ("segment", "locate") else counted_name(sample, region)
    if task.startswith("prompted"):
        x = asked
    elif task == "count":
        x = counted_name(sample, region, 1 if fields["n"] == "1" else 2)
    if task == "present":
        fields["a"] = _article(sample, region)
    answer = pick(task, False, rng, x=x, **fields)
    start = answer.lower().index(x.lower())
    return Exchange(
        task,
        pick(task, True, rng, x=asked),
        answer,
        ((start, start + len(x), region),),
    )


def _telling(sample: GroundedSample) -> list[int]:
    """Regions that are worth a question: nobody asks for cells as such, or for chromatin."""
    return [
        i
        for i, region in enumerate(sample["regions"])
        if region["concept"] != "chromatin" and singular(name_of(sample, i)) != "cell"
    ]


def _any_region(sample: GroundedSample, rng: random.Random) -> int | None:
    found = _telling(sample)
    return rng.choice(found) if found else None


def _any_objects(sample: GroundedSample, rng: random.Random) -> int | None:
    """A region of an object concept whose single instances passed."""
    regions = sample["regions"]
    found = [
        i for i in _telling(sample) if regions[i]["kind"] == "object" and regions[i]["instances"]
    ]
    return rng.choice(found) if found else None


def segment(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """Mask of what the text names."""
    region = _any_region(sample, rng)
    return None if region is None else _about("segment", sample, rng, region)


def locate(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """Boxes of what the text names, of objects one each: of more than `BOXES` nobody is asked."""
    found = [i for i in _telling(sample) if _has_place(sample, i)]
    return _about("locate", sample, rng, rng.choice(found)) if found else None


def _of_cells(sample: GroundedSample, region: int) -> bool:
    """Whether a region is a substance of cells: chromatin and cytoplasm are where cells are."""
    one = sample["regions"][region]
    return one["kind"] != "object" and related(one["concept"], "cell", concepts())


def _has_place(sample: GroundedSample, region: int) -> bool:
    """Whether boxes say where a region is."""
    one = sample["regions"][region]
    if one["kind"] == "object":
        return 0 < len(one["instances"]) <= BOXES
    x1, y1, x2, y2 = one["bbox"]
    small = (x2 - x1) * (y2 - y1) <= PLACE * sample["width"] * sample["height"]
    return small and not _of_cells(sample, region)


def count(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """Number of objects as closely as it is known; their median size where the scale is known."""
    told = {i: number for i, r in enumerate(sample["regions"]) if (number := said(r.get("count")))}
    if not told:
        return None
    region = rng.choice(sorted(told))
    exchange = _about("count", sample, rng, region, n=told[region])
    if sample["mpp"] is None:
        return exchange
    instances = sample["regions"][region]["instances"]
    areas = [decode(i["counts"], *i["size"]).sum() for i in instances]
    size = 2 * float(np.sqrt(np.median(areas) / np.pi)) * sample["mpp"]
    whose = "Its" if told[region] == "1" else "Their median"
    size_text = f" {whose} diameter is about {size:.1f} µm."
    return dataclasses.replace(exchange, answer=exchange.answer + size_text)


def describe(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """What the caption says of its picture as the answer, its phrases grounded.

    That all it names is marked is asked for only where that is so.
    """
    told = description(sample["caption"])
    placed = [(m, told.at(m["start"], m["end"])) for m in sample["mentions"]]
    said = [(m, at) for m, at in placed if at is not None]
    grounded = tuple((*at, region) for m, at in said for region in m["regions"])
    if not grounded:
        return None
    whole = all(m["regions"] for m, _ in said if m["polarity"] == "affirmed")
    kind = "describe" if whole else "describe_some"
    return Exchange("describe", pick(kind, True, rng), told.text, grounded)


def compare(sample: GroundedSample, rng: random.Random) -> Exchange | None:
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
    the = {i: "the " if _article(sample, i) else "" for i in called}
    x, y = (the[i] + called[i] for i in (more, less))
    if called[more].lower() in y.lower() or called[less].lower() in x.lower():
        return None
    first, second = (x, y) if rng.random() < 0.5 else (y, x)
    question = pick("compare", True, rng, x=first, y=second)
    numbers = {"p": f"{shares[more]:.1f}", "q": f"{shares[less]:.1f}"}
    answer = pick("compare", False, rng, x=x, y=y, **numbers)
    places = [
        (answer.lower().index(t.lower()) + len(the[r]), len(called[r]), r)
        for t, r in ((x, more), (y, less))
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


def present(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """Is it there: yes, with the mask; nobody asks for nuclei as such, nor for what cells hold."""
    telling = [i for i in _telling(sample) if singular(name_of(sample, i)) not in _EVERYWHERE]
    found = [i for i in telling if not _of_cells(sample, i)]
    return _about("present", sample, rng, rng.choice(found)) if found else None


def absent(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """Is it there: no, with the reason; only of what is confirmed to be absent."""
    found = [(concept, why) for concept, why in absences(sample) if why != "site"]
    if not found:
        return None
    concept, why = rng.choice(found)
    x = spoken(concept)
    said = pick("present", True, rng, x=x), pick(why, False, rng, x=x)
    return Exchange("absent", *said, denied=concept)


def absences(sample: GroundedSample) -> list[tuple[str, str]]:
    """(concept, why) of what is not there: denied, searched and not found, or not of the organ.

    The organ speaks only of what nobody named or asked for. What is a kind, part or whole of
    something that is there is never among them, unless the text itself denies it.
    """
    known = states(sample)
    there = {r["concept"] for r in sample["regions"]}
    there |= {m["concept"] for m in sample["mentions"] if m["polarity"] != "negated"}
    table = concepts()
    said = sorted(there)
    there |= {up for name in said for up in lineage(name, table)}
    site, sites = site_of(sample), named_sites(sample["facts"], sample["mentions"])
    gone = set(absent_concepts(sample)) - there
    found = {n["concept"]: n["why"] for n in sample["negatives"] if n["concept"] in gone}
    if sites == {site}:
        for concept in table.values():
            if forbidden(concept, sites) and concept.name not in {*there, *known}:
                found[concept.name] = "site"
    return sorted(
        (name, why)
        for name, why in found.items()
        if why == "negated" or not any(related(name, other, table) for other in said)
    )


def refuse(sample: GroundedSample, rng: random.Random) -> Exchange | None:
    """A request whose assumption the picture does not bear out: checked, then turned down."""
    found = absences(sample)
    if not found:
        return None
    by_reason: dict[str, list[str]] = {}
    for concept, why in found:
        by_reason.setdefault(why, []).append(concept)
    why = rng.choice(sorted(by_reason))
    concept = rng.choice(by_reason[why])
    x = spoken(concept)
    site = site_of(sample)
    before = quantified(x)
    ground = {
        "site": f"one does not find {before['any']}{x} in {_tissue(site)}.",
        "negated": f"the picture is free of {before['free']}{x}.",
        "decoy": f"a search of the picture for {before['some']}{x} found nothing convincing.",
    }[why]
    think = _chain(
        sample,
        rng,
        request=f"the user takes the {x} to be there.",
        compare=ground,
        respond="tell the user, make nothing up, and ask back.",
    )
    question = "refuse_count" if numbered(concept) and rng.random() < 0.5 else "refuse"
    return Exchange(
        "refuse",
        pick(question, True, rng, x=x),
        pick(f"refuse_{why}", False, rng, x=x, s=_tissue(site)),
        think=think,
        denied=concept,
    )


def thought(exchange: Exchange, sample: GroundedSample, rng: random.Random) -> Exchange:
    """An exchange whose answer holds, with a chain of thought in front of it."""
    phrases = [exchange.answer[start:end] for start, end, _ in exchange.grounded]
    if not phrases or exchange.task == "describe":
        return exchange
    x = " and ".join(f"the {written(phrase)}" for phrase in phrases)
    asked = "the object that is marked" if exchange.prompt else x
    if exchange.task == "present":  # "the" would take for granted what is asked
        asked = counted_name(sample, exchange.grounded[0][2])
    several = len(phrases) > 1 or many(x)
    verb, it = ("are", "them") if several else ("is", "it")
    there = f"{x} {verb} there and can be outlined."
    if exchange.task == "compare":
        cover = "cover" if many(phrases[0]) else "covers"
        there = f"both can be outlined, and the {written(phrases[0])} {cover} more."
    think = _chain(
        sample,
        rng,
        request=f"the user asks about {asked}.",
        compare=there,
        respond=f"tell the user, and mark {it}.",
    )
    return dataclasses.replace(exchange, think=think)


def _chain(sample: GroundedSample, rng: random.Random, **steps: str) -> str:
    """A chain of thought in one of its wordings: what is asked, seen, checked, to be said."""
    seen = sorted({_article(sample, i) + name_of(sample, i) for i in _most_special(sample)})
    can = "can be seen" if seen else "no structure in it is marked"
    site = site_of(sample)
    what = f"this appears to be {_tissue(site)}" if site else "the organ cannot be told"
    think = rng.choice(THINK)
    for name, text in {"input": f"{what}; {_listed(seen)}{can}.", **steps}.items():
        think = think.replace("{" + name + "}", text)
    return think


def _most_special(sample: GroundedSample) -> list[int]:
    """Regions to be named together: of nuclei and epithelial nuclei the latter."""
    found = _telling(sample) or [*range(len(sample["regions"]))]
    table = concepts()
    called = {i: sample["regions"][i]["concept"] for i in found}
    above = {up for name in called.values() for up in lineage(name, table) if up != name}
    return [i for i in found if called[i] not in above]


def _listed(names: Sequence[str]) -> str:
    """Names as one lists them, with a blank behind them."""
    front, last = ", ".join(names[:-1]), "".join(names[-1:])
    return " and ".join(part for part in (front, last) if part) + " " * bool(names)


def _tissue(site: str | None) -> str:
    """What a picture of an organ shows: kidney tissue, soft tissue, tissue of the oral cavity."""
    if not site or site.endswith(("tissue", "blood")):
        return site or "tissue"
    return f"tissue of the {site}" if site in _PLACES else f"{site} tissue"


def prompted(sample: GroundedSample, rng: random.Random, certain: float = 0.9) -> Exchange | None:
    """From a point, box or scribble on one object: the objects of its concept.

    That these are all is asked and said only of a region that is known to be all of its concept.
    """
    region = _any_objects(sample, rng)
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
    whole = is_whole(sample["regions"][region], certain)
    exchange = _about("prompted" if whole else "prompted_some", sample, rng, region)
    return dataclasses.replace(exchange, task="prompted", prompt={"kind": kind, "points": points})


def _part(task: Callable[[GroundedSample, random.Random], Exchange | None]) -> Part:
    return Part(kind=task.__name__, Settings=PartSettings, build=lambda settings, threads: task)


def _prompted(settings: Certain, threads: int) -> Task:
    return functools.partial(prompted, certain=settings.certain)


PARTS = {
    part.kind: part
    for part in map(_part, (segment, count, locate, describe, compare, present, absent, refuse))
} | {"prompted": Part(kind="prompted", Settings=Certain, build=_prompted)}
