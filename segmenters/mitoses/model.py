"""The network that tells figures apart: the first stages of the encoder and their mean."""

from __future__ import annotations

import pathlib

import cv2
import numpy as np
import torch
from torch import nn

from miner.core.bfloat16 import autocast
from miner.core.convolutions import ready
from segmenters.mitoses import FIGURES
from segmenters.regions.model import STAGES, Encoder
from segmenters.unet.weights import FOLDER, filled

FILE = FOLDER / "mitoses.pt"
KINDS = ("other", *FIGURES)
# um per pixel and side of what is looked at.
MPP = 0.25
CROP_PX = 64
_STAGES = 5
_BATCH = 32


class FigureNet(nn.Module):
    """Logits of `KINDS` of what lies in the middle of a crop."""

    def __init__(self) -> None:
        """Lay out the layers."""
        super().__init__()
        self.encoder = Encoder(_STAGES)
        self.head = nn.Linear(2 * STAGES[_STAGES - 1][4], len(KINDS))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits, float32 (n, kinds).

        Args:
            pixels: float32 (n, 3, `CROP_PX`, `CROP_PX`), RGB, 0..1.
        """
        deep = self.encoder(pixels)[-1]
        # The four cells in the middle are the figure, all of them its surroundings.
        middle = deep[:, :, 1:3, 1:3].mean((2, 3))
        return self.head(torch.cat([middle, deep.mean((2, 3))], dim=1))


def load(path: pathlib.Path = FILE) -> FigureNet:
    """The network ready to predict.

    Args:
        path: the file.

    Raises:
        Refused: the file is damaged, or does not hold the weights of this network.
    """
    return ready(filled(FigureNet(), path))


def crop(image: np.ndarray, y: float, x: float, factor: float) -> np.ndarray:
    """What lies around a point, uint8 (`CROP_PX`, `CROP_PX`, 3).

    Args:
        image: uint8 (H, W, 3), RGB.
        y: row of the point.
        x: column of the point.
        factor: pixels of the crop per pixel of the picture.
    """
    half = CROP_PX / 2 - 0.5
    view = np.array([[factor, 0, half - factor * x], [0, factor, half - factor * y]])
    return cv2.warpAffine(
        image,
        view,
        (CROP_PX, CROP_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def classify(model: FigureNet, crops: np.ndarray) -> np.ndarray:
    """Probabilities of `KINDS`, float32 (n, 3).

    Args:
        model: the network.
        crops: uint8 (n, `CROP_PX`, `CROP_PX`, 3), RGB.
    """
    found = [np.zeros((0, len(KINDS)), np.float32)]
    for first in range(0, len(crops), _BATCH):
        pixels = torch.from_numpy(crops[first : first + _BATCH]).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            with autocast():
                logits = model(pixels.contiguous(memory_format=torch.channels_last)).float()
            found.append(torch.softmax(logits, dim=1).numpy())
    return np.concatenate(found)
