"""Where nuclei end, told by the network and by how dark the pixels are."""

from __future__ import annotations

import numpy as np

# The network says where nuclei are, the picture itself where exactly they end. What a pixel as dark
# as a nucleus adds to the network's logit. On training tiles kept apart, with 0 and 3: mean Dice
# .754 and .767 on brca_m2c, .826 and .830 on dsb2018, .814 and .827 on nuinsseg, .734 and .745 on
# tnbc, mean object F1 .641 and .647; 2 to 6, haematoxylin instead of red light and contrasts of the
# surroundings instead of the picture are within .004 of it.
WEIGHT = 3.0
# Pixels that the network is sure of: how dark nuclei and all else are in this picture.
SURE, SURE_NOT = 0.8, 0.1
MIN_PIXELS = 50
# Nuclei are darker than their surroundings by at least this optical density.
MIN_CONTRAST = 0.05


def sharpen(probability: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Probability of nucleus with the darkness of every pixel taken into account.

    Args:
        probability: float32 (H, W), 0..1, the network's.
        density: float32 (H, W), optical density in red light, which haematoxylin absorbs and
            eosin hardly does.

    Returns:
        float32 (H, W), 0..1; the probability as it is where the picture shows too few nuclei or
        too little else to compare with.
    """
    nuclear, other = probability > SURE, probability < SURE_NOT
    if min(int(nuclear.sum()), int(other.sum())) < MIN_PIXELS:
        return probability
    dark, pale = float(density[nuclear].mean()), float(density[other].mean())
    contrast = (density - (dark + pale) / 2) / max(dark - pale, MIN_CONTRAST)
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    logit = np.log(clipped / (1 - clipped)) + WEIGHT * np.clip(contrast, -1, 1)
    return (1 / (1 + np.exp(-logit))).astype(np.float32)
