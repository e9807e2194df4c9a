"""Prediction: encode a picture once, decode any number of prompts."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from miner.core.errors import Refused
from segmenters.biomedparse import weights
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.decoder import Memory
from segmenters.biomedparse.model import Network
from segmenters.biomedparse.tokenizer import Tokenizer
from segmenters.rgb import as_rgb

log = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "fp16", "bf16"]

PIXEL_MEAN = (123.675, 116.280, 103.530)
PIXEL_STD = (58.395, 57.120, 57.375)


@dataclasses.dataclass(frozen=True)
class Features:
    """One encoded picture; about 220 MB at full size in fp32.

    Attributes:
        size: height and width of the picture in px.
        memory: what the decoder reads.
    """

    size: tuple[int, int]
    memory: Memory


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to n prompts about one picture, in their order.

    Attributes:
        prob: float32 (n, H, W) in 0..1, at the size of the picture.
        query: int64 (n,), the matched object query.
        logits: float32 (n, h, w) before the sigmoid, at a quarter of the model's input size.
        similarity: float32 (n,), cosine of prompt and matched query times the logit scale.
        shared: bool (n,), True where another prompt of the call matched the same query; such
            prompts may have the very same mask.
        truncated: bool (n,), True where the prompt was longer than the context.
        fell_back: the prompts were decoded one at a time for want of memory.
    """

    prob: Tensor
    query: Tensor
    logits: Tensor
    similarity: Tensor
    shared: Tensor
    truncated: Tensor
    fell_back: bool = False


