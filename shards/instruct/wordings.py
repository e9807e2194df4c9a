"""Wordings of questions and answers, with alternatives in brackets: `[Segment|Outline] the {x}`.

Those that speak of outlines are for answers by masks, those of boxes for answers by boxes.

`{x}` is a phrase of the caption or a concept's name, `{a}` the article of a single object; `{are}`,
`{they}`, … go with its number, as `VERBS` has them; `{any}`, `{some}` and `{free}` are "any ",
nothing and nothing before what has a plural or none, and "a ", "a " and "any " before "capsule".
"""

from __future__ import annotations

import functools
import itertools
import random
import re
from collections.abc import Mapping

from shards.export.dialogue import Shows
from shards.instruct.nouns import article, many, single

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "segment": (
        "[Segment|Outline|Delineate|Mark|Highlight] the {x} [in this image|in this picture|"
        "in this field|here].",
        "[Can|Could] you [segment|outline|delineate|mark] the {x}[?| for me?| in this image?]",
        "[Show|Please show] me where the {x} {are}[.| in this image.]",
        "[I need|I would like] the {x} marked[.| in this image.]",
        "[Pick out|Point to] the {x} [in this image|in this picture|in this field|here].",
        "[Can|Could] you [point to|show me] the {x}[?| in this image?]",
    ),
    "count": (
        "How many {x} [can be seen|do you see|are visible|can you make out]"
        "[?| here?| in this image?]",
        "How many {x} are there[?| in this image?| in this field?]",
        "[Count|Tally] the {x} [in this image|in this field|here].",
        "[Give|Tell] me the number of {x} [in this image|in this field|that you can make out].",
        "[Please count|I need a count of|I would like a count of] the {x}[.| in this picture.]",
        "Could you count the {x}[?| in this picture?]",
    ),
    "locate": (
        "[Where|In which part of the image] [do you see|can one find] the {x}?",
        "[Locate|Find|Point out] the {x} [in this image|in this picture|here].",
        "[Give|Show] me the [{boxes}|bounding {boxes}] of the {x}[.| in this image.]",
        "Where {are} the {x}[?| in this image?| here?]",
        "[Can|Could] you [find|locate|point out] the {x}[?| for me?| in this image?]",
        "[Draw|Put] {one}[{boxes}|bounding {boxes}] around the {x}[.| please.| in this image.]",
    ),
    "describe": (
        "[Describe|Explain|Summarize] [this image|this picture|what is shown here|this field] "
        "and mark [what you name|the structures].",
        "[What does this image show|What can be seen here|Can you tell me what this slide shows]? "
        "[Mark what you mention.|Mark each structure.]",
        "[Give|Write] [a|a short] description of this [image|field|section] and mark what it "
        "names.",
    ),
    "describe_some": (
        "[Describe|Explain|Summarize] [this image|this picture|what is shown here|this field] "
        "and mark [what you can|what you can outline|those structures that you can].",
        "[What does this image show|What can be seen here|Can you tell me what this slide shows]? "
        "[Mark what you can.|Mark what you can outline.|Mark those structures that you can.]",
        "[Give|Write] [a|a short] description of this [image|field|section] and mark what you "
        "can[.| outline.]",
    ),
    "describe_plain": (
        "[Describe|Explain|Summarize] [this image|this picture|what is shown here|this field].",
        "[What does this image show|What can be seen here|Can you tell me what this slide shows]?",
        "[Give|Write] [a|a short] description of this [image|field|section].",
        "In [a few words|short], what [does this image show|can be seen here]?",
    ),
    "compare": (
        "[Which|What] [covers|takes up|occupies] [more of the image|the larger area]: {x} or {y}?",
        "[Compare|Contrast] the [extent|area|share of the image] of {x} and {y}[.| here.]",
        "[Do you see|Can one see] more {x} or more {y}[ here| in this image| by area]?",
        "[By area|Going by area], [which dominates|what takes up more], {x} or {y}?",
    ),
    "present": (
        "{Are} there {any}{x} [in this image|in this field|here]?",
        "[Do you see|Can you see|Can one make out|Can one see] [{any}|{some}]{x}"
        "[?| in this image?| here?]",
        "[Does this image|Does this field] [show|contain|include] {some}{x}?",
        "[Would you say that|Is it true that] this [image|field|section] [shows|contains] "
        "{some}{x}?",
    ),
    "prompted": (
        "What is [at|under|marked by] <vp>? [Segment|Mark|Find|Outline] [all of its kind|every one"
        " of it].",
        "[Segment|Find|Mark|Outline] everything [like|of the same kind as] "
        "[the object|the structure] at <vp>.",
        "I marked one [object|structure] with <vp>: [find|segment|mark] all of its kind.",
        "[Which structure is this|What have I marked]: <vp>? [Mark all of them.|Segment them all.|"
        "Find all of them.|Show me all of them.]",
    ),
    "prompted_some": (
        "What is [at|under|marked by] <vp>? [Segment|Mark|Find|Outline] [others|more] like it"
        "[.| in this image.]",
        "[Segment|Find|Mark|Outline] [structures|other structures] [like|of the same kind as] "
        "[the object|the one] at <vp>.",
        "I marked one [object|structure] with <vp>: [find|segment|mark] others of its kind.",
        "[Which structure is this|What have I marked]: <vp>? [Mark more of them.|Find others.|"
        "Segment others.]",
    ),
    "refuse": (
        "[Segment|Outline|Locate|Find|Mark|Delineate] the {x} [in this image|in this field|here].",
        "Describe the [appearance|arrangement|distribution] of the {x} [here|in this image].",
        "[Where do you see|Can you show me|Could you outline|Could you mark|Could you find] the {x}"
        "[?| in this image?]",
        "[Give|Show] me the [outline|location|extent|bounding {boxes}] of the {x}"
        "[.| in this image.]",
        "[Draw|Put] {one}[{boxes}|bounding {boxes}] around the {x}[.| please.]",
    ),
    "refuse_count": (
        "[Count|Tally|Please count] the {x} [in this image|in this field|here].",
        "How many {x} [can be seen|do you see] [here|in this image|in this field]?",
        "How many {x} are there[?| in this image?| in this field?]",
        "[Give|Tell] me the number of {x} [here|in this image|in this field|that you see].",
        "[I need|I would like] a count of the {x}[.| in this image.]",
    ),
}

