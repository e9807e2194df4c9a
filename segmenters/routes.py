"""Which of the embedded segmenters answers for which concept."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from ner.concepts import concepts

# Per concept whichever was better on training tiles kept apart or, where these have no truth, on
# phantoms (mean Dice of networks against rules): lymphocyte (object F1) .71 against .54, although
# .12 against .29 on phantoms; stromal nucleus .45 against .31, red cell .57 against .08, lumen .68
# against .52, stroma .55 against .41; epithelium of tumors .40 against .68, fat .16 against .46;
# neutrophil (object F1) .24 against .02. Mucin and necrosis are right in no phantom by either. The
# rules take their nuclei from the network, whose outlines were better on every set, but for
# epithelium. Glands are the network's, at half the probability where the rules see one ("both"):
# on colon kept apart .85 (.89 by the network alone, .70 by the rules), colon with adenocarcinoma
# .71 (.66, .70), and by a network that never saw prostate, on prostate .70 (.56, .60).
ROUTES: Mapping[str, str] = {
    "nucleus": "unet",
    "epithelial nucleus": "unet",
    "lymphocyte": "unet",
    "stromal nucleus": "unet",
    "neutrophil": "unet",
    "gland": "both",
    "lumen": "unet",
    "glomerulus": "unet",
    "epithelium": "stain",
    "stroma": "unet",
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
