"""Which of the embedded segmenters answers for which concept."""

from __future__ import annotations

from collections.abc import Mapping

from segmenters.equivalents import answered_as

# Per concept whichever was better on training tiles kept apart or, where these have no truth, on
# phantoms (networks against rules): lymphocyte (object F1) .71 against .54, although .12 against
# .29 on phantoms; stromal nucleus .45 against .31, red cell .57 against .08, lumen .68 against .52;
# neutrophil .24 against .02. All regions are the network's, which are far better than the rules.
# The rules take their nuclei from the network, whose outlines were better on every set, but for
# epithelium. Glands are the network's, at half the probability where the rules see one ("both").
ROUTES: Mapping[str, str] = {
    "nucleus": "unet",
    "epithelial nucleus": "unet",
    "lymphocyte": "unet",
    "stromal nucleus": "unet",
    "neutrophil": "unet",
    "gland": "both",
    "lumen": "unet",
    "glomerulus": "unet",
    "epithelium": "unet",
    "stroma": "unet",
    "lymphocytic infiltrate": "unet",
    "muscle": "unet",
    "fat": "unet",
    "mucin": "unet",
    "necrosis": "unet",
    "mitotic figure": "unet",
    "red blood cell": "unet",
    "cytoplasm": "unet",
}


def native(concept: str) -> str | None:
    """The concept under which the embedded segmenters answer, or None.

    Args:
        concept: canonical concept name.
    """
    return answered_as(concept, ROUTES.__contains__)
