"""A closed-vocabulary expert, saved as TorchScript or ONNX, as a segmenter.

For nuclei such experts (of the kind of InstanSeg, HoVer-Net, CellViT) beat every text-prompted
model; a table says which concept each of their classes is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pydantic
from numpy.typing import NDArray

from miner.core.errors import Refused
from miner.core.extras import installed
from miner.core.parts import Part
from miner.core.settings import Files, PartSettings
from ner.concepts import concepts
from segmenters.probability import RegionConfig, to_region
from segmenters.protocol import Candidate, Prompt, Segmenter
from segmenters.tiling import Blend, TileBox, grid, merge_labels

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class ExportedConfig(PartSettings):
    """A closed-vocabulary expert saved as TorchScript or ONNX.

    Attributes:
        name: name in the ledger.
        model: the file, `.pt` or `.onnx`.
        sha256: of a TorchScript file, which is a program that may read and write files: it runs
            only if it is the one that you trust. ONNX files need none.
        classes: concept of each output channel, or of each value of a class map; several where a
            class is more than one thing ([tumor cell, nucleus]). More general concepts of the
            table need not be listed.
        output: "probabilities" (n, C, h, w), "logits" of that shape, or "instances" (n, 1 or 2,
            h, w): a label map, and a class map after it where there is one.
        mpp: um per pixel the model was trained at; a picture of unknown scale is taken to have it.
        tile_px: side of the square the model takes.
        overlap: share of a tile's side that it shares with its neighbour.
        mean: subtracted from 0-255 RGB.
        std: divided by, after the mean.
        device: as for the others; ONNX models run on the CPU.
        regions: from probability to regions.
    """

    kind: Literal["exported"] = "exported"
    name: str = "exported"
    model: str
    sha256: str = pydantic.Field("", pattern="^([0-9a-f]{64})?$")
    classes: dict[int, str | tuple[str, ...]]
    output: Literal["probabilities", "logits", "instances"] = "probabilities"
    mpp: float = pydantic.Field(default=0.5, gt=0)
    tile_px: int = pydantic.Field(default=256, ge=16)
    overlap: float = pydantic.Field(default=0.25, ge=0, le=0.5)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    device: str = "cpu"
    regions: RegionConfig = RegionConfig()

    def incidental(self) -> Set[str]:
        """The file itself counts, by its content."""
        return {"sha256"}

    def files(self) -> Mapping[str, Files]:
        """The expert."""
        return {"model": {"": self.model}}


@dataclasses.dataclass(frozen=True)
class Expertise:
    """What the expert says about one picture, at the picture's size.

    Attributes:
        mpp: um per px of the picture, assumed where unknown.
        probs: float32 (H, W) per class, for models that give probabilities.
        labels: int32 (H, W), for models that give instances.
        classes: class of each label, index 0 unused.
    """

    mpp: float
    probs: dict[int, np.ndarray]
    labels: np.ndarray | None = None
    classes: np.ndarray | None = None


class ExportedSegmenter(Segmenter):
    """Runs the expert once a picture, whatever is asked.

    Args:
        config: file, classes, scale.
        threads: threads of the ONNX runtime.

    Raises:
        Refused: no such file, not readable, an unknown concept, or no such device.
    """

    def __init__(self, config: ExportedConfig, threads: int = 1):
        self.name = config.name
        self.config = config
        self._concepts = {
            number: (names,) if isinstance(names, str) else tuple(names)
            for number, names in sorted(config.classes.items())
        }
        named = {name for names in self._concepts.values() for name in names}
        unknown = sorted(named - concepts().keys())
        if unknown:
            raise Refused(f"{config.name}.classes: {unknown[0]} is not in the concept table")
        self._network = load(config, threads)

    def supports(self, concept: str) -> bool:
        """Whether a class is this concept or a kind of it."""
        return bool(self._classes(concept))

    def _classes(self, concept: str) -> list[int]:
        return [
            number
            for number, names in self._concepts.items()
            if any(concept in _lineage(name) for name in names)
        ]

    def encode(self, image: np.ndarray, mpp: float | None) -> Expertise:
        """Run the expert over the picture at the scale it was trained at.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per px, None when unknown.
        """
        config = self.config
        scale = (mpp or config.mpp) / config.mpp
        height, width = image.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        resized = (
            image if size == (width, height) else cv2.resize(image, size, interpolation=shrink)
        )
        tiles = grid(resized.shape[0], resized.shape[1], config.tile_px, config.overlap)
        outputs = [(tile, self._run(resized[tile.at])) for tile in tiles]
        if config.output == "instances":
            return self._instances(outputs, resized.shape[:2], (height, width), mpp)
        return self._probabilities(outputs, resized.shape[:2], (height, width), mpp)

    def _run(self, tile: np.ndarray) -> np.ndarray:
        """The network's output (C, h, w) for a tile, uint8 (h, w, 3), padded by mirroring."""
        side, (height, width) = self.config.tile_px, tile.shape[:2]
        border = cv2.BORDER_REFLECT if min(height, width) > 1 else cv2.BORDER_REPLICATE
        square = cv2.copyMakeBorder(tile, 0, side - height, 0, side - width, border)
        x = (square.astype(np.float32) - self.config.mean) / self.config.std
        output = self._network(np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32))[0]
        if output.ndim == 2:
            output = output[None]
        if output.ndim != 3 or output.shape[1:] != (side, side):
            raise ValueError(
                f"{self.name}: the model gave shape {output.shape}, not (C, {side}, {side})"
            )
        return output[:, :height, :width]

    def _probabilities(
        self,
        outputs: Sequence[tuple[TileBox, np.ndarray]],
        inner: tuple[int, ...],
        size: tuple[int, int],
        mpp: float | None,
    ) -> Expertise:
        blends = {number: Blend(inner[0], inner[1]) for number in sorted(self.config.classes)}
        for tile, output in outputs:
            probs = _squash(output) if self.config.output == "logits" else output
            for number, blend in blends.items():
                if number >= len(probs):
                    raise ValueError(f"{self.name}: no channel {number} in {len(probs)}")
                blend.add(tile, probs[number])
        maps = {
            number: cv2.resize(blend.result(), size[::-1], interpolation=cv2.INTER_LINEAR)
            for number, blend in blends.items()
        }
        return Expertise(mpp or self.config.mpp, maps)

    def _instances(
        self,
        outputs: Sequence[tuple[TileBox, np.ndarray]],
        inner: tuple[int, ...],
        size: tuple[int, int],
        mpp: float | None,
    ) -> Expertise:
        parts = [(tile, output[0].round().astype(np.int32)) for tile, output in outputs]
        labels = merge_labels(inner[0], inner[1], parts)
        kinds = np.full(inner, min(self.config.classes), np.int32)
        for tile, output in outputs:
            if len(output) > 1:
                kinds[tile.at] = output[1].round().astype(np.int32)
        count = int(labels.max(initial=0))
        classes = np.zeros(count + 1, np.int32)
        inside = labels > 0
        if count:
            votes = np.zeros((count + 1, int(kinds.max()) + 1), np.int64)
            np.add.at(votes, (labels[inside], np.maximum(kinds[inside], 0)), 1)
            classes = votes.argmax(axis=1).astype(np.int32)
        full = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
        return Expertise(mpp or self.config.mpp, {}, full, classes)

    def segment(self, encoded: Expertise, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order, from what `encode` found."""
        return [self._answer(encoded, prompt) for prompt in prompts]

    def _answer(self, found: Expertise, prompt: Prompt) -> Candidate:
        numbers = self._classes(prompt.concept)
        phrase = self._concepts[numbers[0]][0] if numbers else prompt.wordings[0]
        if not numbers:
            return Candidate(prompt.concept, phrase, None, reason="unsupported")
        if found.labels is not None and found.classes is not None:
            wanted = np.isin(found.classes, numbers)
            wanted[0] = False
            labels = np.where(wanted[found.labels], found.labels, 0).astype(np.int32)
            mask, confidence = labels > 0, 1.0
        else:
            # Subtypes exclude each other, so the chance of any of them is the sum.
            prob = np.sum([found.probs[n] for n in numbers], axis=0, dtype=np.float32).clip(0, 1)
            size_um = concepts()[prompt.concept].size_um
            mask, split = to_region(prob, prompt.kind, self.config.regions, found.mpp, size_um)
            labels = split if split is not None else mask.astype(np.int32)
            confidence = float(prob[mask].mean()) if mask.any() else float(prob.max(initial=0))
        if not mask.any():
            return Candidate(prompt.concept, phrase, None, confidence=0.0, reason="empty")
        countable = prompt.kind == "object"
        return Candidate(prompt.concept, phrase, mask, labels if countable else None, confidence)


def _lineage(concept: str) -> list[str]:
    """A concept, its parent, that one's parent, and so on."""
    lineage = [concept]
    parent = concepts()[concept].parent
    while parent is not None and parent not in lineage:
        lineage.append(parent)
        parent = concepts()[parent].parent
    return lineage


def _squash(logits: np.ndarray) -> np.ndarray:
    """Probabilities (C, h, w): softmax over several channels, sigmoid of a single one."""
    if len(logits) == 1:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def load(config: ExportedConfig, threads: int) -> Network:
    """The network as a function of float32 (1, 3, h, w).

    Raises:
        Refused: no such file, not readable, not the TorchScript file that is trusted, no ONNX
            runtime, or no such device.
    """
    path, field = Path(config.model).expanduser(), f"{config.name}.model"
    if not path.is_file():
        raise Refused(f"{field}: {config.model} is not there")
    return (_onnx if path.suffix == ".onnx" else _torchscript)(path, field, config, threads)


def _torchscript(path: Path, field: str, config: ExportedConfig, threads: int) -> Network:
    import torch

    from segmenters.biomedparse.predict import check_device

    check_device(config.device)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != config.sha256:
        raise Refused(
            f"{config.name}.sha256: {path} is TorchScript, a program that may read and write files;"
            f" if you trust whoever made it, set sha256: {digest}"
        )
    try:
        module = torch.jit.load(io.BytesIO(content), map_location=config.device).eval()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"{field}: {path} is no TorchScript file ({reason})") from None

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = module(torch.from_numpy(x).to(config.device))
        if isinstance(output, tuple | list):
            output = output[0]
        return output.float().cpu().numpy()

    return run


def _onnx(path: Path, field: str, config: ExportedConfig, threads: int) -> Network:
    with installed():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's own exceptions have no common base
        reason = str(error).splitlines()[0]
        raise Refused(f"{field}: {path} is no ONNX file ({reason})") from None
    name = session.get_inputs()[0].name

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {name: x})[0], np.float32)

    return run


PART = Part(
    kind="exported",
    Settings=ExportedConfig,
    build=ExportedSegmenter,
)
