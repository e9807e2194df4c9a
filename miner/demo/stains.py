"""From stain densities to the picture a scanner makes: Beer–Lambert mixing, optics, sensor, JPEG.

Stain vectors lie between those published for scikit-image/ImageJ (Ruifrok and Johnston 2001) and
those that stain estimation finds on clinical slides (Macenko et al. 2009, Vahadane et al. 2016).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from miner.demo import fields
from miner.demo.canvas import Canvas

# Ends of the ranges, optical density for red, green, blue; normalised after mixing.
HEMATOXYLIN = ((0.650, 0.704, 0.286), (0.58, 0.72, 0.38), (0.76, 0.62, 0.20), (0.50, 0.77, 0.40))
EOSIN = ((0.092, 0.954, 0.283), (0.20, 0.84, 0.50), (0.05, 0.985, 0.16), (0.26, 0.90, 0.35))
BLOOD = ((0.13, 0.86, 0.49), (0.20, 0.76, 0.62), (0.08, 0.90, 0.42))
PIGMENT = ((0.42, 0.58, 0.70), (0.50, 0.57, 0.65), (0.38, 0.52, 0.77))
DAB = ((0.268, 0.570, 0.776), (0.34, 0.58, 0.74))
PAS = ((0.175, 0.972, 0.154), (0.30, 0.93, 0.20))

# Per stain: vectors of the four dyes of the canvas.
RECIPES: dict[str, tuple[tuple[tuple[float, float, float], ...], ...]] = {
    "H&E": (HEMATOXYLIN, EOSIN, BLOOD, PIGMENT),
    "hematoxylin": (HEMATOXYLIN, HEMATOXYLIN, BLOOD, PIGMENT),
    "PAS": (HEMATOXYLIN, PAS, PAS, PIGMENT),
    "IHC": (HEMATOXYLIN, EOSIN, BLOOD, DAB),
    "trichrome": (((0.55, 0.70, 0.45),), ((0.80, 0.59, 0.10),), ((0.15, 0.90, 0.40),), PIGMENT),
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How a section was stained and scanned.

    Attributes:
        stain: name of the recipe.
        vectors: unit optical density (dye, RGB), float64 (4, 3).
        strength: factor of every dye.
        thickness: contrast of slow changes in section thickness.
        white: RGB of empty glass, 0..255.
        matrix: colour matrix of the scanner, float64 (3, 3).
        gamma: its tone curve.
        blur_um: standard deviation of the point spread function.
        noise: standard deviation of the sensor noise, 0..255.
        jpeg: quality, or None.
    """

    stain: str
    vectors: np.ndarray
    strength: np.ndarray
    thickness: float
    white: np.ndarray
    matrix: np.ndarray
    gamma: float
    blur_um: float
    noise: float
    jpeg: int | None


