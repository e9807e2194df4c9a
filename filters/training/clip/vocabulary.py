"""What the small CLIP is taught to name, and which names do not contradict each other."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import numpy as np

from filters.clip.comparison import ancestors, wordings
from ner.concepts import concepts

BACKGROUND = "background"  # empty glass: no concept of the table, but what a mask may cover

# Names of which several can be right for one region: what the region is worth for the others is
# unknown, so it is not taught.
UNSURE: tuple[frozenset[str], ...] = (
    frozenset({"gland", "epithelium", "tumor", "tubule"}),
    frozenset({"nucleus", "cell", "epithelial cell", "epithelial nucleus"}),
    frozenset({"gland", "thyroid follicle"}),
    frozenset({"gland", "goblet cell"}),
    frozenset({"thyroid follicle", "colloid"}),
    frozenset({"lumen", "alveolus", "blood vessel", BACKGROUND}),
    frozenset({"lumen", "mucin"}),
    frozenset({"goblet cell", "mucin"}),
    frozenset({"lumen", "necrosis"}),
    frozenset({"blood vessel", "red blood cell", "hemorrhage"}),
    frozenset({"fat", "fat droplet"}),
    frozenset({"lymphoid follicle", "lymphoid aggregate", "lymphocyte"}),
    frozenset({"tumor cell", "epithelial nucleus", "mitosis", "hepatocyte"}),
    frozenset({"necrosis", "apoptotic body"}),
    frozenset({"macrophage", "pigment"}),
    frozenset({"stroma", "smooth muscle", "muscle"}),
    frozenset({"keratin", "epithelium", "tumor"}),
)
CELLS = frozenset(
    {
        "lymphocyte", "plasma cell", "neutrophil", "eosinophil", "macrophage", "mitosis",
        "apoptotic body", "hepatocyte", "goblet cell", "tumor cell", "epithelial nucleus",
        "stromal nucleus",
    }
)  # fmt: skip
MORE_WORDINGS: Mapping[str, tuple[str, ...]] = {
    BACKGROUND: ("background", "empty glass", "white space", "blank slide"),
    "nucleus": ("nuclear", "chromatin"),
    "lymphoid aggregate": ("lymphoid tissue", "dense lymphocytic infiltrate"),
}
# What phantoms and tiles call by another name than the concept table.
ALIASES: Mapping[str, str] = {"neuropil": "gray matter", "muscle": "smooth muscle"}
# Concepts without labels that look like a taught one; taught as further wordings of it.
STANDS_FOR: Mapping[str, str] = {
    "epithelial cell": "epithelial nucleus",
    "stromal cell": "stromal nucleus",
    "fibroblast": "stromal nucleus",
    "lymphoid tissue": "lymphoid aggregate",
    "adipocyte": "fat",
    "muscle": "smooth muscle",
    "skeletal muscle": "smooth muscle",
    "connective tissue": "stroma",
    "fibrous tissue": "stroma",
    "collagen": "stroma",
    "lamina propria": "stroma",
    "extracellular matrix": "stroma",
    "duct": "gland",
    "acinus": "gland",
    "capillary": "blood vessel",
    "artery": "blood vessel",
    "vein": "blood vessel",
    "blood": "hemorrhage",
    "debris": "necrosis",
    "squamous epithelium": "epithelium",
    "nest": "tumor",
    "keratin pearl": "keratin",
    "mitosis": "mitotic figure",
}
LOOKS = ("", "", "", "", "dense ", "scattered ", "numerous ", "abundant ", "large ", "small ")
NEGATIONS = (
    "no {}",
    "absence of {}",
    "{} is absent",
    "without {}",
    "{} are not seen",
    "lack of {}",
)


@functools.cache
def known_as(name: str) -> str:
    """Name of the concept of the table that has this name or form; the name itself if none."""
    name = ALIASES.get(name, name)
    if name in concepts():
        return name
    for concept in concepts().values():
        if name in concept.forms:
            return concept.name
    return name


@functools.cache
def _unsure() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(known_as(name) for name in names) for names in UNSURE)


def unsure(one: str, other: str) -> bool:
    """Whether a region of one concept may also be of the other, as far as the labels tell."""
    pair = {one, other}
    if any(pair <= names for names in _unsure()):
        return True
    return bool(pair & {"nucleus", "cell"}) and bool(pair & {known_as(name) for name in CELLS})


def texts_of(concept: str) -> tuple[str, ...]:
    """Every wording a concept is taught with, its own first."""
    texts = [*wordings(concept, most=10), *MORE_WORDINGS.get(concept, ())]
    for other, taught in STANDS_FOR.items():
        if known_as(taught) == concept:
            texts += wordings(other, most=3)
    return tuple(dict.fromkeys(texts))


def judged_as(taught: Iterable[str]) -> dict[str, str]:
    """For every concept of the table that the model can judge: the taught concept it stands for.

    A concept that is not taught is judged as what it looks like (`STANDS_FOR`), else as the
    nearest concept above it that is; the others cannot be judged.
    """
    known = {name: name for name in taught if name != BACKGROUND}
    known |= {
        name: known_as(other)
        for name, other in STANDS_FOR.items()
        if name not in known and known_as(other) in known
    }
    out = {}
    for name in concepts():
        chain = [one for one in (name, *ancestors(name)) if one in known]
        if chain:
            out[name] = known[chain[0]]
    return out


class Vocabulary:
    """The taught concepts, in a fixed order, and how they relate.

    Args:
        names: concepts that some tile has labels for.

    Attributes:
        names: sorted names: the labelled concepts and all above them.
        right: bool (n, n): a region of row's concept is also one of column's (its ancestors).
        wrong: bool (n, n): a region of row's concept is surely none of column's.
        under: bool (n, n): column's concept is row's or lies below it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        below = sorted({known_as(name) for name in names})
        above = {one for name in below for one in ancestors(name)}
        self.names = tuple(sorted({*below, *above}))
        n = len(self.names)
        self.right = np.eye(n, dtype=bool)
        self.under = np.eye(n, dtype=bool)
        self.wrong = np.zeros((n, n), dtype=bool)
        for i, one in enumerate(self.names):
            for j, other in enumerate(self.names):
                if other in ancestors(one):
                    self.right[i, j] = True
                elif one in ancestors(other):
                    self.under[i, j] = True
                elif i != j and not unsure(one, other):
                    self.wrong[i, j] = True
        self.texts = tuple(texts_of(name) for name in self.names)

    def index(self, name: str) -> int:
        """Place of a concept."""
        return self.names.index(known_as(name))

    def say(self, rng: np.random.Generator, templates: tuple[str, ...]) -> list[str]:
        """One random wording in a random template for every concept, in order."""
        out = []
        for texts in self.texts:
            # The plain names are what the agreement asks with, so they come up most.
            pick = texts[0] if rng.random() < 0.4 else texts[int(rng.integers(len(texts)))]
            look = LOOKS[int(rng.integers(len(LOOKS)))]
            out.append(templates[int(rng.integers(len(templates)))].format(look + pick))
        return out

    def deny(self, rng: np.random.Generator) -> list[str]:
        """A negated wording for every concept, in order."""
        out = []
        for texts in self.texts:
            pick = texts[int(rng.integers(len(texts)))]
            out.append(NEGATIONS[int(rng.integers(len(NEGATIONS)))].format(pick))
        return out
