"""The whole network; its tensors are named as in the released checkpoint."""

from __future__ import annotations

from torch import nn

from segmenters.biomedparse.backbone import FocalNet
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.decoder import Decoder
from segmenters.biomedparse.pixel_decoder import PixelDecoder


class SegmentationHead(nn.Module):
    """Pixel decoder and decoder ("predictor" in the checkpoint)."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.pixel_decoder = PixelDecoder(sizes)
        self.predictor = Decoder(sizes)


class Network(nn.Module):
    """Image encoder, pixel decoder, and the decoder with its text encoder."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.backbone = FocalNet(sizes)
        self.sem_seg_head = SegmentationHead(sizes)

    @property
    def pixel_decoder(self) -> PixelDecoder:
        """Backbone maps to mask features and memories."""
        return self.sem_seg_head.pixel_decoder

    @property
    def decoder(self) -> Decoder:
        """Memories and prompt tokens to queries."""
        return self.sem_seg_head.predictor