def vector(rng: np.random.Generator, ends: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """A random unit vector between the ends of a range, float64 (3,)."""
    weights = rng.dirichlet([0.7] * len(ends))
    mixed = weights @ np.asarray(ends) + 0.015 * rng.standard_normal(3)
    mixed = np.maximum(mixed, 0.02)
    return mixed / np.linalg.norm(mixed)


def random_look(rng: np.random.Generator, stain: str = "H&E", jpeg: bool = True) -> Look:
    """Draw a laboratory and a scanner."""
    vectors = np.stack([vector(rng, ends) for ends in RECIPES[stain]])
    strength = np.exp(rng.normal([-0.14, -0.1, 0.0, 0.0], [0.26, 0.38, 0.2, 0.15]))
    strength *= np.exp(rng.normal(0, 0.16))
    if stain == "hematoxylin":
        strength[1:3] *= 0.45
    if stain == "IHC":
        strength[0] *= 0.75
    matrix = np.eye(3) + rng.normal(0, 0.03, (3, 3))
    saturation = rng.uniform(0.75, 1.2)
    gray = np.full((3, 3), 1 / 3)
    matrix = saturation * matrix + (1 - saturation) * gray
    matrix /= matrix.sum(1, keepdims=True)
    white = np.clip(rng.normal(243, 5) + rng.normal(0, 2.5, 3), 222, 254)
    if rng.random() < 0.12:
        # A thick or overstained section under a microscope's camera: dark, tinted glass.
        strength *= rng.uniform(1.1, 1.5)
        white = rng.uniform(185, 230) + rng.normal(0, 7, 3)
    return Look(
        stain=stain,
        vectors=vectors,
        strength=strength,
        thickness=float(rng.uniform(0.02, 0.12)),
        white=white,
        matrix=matrix,
        gamma=float(np.exp(rng.normal(0, 0.08))),
        blur_um=float(rng.choice([0.12, 0.22, 0.35, 0.6], p=[0.3, 0.4, 0.2, 0.1])),
        noise=float(rng.uniform(0.8, 3.0)),
        jpeg=int(rng.integers(62, 96)) if jpeg else None,
    )


# What an antibody can mark: entity and share of its objects that take it.
MARKERS = (("tumor_cell", 0.3), ("epithelial_nuclei", 0.9), ("lymphocyte", 0.95), ("nuclei", 0.15))


def immunostain(canvas: Canvas) -> None:
    """Turn haematoxylin and eosin into an immunostain: brown marked nuclei, no eosin."""
    here = [m for m in MARKERS if m[0] in canvas.labels and canvas.labels[m[0]].any()]
    canvas.dye["eosin"] *= np.float32(0.06)
    canvas.dye["blood"] *= np.float32(0.3)
    if not here:
        return
    entity, share = here[int(canvas.rng.integers(len(here)))]
    labels = canvas.labels[entity]
    taken = canvas.rng.random(int(labels.max()) + 1) < share
    taken[0] = False
    depth = np.where(taken, canvas.rng.uniform(0.4, 1.1, len(taken)), 0).astype(np.float32)
    brown = fields.blur(np.take(depth, labels), canvas.px(0.3))
    canvas.dye["hematoxylin"] *= 1 - 0.7 * np.minimum(brown, 1)
    canvas.add("pigment", brown * (1 + 0.2 * canvas.noise(1.5, 2)))


def develop(
    rng: np.random.Generator, dye: dict[str, np.ndarray], mpp: float, look: Look
) -> np.ndarray:
    """Turn densities into a picture.

    Args:
        rng: source of randomness (thickness, noise).
        dye: optical density per dye, float32 (H, W), in the order of `canvas.DYES`.
        mpp: micrometres per pixel.
        look: how the section was stained and scanned.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = next(iter(dye.values())).shape
    shape = (height, width)
    thick = 1 + np.float32(look.thickness) * fields.fractal(rng, shape, 120 / mpp, 2)
    thick += np.float32(0.05) * fields.smooth(rng, shape, max(1.6 / mpp, 1.0))
    absorb = np.zeros((*shape, 3), np.float32)
    for density, direction, strength in zip(dye.values(), look.vectors, look.strength, strict=True):
        amount = density * thick
        for channel in range(3):
            absorb[..., channel] += amount * np.float32(direction[channel] * strength)
    light = np.exp(np.float32(-np.log(10)) * absorb)
    sigma = max(look.blur_um / mpp, 0.45)
    light = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    light = light @ look.matrix.T.astype(np.float32)
    light = np.clip(light, 0.004, 1.0) ** np.float32(look.gamma)
    picture = light * look.white.astype(np.float32)
    grain = fields.smooth(rng, shape, 1.0) * np.float32(look.noise)
    chroma = [fields.smooth(rng, shape, 1.7) * np.float32(0.6 * look.noise) for _ in range(2)]
    picture += np.stack([grain + chroma[0], grain, grain + chroma[1]], 2)
    image = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return image if look.jpeg is None else reencode(image, look.jpeg)


def reencode(image: np.ndarray, quality: int) -> np.ndarray:
    """A picture after JPEG compression, uint8 (H, W, 3)."""
    return cv2.imdecode(np.frombuffer(encode_jpeg(image, quality), np.uint8), 1)[..., ::-1].copy()


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """JPEG bytes of an RGB picture, uint8 (H, W, 3)."""
    done, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError("picture can't be encoded as JPEG")
    return data.tobytes()
