"""Captions for phantom tiles, in the manner of each corpus, with the truth about their phrases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from miner.core.names import map_concept
from miner.demo.render import STUFF, PhantomTile
from miner.demo.words import ABBREVIATIONS, LOOKS, NOTHING, SITES, STAINS, WORDS


@dataclasses.dataclass(frozen=True)
class Phrase:
    """A phrase that names something: how it is written and what is true of it."""

    text: str
    concept: str
    kind: str = "object"
    polarity: str = "affirmed"


@dataclasses.dataclass(frozen=True)
class Caption:
    """A caption and its mentions.

    Attributes:
        text: the caption.
        mentions: start, end (end-exclusive), text, concept, kind, polarity per phrase, in order.
    """

    text: str
    mentions: tuple[dict[str, Any], ...]


def compose(parts: Sequence[str | Phrase]) -> Caption:
    """Join parts into a caption and note where its phrases stand."""
    text = ""
    mentions = []
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        word = part.text
        if not text or text.endswith((". ", "? ", ": ")):
            word = word[0].upper() + word[1:]
        mentions.append(
            {
                "start": len(text),
                "end": len(text) + len(word),
                "text": word,
                "kind": part.kind,
                "polarity": part.polarity,
                "concept": part.concept,
            }
        )
        text += word
    return Caption(text, tuple(mentions))


class Speaker:
    """Draws phrases for one tile; never names the same concept twice in one caption.

    Args:
        rng: source of randomness.
        tile: what the caption is about.
    """

    def __init__(self, rng: np.random.Generator, tile: PhantomTile):
        self.rng = rng
        self.tile = tile
        shares = {
            map_concept(entity): (labels > 0).mean() if entity in STUFF else 0.05
            for entity, labels in tile.labels.items()
        }
        named = [c for c in tile.present if c in WORDS]
        # What strikes the eye is named first; nuclei are always there.
        weight = np.array([0.2 + float(shares[c]) + (c in SALIENT) * 0.8 for c in named])
        order = rng.permutation(len(named)) if not len(named) else rng.choice(
            len(named), len(named), replace=False, p=weight / weight.sum()
        )  # fmt: skip
        self.here = [named[i] for i in order]
        gone = [c for c in tile.absent if c in WORDS and c not in NEVER_ABSENT]
        self.gone = [gone[i] for i in rng.permutation(len(gone))]

    def one(self, *choices: str) -> str:
        """One of the choices."""
        return str(choices[int(self.rng.integers(len(choices)))])

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def name(self, concept: str, polarity: str = "affirmed") -> Phrase:
        """A wording of a concept."""
        if concept == "gland" and self.tile.organ == "colon" and self.chance(0.6):
            return Phrase(self.one("crypts", "glandular crypts"), concept, "object", polarity)
        kind = "stuff" if concept.replace(" ", "_") in STUFF else "object"
        return Phrase(self.one(*WORDS[concept]), concept, kind, polarity)

    def seen(self) -> Phrase | None:
        """Something in the picture, None when all has been named."""
        return self.name(self.here.pop(0)) if self.here else None

    def missing(self, polarity: str) -> Phrase:
        """Something that is not in the picture."""
        return self.name(self.gone.pop(0), polarity)

    def doubtful(self) -> Phrase:
        """Something uncertain, in the picture or not."""
        if self.here and self.chance(0.4):
            return self.name(self.here.pop(), "uncertain")
        return self.missing("uncertain")

    def site(self) -> Phrase:
        """The organ."""
        return Phrase(self.one(*SITES[self.tile.organ]), self.tile.organ, "site")

    def diagnosis(self, polarity: str = "affirmed") -> Phrase | None:
        """The diagnosis, None when the tissue is normal."""
        if self.tile.finding in ("normal", *WORDS):
            return None
        return Phrase(self.tile.finding, self.tile.finding, "diagnosis", polarity)

    def stain(self) -> Phrase:
        """The stain."""
        text, concept = STAINS[self.tile.stain]
        return Phrase(text, concept, "other")


SALIENT = frozenset({"gland", "glomerulus", "necrosis", "fat", "keratin", "tumor cell", "mucin"})
NEVER_ABSENT = frozenset({"nucleus", "epithelial nucleus", "stromal nucleus", "epithelium"})


def listed(speaker: Speaker, most: int, opening: bool = False) -> list[str | Phrase]:
    """Some things in the picture, joined by commas and "and".

    Args:
        speaker: knows the picture.
        most: name at most that many.
        opening: whether a sentence opens here; then the first phrase is named bare.
    """
    found = [speaker.seen() for _ in range(int(speaker.rng.integers(1, most + 1)))]
    phrases = [p for p in found if p is not None]
    if not phrases:
        return ["the tissue"]
    parts: list[str | Phrase] = []
    for i, phrase in enumerate(phrases):
        if i:
            parts.append(" and " if i == len(phrases) - 1 else ", ")
        if speaker.chance(0.4) and (i or not opening):
            # How it looks is no part of the phrase.
            parts.append(speaker.one(*LOOKS[phrase.kind]) + " ")
        parts.append(phrase)
    return parts


def nothing(rng: np.random.Generator, corpus: str) -> Caption:
    """A caption with nothing to ground."""
    return Caption(str(rng.choice(NOTHING[corpus])), ())


def spoken(rng: np.random.Generator, tile: PhantomTile) -> Caption:
    """A caption as transcribed from a teaching video."""
    s = Speaker(rng, tile)
    parts: list[str | Phrase] = [
        s.one("So here ", "Okay, so here ", "All right, um, here ", "Now over here "),
        s.one("we have ", "you can see ", "we're looking at ", "you get "),
    ]
    if s.chance(0.5):
        parts += [s.site(), s.one(", and there are ", ", and you notice ", " with ")]
    parts += listed(s, 3)
    parts.append(". ")
    if s.chance(0.7) and s.here:
        parts += [s.one("And then ", "You also get ", "In between there's ", "Look at ")]
        parts += listed(s, 2)
        parts.append(s.one(", you see that? ", ", kind of scattered around. ", ". "))
    if s.chance(0.4):
        parts += [
            s.one("I don't see any ", "There's no ", "I can't find any ", "You won't find any "),
            s.missing("negated"),
            s.one(" here. ", " in this field. ", ", which is nice. "),
        ]
    if s.chance(0.35):
        parts += [
            s.one("This might be ", "And that could be ", "Over at the edge there may be "),
            s.doubtful(),
            s.one(", I'm not sure. ", ", but I wouldn't bet on it. ", ". "),
        ]
    if s.chance(0.12):
        # Said of another field: affirmed, but not in the picture.
        parts += ["In the slide before this one we had ", s.missing("affirmed"), ", remember. "]
    diagnosis = s.diagnosis()
    if diagnosis and s.chance(0.6):
        parts += [s.one("So I'd call this ", "So yeah, this is ", "That's "), diagnosis, "."]
    return finished(parts)


def legend(rng: np.random.Generator, tile: PhantomTile) -> Caption:
    """A caption as in a journal's figure legend."""
    s = Speaker(rng, tile)
    parts: list[str | Phrase] = []
    diagnosis = s.diagnosis()
    head = diagnosis if diagnosis and s.chance(0.6) else s.site()
    parts += [s.one("Histology of ", "Photomicrograph of ", "Microscopic appearance of "), head]
    parts += [" (", s.stain(), f", ×{s.one('100', '200', '400')}). "]
    short = next((c for c in s.here if c in ABBREVIATIONS), None)
    if short and s.chance(0.6):
        s.here.remove(short)
        long, abbreviation = ABBREVIATIONS[short]
        parts += [
            Phrase(long, short),
            " (",
            Phrase(abbreviation, short),
            ") are ",
            s.one("numerous", "scattered throughout the section", "present in clusters"),
            ". ",
        ]
        if s.chance(0.6):
            parts += [Phrase(abbreviation, short), " lie next to ", *listed(s, 1), ". "]
    parts += [
        *listed(s, 3, opening=True),
        s.one(" can be seen. ", " can be recognised. ", " in the same field. "),
    ]
    if s.chance(0.45):
        if s.chance(0.5):
            parts += [s.one("There are no ", "No ", "Note the absence of "), s.missing("negated")]
            parts.append(". " if str(parts[-2]) != "No " else " can be seen. ")
        else:
            parts += ["Neither ", s.missing("negated"), " nor ", s.missing("negated")]
            parts.append(" could be found. ")
    if s.chance(0.3):
        parts += [
            s.one("A pale focus is suggestive of ", "The area at the margin may represent "),
            s.doubtful(),
            ". ",
        ]
    if s.chance(0.14):
        parts += ["(B) A deeper level shows ", s.missing("affirmed"), ". "]
    if s.chance(0.4):
        parts.append(s.one("Scale bar, 50 µm.", "Original magnification ×200.", "Bar = 100 µm."))
    return finished(parts)


