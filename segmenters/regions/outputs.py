"""What the network of regions tells, map by map."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# um per pixel of what it is trained on, in the middle.
MPP = 1.0
# One softmax: every pixel is one of these. "other" is glass, lumen, blood, brain.
CLASSES = (
    "other",
    "epithelium",
    "stroma",
    "lymphocytic infiltrate",
    "muscle",
    "fat",
    "mucin",
    "necrosis",
)
# Probabilities of their own. `centre`: 0 at the outline of a gland, 1 where it is deepest;
# `malignant`: of epithelium alone.
MAPS = ("gland", "centre", "lumen", "malignant")
# One softmax: kind of the nucleus that a pixel belongs to, if it belongs to one.
KINDS = ("epithelial nucleus", "lymphocyte", "stromal nucleus", "neutrophil", "macrophage")


class RegionHead:
    """How the logits of the network are read, see `segmenters.unet.predict`."""

    outputs = len(CLASSES) + len(MAPS) + len(KINDS)
    zoom = 1

    @staticmethod
    def activate(logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 (n, k, H, W), of the logits of the first k maps, whole groups."""
        import torch

        cuts = (len(CLASSES), len(CLASSES) + len(MAPS))
        classes, maps, kinds = logits.tensor_split(cuts, dim=1)
        parts = [torch.softmax(classes, 1), torch.sigmoid(maps), torch.softmax(kinds, 1)]
        return torch.cat(parts, dim=1)
