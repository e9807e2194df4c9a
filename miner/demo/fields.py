"""Random fields: smooth noise, fibres, cell borders."""

from __future__ import annotations

import cv2
import numpy as np


def smooth(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> np.ndarray:
    """Smooth noise with zero mean and about unit deviation.

    Args:
        rng: source of randomness.
        shape: (H, W).
        scale_px: correlation length in pixels, at least 1.

    Returns:
        float32 (H, W).
    """
    height, width = shape
    scale = max(scale_px, 1.0)
    if scale == 1.0:
        return rng.standard_normal(shape, dtype=np.float32)
    if scale >= 16:
        # Slow noise is drawn coarse: at 6 to 8 points per correlation length, then enlarged.
        factor = int(scale / 6)
        coarse = (height // factor + 2, width // factor + 2)
        size = (coarse[1] * factor, coarse[0] * factor)
        field = smooth(rng, coarse, scale / factor)
        return cv2.resize(field, size, interpolation=cv2.INTER_LINEAR)[:height, :width]
    rows, columns = int(height / scale) + 4, int(width / scale) + 4
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    high, wide = int(rows * scale), int(columns * scale)
    top, left = (int(d * scale) for d in 1 + rng.random(2))
    # Cubic interpolation loses a fifth of the deviation.
    field = cv2.resize(grid * np.float32(1.25), (wide, high), interpolation=cv2.INTER_CUBIC)
    return field[top : top + height, left : left + width]


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scale_px: float,
    octaves: int = 3,
    gain: float = 0.6,
) -> np.ndarray:
    """Sum of smooth noise at halving scales, about unit deviation, float32 (H, W)."""
    field = np.zeros(shape, np.float32)
    weight, power = 1.0, 0.0
    for _ in range(octaves):
        field += np.float32(weight) * smooth(rng, shape, scale_px)
        power += weight**2
        weight *= gain
        scale_px /= 2
        if scale_px < 1:
            break
    return field / np.float32(np.sqrt(power))


def fibres(
    rng: np.random.Generator,
    shape: tuple[int, int],
    length_px: float,
    width_px: float,
    angle: float,
    wave_px: float,
    wave: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:
    """Wavy bundles along a direction.

    Args:
        rng: source of randomness.
        shape: (H, W).
        length_px: correlation length along the fibres.
        width_px: correlation length across them.
        angle: main direction in radians, from x towards y.
        wave_px: wave length of their undulation.
        wave: its amplitude, relative to the wave length.

    Returns:
        The texture, float32 (H, W), about unit deviation; and the direction of the fibres at
        every pixel in radians, float32 (H, W).
    """
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = fractal(rng, shape, wave_px, 2) * np.float32(wave_px * wave)
    u = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    v = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle)) + bend
    vy, vx = np.gradient(v)
    direction = np.arctan2(-vx, vy).astype(np.float32)
    texture = np.zeros(shape, np.float32)
    size = 128
    for factor, weight in ((1.6, 0.55), (0.8, 0.6), (0.4, 0.5)):
        grid = rng.standard_normal((size, size), dtype=np.float32)
        # Mirrored twice, so that wrapping around has no seam.
        sx = np.abs((u / (length_px * factor)) % (2 * (size - 2)) - (size - 2))
        sy = np.abs((v / max(width_px * factor, 1.0)) % (2 * (size - 2)) - (size - 2))
        texture += np.float32(weight) * cv2.remap(grid, sx, sy, cv2.INTER_LINEAR)
    return texture * np.float32(1.25), direction


def nearest(shape: tuple[int, int], xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Voronoi cells of points.

    Args:
        shape: (H, W).
        xs: x of every point in pixels; points outside of the picture count too.
        ys: y of every point.

    Returns:
        int32 (H, W): 1 + index of the (about) nearest point; 0 when there are none.
    """
    height, width = shape
    if not len(xs):
        return np.zeros(shape, np.int32)
    pad = int(np.clip(0.15 * max(shape), 8, 64))
    free = np.ones((height + 2 * pad, width + 2 * pad), np.uint8)
    px = np.clip(np.round(xs).astype(int) + pad, 0, free.shape[1] - 1)
    py = np.clip(np.round(ys).astype(int) + pad, 0, free.shape[0] - 1)
    free[py, px] = 0
    _, cells = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # OpenCV numbers the zero pixels itself: translate to the index of the point.
    index = np.zeros(int(cells.max()) + 1, np.int32)
    index[cells[py, px]] = np.arange(1, len(xs) + 1)
    return index[cells[pad : pad + height, pad : pad + width]]


def borders(cells: np.ndarray) -> np.ndarray:
    """Where neighbouring pixels carry different labels, bool (H, W)."""
    edge = np.zeros(cells.shape, bool)
    across = cells[:, 1:] != cells[:, :-1]
    down = cells[1:] != cells[:-1]
    edge[:, 1:] |= across
    edge[1:] |= down
    return edge


def distance(mask: np.ndarray) -> np.ndarray:
    """Distance in pixels of every pixel in the mask to the nearest one outside, float32 (H, W)."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)


def blur(field: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur; the field itself when sigma is below a fifth of a pixel."""
    if sigma_px < 0.2:
        return field
    return cv2.GaussianBlur(field, (0, 0), float(sigma_px), borderType=cv2.BORDER_REFLECT)