def machine(rng: np.random.Generator, tile: PhantomTile) -> Caption:
    """A caption as a vision-language model writes it."""
    s = Speaker(rng, tile)
    parts: list[str | Phrase] = []
    if s.chance(0.5):
        noun = tile.organ if "tissue" in tile.organ else f"{tile.organ} tissue"
        parts += ["The ", Phrase(noun, tile.organ, "site")]
        parts.append(s.one(" exhibits ", " shows ", " displays "))
    else:
        parts.append(s.one("The image shows ", "The section reveals ", "The tissue contains "))
    parts += listed(s, 3)
    if s.here and s.chance(0.8):
        parts += [s.one(", accompanied by ", ", with scattered ", ", surrounded by ")]
        parts += listed(s, 2)
    parts.append(". ")
    if s.chance(0.55):
        parts += [
            s.one("There is no evidence of ", "The tissue lacks ", "The field is devoid of "),
            s.missing("negated"),
            ". ",
        ]
    if s.chance(0.3):
        parts += [s.one("Pale areas may represent ", "Dark foci possibly correspond to "),
                  s.doubtful(), ". "]  # fmt: skip
    diagnosis = s.diagnosis("uncertain")
    if diagnosis and s.chance(0.6):
        parts += ["These features suggest ", diagnosis, "."]
    return finished(parts)


def finished(parts: list[str | Phrase]) -> Caption:
    """Compose, without a blank at the end."""
    while parts and isinstance(parts[-1], str) and parts[-1].endswith(" "):
        parts[-1] = parts[-1].rstrip()
    return compose(parts)