ANSWERS: Mapping[str, tuple[str, ...]] = {
    "segment": (
        "[I have marked|I have outlined|This marks] the {x}.",
        "The {x} [that you asked for |]{are} marked [here|in the image].",
    ),
    "count": (
        "[I count|There {are}|I can make out] {n} {x}[.| here.| in this image.]",
        "I [see|find] {n} {x}[.| in this field.]",
    ),
    "count_least": (
        "I have marked {m} {x}[ and can vouch for {n}|, and I am sure that there are {n}|; their "
        "true number is {n}].",
    ),
    "locate": (
        "[I located|I have found] the {x}, as [marked|shown] here.",
        "[This is where|Here is where] the {x} [{are}|can be seen].",
    ),
    "compare": (
        "{x} {cover} [more of the image|the larger area]: {p}%[| of all pixels], against {q}% for "
        "{y}.",
        "{x} {take} up the larger share, {p}%; {y} the smaller, {q}%.",
    ),
    "present": (
        "Yes, [this image shows|one can see|I see|I can make out] {a}{x}[.|, marked here.|, which "
        "I have marked.]",
    ),
    "present_plain": (
        "Yes, [this image shows|one can see|I see|I can make out] {a}{x}[.| here.| in this field.]",
    ),
    "negated": (
        "No. [This image is free of {free}{x}.|There {are} no {x} to be seen here.]",
        "No, [this image does not show {some}{x}|there {are} no {x} in this image].",
    ),
    "decoy": (
        "No. [I looked for {some}{x} and found nothing convincing.|A search for {some}{x} found "
        "nothing.]",
        "No, [there {are} no convincing {x} here|I cannot find {some}{x} in this image].",
    ),
    "prompted": (
        "[This is one of|You marked one of|It is one of] the {x}; [all of them are|every one is] "
        "marked.",
    ),
    "prompted_some": (
        "[This is one of|You marked one of|It is one of] the {x}; [those that I can make out|the "
        "ones that I found] are marked.",
    ),
    "refuse_site": (
        "This appears to be {s}, where one does not [find|expect] {any}{x}. "
        "[Are you sure this is what you are looking for?|Are you sure about the request?|Could you "
        "check the request?]",
    ),
    "refuse_negated": (
        "[This image is free of {free}{x}|There {are} no {x} in this image][, so any answer would "
        "be made up|; I would rather not make anything up]. [Are you sure?|Did you mean something "
        "else?]",
    ),
    "refuse_decoy": (
        "I [looked for {some}{x} and found none|cannot find {some}{x} in this image][, so any "
        "answer would be made up|; I would rather not make anything up]. [Are you sure that {they} "
        "{are} there?|Did you mean something else?]",
    ),
}

