"""Which of the embedded segmenters answers for which concept."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from ner.concepts import concepts

# Per concept whichever was better on training tiles kept apart or, where these have no truth, on
# phantoms (mean Dice of networks against rules): lymphocyte F1 .65 against
# .56, stromal nucleus .38 against .23, red cell .57 against .08; epithelium .43 against .73, stroma
# .04 against .40, fat 0 against .31, lumen 0 against .37; neutrophil (object F1) .10 against 0. The
# rules take their nuclei from the network, whose outlines were better on every set. Glands are what
# either finds ("both"): on colon (tiles kept apart) and prostate .83 and .71, against .84 and .40
# by the network and .81 and .58 by the rules.
ROUTES: Mapping[str, str] = {
    "nucleus": "unet",
    "epithelial nucleus": "unet",
    "lymphocyte": "unet",
    "stromal nucleus": "unet",
    "neutrophil": "unet",
    "gland": "both",
    "lumen": "stain",
    "epithelium": "stain",
    "stroma": "stain",
    "fat": "stain",
    "mucin": "stain",
    "necrosis": "stain",
    "red blood cell": "unet",
}
# What a concept is answered as when it is not a map of its own. A tumor cell is outlined by its
# nucleus and a tumor by its epithelium: right for carcinomas, which is what captions mostly name.
SAME: Mapping[str, str] = {
    "tumor cell": "epithelial nucleus",
    "tumor": "epithelium",
    "adipose tissue": "fat",
}
# Concepts whose narrower ones look alike: a crypt is a gland. A T cell cannot be told from a
# B cell, nor an artery from a vein, so theirs are not among them.
INHERITED = ("gland", "lumen", "stroma", "epithelium", "fat", "mucin")


@functools.cache
def native(concept: str) -> str | None:
    """The concept under which the embedded segmenters answer, or None.

    Args:
        concept: canonical concept name.
    """
    if concept in ROUTES:
        return concept
    if concept in SAME:
        return SAME[concept]
    table = concepts()
    current = table.get(concept)
    while current is not None and current.parent is not None:
        if current.parent in INHERITED:
            return current.parent
        current = table.get(current.parent)
    return None
