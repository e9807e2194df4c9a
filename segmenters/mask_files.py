"""Masks that someone already has: label-map PNGs or a COCO file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pydantic
from PIL import Image
from pycocotools import mask as coco

from miner.core.errors import Refused
from miner.core.parts import Part
from miner.core.settings import PartSettings
from ner.concepts import concepts
from segmenters.protocol import Candidate, Prompt, Segmenter

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


class MaskFilesConfig(PartSettings):
    """Masks that someone already has.

    Attributes:
        name: name in the ledger.
        path: folder with `<image stem>/<concept>.png` label maps, or a COCO JSON file with RLE
            or polygons.
        concepts: name in the files -> concept; names that are concepts need no entry.
    """

    kind: Literal["mask-files"] = "mask-files"
    name: str = "mask-files"
    path: str
    concepts: dict[str, str] = pydantic.Field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Located:
    """Which picture is asked about, and its size."""

    image_id: str
    height: int
    width: int


class MaskFilesSegmenter(Segmenter):
    """Answers from files; pictures without a file for a concept have no mask of it.

    A folder holds `<corpus>/<image stem>/<name>.png` or `<image stem>/<name>.png`, label maps of
    the picture's size (0 background). A COCO JSON file has RLE or polygon segmentations; its
    `file_name` is the picture's name in the corpus.

    Args:
        config: where the masks are, and which concept each name is.

    Raises:
        Refused: nothing there, or names that are no concepts.
    """

    def __init__(self, config: MaskFilesConfig):
        self.name = config.name
        path = Path(config.path).expanduser()
        if path.is_dir():
            found = _png_files(path)
        elif path.is_file():
            found = _coco_annotations(path, config.name)
        else:
            raise Refused(f"{config.name}.path: {config.path} is not there")
        self._by_image: dict[str, dict[str, list[Any]]] = {}
        for image, name, what in found:
            concept = _concept(name, config.concepts)
            if concept is not None:
                self._by_image.setdefault(image, {}).setdefault(concept, []).append(what)
        self._concepts = {concept for one in self._by_image.values() for concept in one}
        if not self._concepts:
            raise Refused(f"{config.name}.path: {config.path} has no masks of known concepts")

    def supports(self, concept: str) -> bool:
        """Whether any picture has masks of this concept."""
        return concept in self._concepts

    def encode(self, image: np.ndarray, mpp: float | None) -> Located:
        """Masks are found by the picture's name; see `encode_named`."""
        return Located("", image.shape[0], image.shape[1])

    def encode_named(self, image_id: str, image: np.ndarray, mpp: float | None) -> Located:
        """Note which picture is asked about.

        Args:
            image_id: "{corpus}/{image name}".
            image: uint8 (H, W, 3).
            mpp: not used.
        """
        return Located(image_id, image.shape[0], image.shape[1])

    def segment(self, encoded: Located, prompts: Sequence[Prompt]) -> list[Candidate]:
        """Answer each prompt, in order."""
        corpus, _, image = encoded.image_id.partition("/")
        # Slide names have dots too, so only a picture's suffix is cut off.
        suffix = PurePosixPath(image).suffix.lower()
        stem = image[: -len(suffix)] if suffix in SUFFIXES else image
        names = (f"{corpus}/{image}", f"{corpus}/{stem}", image, stem)
        known = next((self._by_image[n] for n in names if n in self._by_image), {})
        return [self._answer(known.get(p.concept, []), encoded, p) for p in prompts]

    def _answer(self, found: Sequence[Any], at: Located, prompt: Prompt) -> Candidate:
        labels = np.zeros((at.height, at.width), np.int32)
        for what in found:
            more = _read(what, at)
            if more.shape != labels.shape:
                raise ValueError(f"{self.name}: mask {more.shape} for a picture {labels.shape}")
            labels = np.where(more > 0, more + labels.max(), labels)
        if not labels.any():
            return Candidate(prompt.concept, prompt.wordings[0], None, reason="empty")
        countable = prompt.kind == "object"
        return Candidate(
            prompt.concept, prompt.wordings[0], labels > 0, labels if countable else None, 1.0
        )


def _concept(name: str, table: Mapping[str, str]) -> str | None:
    """Concept of a name in the files: by the configured table, or as it stands."""
    plain = table.get(name, name).replace("_", " ").lower()
    if plain in concepts():
        return plain
    return next((c.name for c in concepts().values() if plain in c.forms), None)


def _png_files(folder: Path) -> list[tuple[str, str, Any]]:
    """(image, name, file) of every PNG below a folder, sorted."""
    return [
        (path.parent.relative_to(folder).as_posix(), path.stem, path)
        for path in sorted(folder.rglob("*.png"))
        if path.parent != folder
    ]


def _coco_annotations(path: Path, field: str) -> list[tuple[str, str, Any]]:
    """(image, category, segmentations of one annotation) of a COCO file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = {one["id"]: one["file_name"] for one in content["images"]}
        names = {one["id"]: one["name"] for one in content["categories"]}
        return [
            (images[one["image_id"]], names[one["category_id"]], one["segmentation"])
            for one in content["annotations"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{field}.path: {path} is no COCO file ({error!r})") from None


def _read(what: Any, at: Located) -> np.ndarray:
    """Label map int32 (H, W) of a PNG file, or of one COCO segmentation (label 1)."""
    if isinstance(what, Path):
        with Image.open(what) as image:
            values = np.asarray(image)
        return (values if values.ndim == 2 else values[..., 0]).astype(np.int32)
    encoded = coco.frPyObjects(what, at.height, at.width) if _raw(what) else what
    decoded = coco.decode(encoded)
    layers = decoded[..., None] if decoded.ndim == 2 else decoded
    return layers.any(axis=2).astype(np.int32)


def _raw(segmentation: Any) -> bool:
    """Whether a segmentation is a polygon list or an uncompressed RLE."""
    return isinstance(segmentation, list) or isinstance(segmentation["counts"], list)


PART = Part(
    kind="mask-files",
    Settings=MaskFilesConfig,
    build=lambda config, threads: MaskFilesSegmenter(config),
)