# Chains of four steps, in front of refusals and of a share of the other answers alike.
THINK: tuple[str, ...] = (
    "Analyse the request: {request} Analyse the input: {input} Compare and verify: {compare} "
    "Respond: {respond}",
    "The request: {request} The picture: {input} Check: {compare} Answer: {respond}",
    "What is asked: {request} What is seen: {input} Does it fit: {compare} So: {respond}",
)

# Of one or of what is not counted, and of many.
VERBS = {
    "are": ("is", "are"),
    "Are": ("Is", "Are"),
    "cover": ("covers", "cover"),
    "take": ("takes", "take"),
    "they": ("it", "they"),
    "boxes": ("box", "boxes"),
    "one": ("a ", ""),
}

# What speaks of outlines, of boxes.
_SPEAKS = {
    "masks": re.compile(r"segment|outlin|delineat", re.IGNORECASE),
    "boxes": re.compile("box"),
}

_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def quantified(x: str) -> dict[str, str]:
    """What stands before a phrase that one asks for: `any`, `some`, and `free` behind "free of"."""
    if not single(x):
        return {"any": "any ", "some": "", "free": ""}
    return {"any": article(x), "some": article(x), "free": "any "}


@functools.cache
def expanded(template: str) -> tuple[str, ...]:
    """All wordings of a template."""
    parts = _CHOICE.split(template)
    options = [p.split("|") if i % 2 else [p] for i, p in enumerate(parts)]
    return tuple("".join(choice) for choice in itertools.product(*options))


@functools.cache
def wordings(kind: str, question: bool, shows: Shows | None = None) -> tuple[str, ...]:
    """All wordings of a task's question or answer, each once.

    Args:
        kind: of the question or answer.
        question: which of both.
        shows: what answers show: none speaks of what they do not. None leaves all.
    """
    table = QUESTIONS if question else ANSWERS
    others = [] if shows is None else [word for what, word in _SPEAKS.items() if what != shows]
    found = dict.fromkeys(w for t in table[kind] for w in expanded(t))
    return tuple(w for w in found if not any(word.search(w) for word in others))


def pick(
    kind: str, question: bool, rng: random.Random, shows: Shows = "either", **fields: object
) -> str:
    """One wording, with its fields filled in and a capital in front."""
    text = rng.choice(wordings(kind, question, shows))
    x = str(fields.get("x", ""))
    plural = many(x) and fields.get("n") != "1"
    for name, before in quantified(x).items():
        text = text.replace("{" + name + "}", before)
    for name, verbs in VERBS.items():
        text = text.replace("{" + name + "}", verbs[plural])
    for name, value in fields.items():
        text = text.replace("{" + name + "}", str(value))
    return text[:1].upper() + text[1:]