class BiomedParse:
    """BiomedParse v1 for text prompts.

    Prompts never meet: each is a row of the decoder's batch, since prompts decoded jointly change
    each other's masks. Use `from_checkpoint` to make one.

    Args:
        network: the loaded network, on its device.
        sizes: what it was built to.
        tokenizer: prompts to ids.
        precision: number format of a GPU's matrix products, "auto" for bf16 where it multiplies in
            it; a CPU always uses fp32. All but "fp32" let a GPU round fp32 products to TF32.
        batch: prompts decoded at once; a GPU always computes so many, so that an answer does not
            depend on the others. Where a GPU's memory does not suffice for a call, its
            prompts are decoded one at a time, and the answer says so; results differ by rounding.
        channels_last: memory layout of the image encoder's convolutions; so on a GPU when left out.
        compile: run the image encoder through `torch.compile`.
    """

    def __init__(
        self,
        network: Network,
        sizes: Sizes,
        tokenizer: Tokenizer,
        precision: Precision = "auto",
        batch: int = 16,
        channels_last: bool | None = None,
        compile: bool = False,
    ):
        self.network = network
        self.sizes = sizes
        self.tokenizer = tokenizer
        self.batch = batch
        self.device = next(network.parameters()).device
        gpu = self.device.type != "cpu"
        formats = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}
        if precision == "auto":
            precision = "bf16" if gpu and torch.cuda.is_bf16_supported(False) else "fp32"
        self._format = formats[precision] if gpu else None
        if self._format is not None:
            torch.set_float32_matmul_precision("high")
        self._padded = gpu
        self._channels_last = gpu if channels_last is None else channels_last
        if self._channels_last:
            for convolution in network.backbone.modules():
                if isinstance(convolution, torch.nn.Conv2d):
                    weight = convolution.weight.contiguous(memory_format=torch.channels_last)
                    convolution.weight = torch.nn.Parameter(weight, requires_grad=False)
        self._backbone = torch.compile(network.backbone) if compile else network.backbone
        self._texts: dict[str, tuple[Tensor, bool]] = {}
        if compile:
            self._warm_up()

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        device: str = "cpu",
        sizes: Sizes | None = None,
        tokenizer: str = "",
        sha256: str = "",
        precision: Precision = "auto",
        batch: int = 16,
        channels_last: bool | None = None,
        compile: bool = False,
    ) -> BiomedParse:
        """Load `biomedparse_v1.pt`.

        Args:
            path: the file, its folder, or a hub repository id.
            device: "cpu", "cuda", "cuda:1" ...
            sizes: of a reduced model; the released sizes, or those in the file, when left out.
            tokenizer: folder or hub id; the vocabulary of `instant-clip-tokenizer` when empty.
            sha256: expected checksum, not checked when empty.
            precision: as for the class, and so are the others.
            batch: prompts decoded at once.
            channels_last: memory layout of the image encoder.
            compile: whether to compile the image encoder.

        Raises:
            Refused: no checkpoint there, not v1's, damaged, of another checksum, or no such
                device.
        """
        check_device(device)
        file = weights.find(os.fspath(path))
        if sha256 and weights.checksum(file) != sha256.lower():
            raise Refused(f"biomedparse.sha256: {file} has another checksum")
        tensors, sizes = weights.open_checkpoint(file, sizes)
        network = weights.build(tensors, sizes, str(file)).to(device)
        words = Tokenizer(tokenizer, sizes.context)
        return cls(network, sizes, words, precision, batch, channels_last, compile)

    def _warm_up(self) -> None:
        """Compile now, so that a machine that cannot is refused before the first picture."""
        try:
            self.encode(np.zeros((8, 8, 3), np.uint8))
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise Refused(
                f"biomedparse.compile: torch.compile fails here ({type(error).__name__}: {reason})"
            ) from None

    @torch.inference_mode()
    def encode(self, image: Image.Image | np.ndarray) -> Features:
        """Encode a picture for any number of prompts.

        Args:
            image: PIL image of any mode, or uint8 (H, W, 3) RGB.
        """
        (features,) = self.encode_all([image], 1)
        return features

    @torch.inference_mode()
    def encode_all(
        self, images: Sequence[Image.Image | np.ndarray], at_once: int
    ) -> list[Features]:
        """Encode several pictures, each as `encode` takes it.

        Args:
            images: at most `at_once`.
            at_once: how many the network computes; on a GPU never fewer.
        """
        pictures = [as_rgb(image) for image in images]
        x = torch.cat([self.preprocess(rgb) for rgb in pictures])
        if self._padded and len(pictures) < at_once:
            x = F.pad(x, (0, 0, 0, 0, 0, 0, 0, at_once - len(pictures)))
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            mask_features, levels = self.network.pixel_decoder(self._backbone(x))
        return [
            Features(
                (rgb.shape[0], rgb.shape[1]),
                Memory.of(
                    mask_features[i : i + 1].float(),
                    [level[i : i + 1].float() for level in levels],
                ),
            )
            for i, rgb in enumerate(pictures)
        ]

    def preprocess(self, rgb: np.ndarray) -> Tensor:
        """The network's input, float32 (1, 3, S, S), of a picture uint8 (H, W, 3).

        The picture is squeezed to a square, and by PIL on 8 bits: torch's bicubic differs enough
        to move probabilities by .02.
        """
        side = self.sizes.image_size
        square = Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC)
        x = torch.from_numpy(np.array(square)).permute(2, 0, 1).to(self.device)
        mean = torch.tensor(PIXEL_MEAN, device=self.device).view(3, 1, 1)
        std = torch.tensor(PIXEL_STD, device=self.device).view(3, 1, 1)
        return ((x - mean) / std)[None]

    @torch.inference_mode()
    def decode(self, features: Features, prompts: Sequence[str] | str) -> Answer:
        """Answer prompts about an encoded picture.

        Args:
            features: what `encode` returned.
            prompts: phrases, such as "neoplastic cells in breast pathology", or a single one.

        Raises:
            ValueError: a prompt is empty.
        """
        if isinstance(prompts, str):
            prompts = [prompts]
        texts = [self.embed(prompt) for prompt in prompts]
        tokens = [text for text, _ in texts]
        fell_back = False
        try:
            parts = self._in_batches(features.memory, tokens, self.batch)
        except torch.OutOfMemoryError:
            if min(self.batch, len(tokens)) == 1:
                raise
            log.warning("out of memory with %d prompts at once, decoding one by one", self.batch)
            fell_back = True
            parts = self._in_batches(features.memory, tokens, 1)
        height, width = features.memory.mask_features.shape[-2:]
        logits = torch.cat([torch.empty(0, height, width), *(logits for logits, _, _ in parts)])
        empty = torch.empty(0, dtype=torch.int64)
        query = torch.cat([empty, *(query for _, query, _ in parts)])
        similarity = torch.cat([torch.empty(0), *(similarity for _, _, similarity in parts)])
        return Answer(
            prob=self._resize(logits, features.size),
            query=query,
            logits=logits,
            similarity=similarity,
            shared=torch.tensor([int((query == q).sum()) > 1 for q in query], dtype=torch.bool),
            truncated=torch.tensor([cut for _, cut in texts], dtype=torch.bool),
            fell_back=fell_back,
        )

    @torch.inference_mode()
    def embed(self, prompt: str) -> tuple[Tensor, bool]:
        """Token embeddings (T, proj_dim) of a prompt, and whether it was cut; kept for the run.

        The embedding of its last token, the end token, stands for the whole prompt.

        Raises:
            ValueError: the prompt is empty.
        """
        if prompt not in self._texts:
            ids, cut = self.tokenizer(prompt)
            with self._autocast():
                tokens = self.network.decoder.lang_encoder(torch.tensor([ids], device=self.device))
            self._texts[prompt] = tokens[0].float(), cut
        return self._texts[prompt]

    def _in_batches(
        self, memory: Memory, tokens: Sequence[Tensor], batch: int
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        starts = range(0, len(tokens), batch)
        return [self._decode_rows(memory, tokens[start : start + batch], batch) for start in starts]

    def _decode_rows(
        self, memory: Memory, tokens: Sequence[Tensor], batch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, h, w), matched queries (n,) and similarities (n,) on the CPU."""
        asked = len(tokens)
        if self._padded:
            tokens = [*tokens, *[tokens[0]] * (batch - asked)]
        padded = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True)
        if self._padded:
            padded = F.pad(padded, (0, 0, 0, self.sizes.context - padded.shape[1]))
        lengths = torch.tensor([len(t) for t in tokens], device=self.device)
        real = torch.arange(padded.shape[1], device=self.device) < lengths[:, None]
        with self._autocast():
            captions, masks = self.network.decoder(memory, padded, real)
        ends = torch.stack([t[-1] for t in tokens])
        scores = self.network.decoder.lang_encoder.similarity(captions.float(), ends[:, None])
        similarity, query = scores[..., 0].max(dim=1)
        # Masks are built for the matched queries only.
        chosen = masks.float()[torch.arange(len(tokens), device=self.device), query]
        logits = torch.einsum("nc,chw->nhw", chosen, memory.mask_features[0])
        return logits[:asked].cpu(), query[:asked].cpu(), similarity[:asked].cpu()

    def _resize(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Probabilities at the size of the picture."""
        if not len(logits):
            return torch.empty(0, *size)
        resized = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)
        return resized[0].sigmoid_()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=self._format, enabled=self._format is not None
        )


def check_device(device: str) -> None:
    """Refuse a device that this machine or this torch does not have.

    Raises:
        Refused: always with one line that names the field.
    """
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise Refused(f"device: {device} is no torch device") from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise Refused(f"device: {device} asked for, but torch sees no GPU here; use cpu")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise Refused(f"device: {device} asked for, but there are {torch.cuda.device_count()} GPUs")
