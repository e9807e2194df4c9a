"""The small CLIP: a convolutional image tower, a text tower over hashed n-grams, region pooling.

The image tower keeps a dense map of features, so one forward pass serves every region of a picture.
The text tower needs no vocabulary file: a word is the mean of embeddings of itself and of its
character trigrams, each found by hashing, so any text has an embedding.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

STRIDE = 4  # pixels per cell of the dense map
MULTIPLE = 16  # sides of the input are multiples of this
BUCKETS = 8192
MAX_WORDS = 16
WIDTHS = (24, 48, 96, 128)  # channels at 1/2, 1/4, 1/8 and 1/16 of the picture
DENSE = 64
DIM = 128
WORD_DIM = 64

_WORD = re.compile(r"[a-z0-9&]+")


def word_ids(text: str) -> list[list[int]]:
    """Buckets of every word of a text: the word's own and those of its trigrams."""
    out = []
    for word in _WORD.findall(text.lower())[:MAX_WORDS]:
        padded = f"<{word}>"
        parts = [padded, *(padded[i : i + 3] for i in range(len(padded) - 2))]
        out.append([1 + zlib.crc32(part.encode()) % (BUCKETS - 1) for part in parts])
    return out or [[1]]


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same shape, float (n, channels, h, w)."""
        return torch.relu(x + self.body(x))


def _down(wide: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class ImageTower(nn.Module):
    """Picture to dense features at `STRIDE`, and regions of them to embeddings."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.level1 = _down(3, a)
        self.level2 = nn.Sequential(_down(a, b), Residual(b))
        self.level3 = nn.Sequential(_down(b, c), Residual(c), Residual(c))
        self.level4 = nn.Sequential(_down(c, d), Residual(d), Residual(d))
        self.lateral = nn.ModuleList(nn.Conv2d(wide, DENSE, 1) for wide in (b, c, d))
        self.smooth = nn.Sequential(
            nn.Conv2d(DENSE, DENSE, 3, padding=1, bias=False), nn.BatchNorm2d(DENSE), nn.ReLU()
        )
        self.head = nn.Sequential(
            nn.LayerNorm(2 * DENSE), nn.Linear(2 * DENSE, 256), nn.GELU(), nn.Linear(256, DIM)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Dense features.

        Args:
            x: float (n, 3, H, W), RGB, -1..1; H and W multiples of `MULTIPLE`.

        Returns:
            float (n, DENSE, H / STRIDE, W / STRIDE).
        """
        quarter = self.level2(self.level1(x))
        eighth = self.level3(quarter)
        sixteenth = self.lateral[2](self.level4(eighth))
        eighth = self.lateral[1](eighth) + nn.functional.interpolate(sixteenth, scale_factor=2.0)
        summed = self.lateral[0](quarter) + nn.functional.interpolate(eighth, scale_factor=2.0)
        return self.smooth(summed)

    def embed(self, inside: Tensor, around: Tensor) -> Tensor:
        """Embedding of regions, float (n, DIM), L2-normalised.

        Args:
            inside: float (n, DENSE), mean features of the regions.
            around: float (n, DENSE), mean features of their surroundings.
        """
        return nn.functional.normalize(self.head(torch.cat([inside, around], dim=1)), dim=1)


class TextTower(nn.Module):
    """Text to embedding: hashed n-grams, one transformer layer, mean over the words."""

    def __init__(self) -> None:
        super().__init__()
        self.grams = nn.Embedding(BUCKETS, WORD_DIM, padding_idx=0)
        self.place = nn.Parameter(torch.zeros(MAX_WORDS, WORD_DIM))
        self.mix = nn.TransformerEncoderLayer(
            WORD_DIM, 4, 2 * WORD_DIM, dropout=0.0, activation="gelu", batch_first=True
        )
        self.out = nn.Linear(WORD_DIM, DIM)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts, float (n, DIM), L2-normalised."""
        words = [word_ids(text) for text in texts]
        longest = max(len(w) for w in words)
        most = max(len(parts) for w in words for parts in w)
        ids = torch.zeros(len(words), longest, most, dtype=torch.long)
        for i, text in enumerate(words):
            for j, parts in enumerate(text):
                ids[i, j, : len(parts)] = torch.tensor(parts)
        used = ids > 0
        count = used.sum(dim=2, keepdim=True)
        x = self.grams(ids).sum(dim=2) / count.clamp(min=1) + self.place[:longest]
        present = used.any(dim=2)
        x = self.mix(x, src_key_padding_mask=~present)
        x = (x * present[:, :, None]).sum(dim=1) / present.sum(dim=1, keepdim=True)
        return nn.functional.normalize(self.out(x), dim=1)


class SmallClip(nn.Module):
    """Both towers, and the scale and bias of the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.image = ImageTower()
        self.text = TextTower()
        self.scale = nn.Parameter(torch.tensor(10.0).log())
        self.bias = nn.Parameter(torch.tensor(-5.0))
