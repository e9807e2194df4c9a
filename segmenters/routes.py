"""Which of the embedded segmenters answers for which concept."""

from __future__ import annotations

from collections.abc import Mapping

from segmenters.equivalents import answered_as

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


def native(concept: str) -> str | None:
    """The concept under which the embedded segmenters answer, or None.

    Args:
        concept: canonical concept name.
    """
    return answered_as(concept, ROUTES.__contains__)
