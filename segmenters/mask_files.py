"""Masks that someone already has: label-map PNGs or a COCO file."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pydantic

from miner.core.errors import Refused
from miner.core.names import hidden, plain
from miner.core.parts import Part
from miner.core.settings import Files, PartSettings, files_at
from ner.concepts import concepts
from segmenters.coco_masks import Outline, read_coco
from segmenters.label_maps import BadMask, read_label_map
from segmenters.protocol import Candidate, Prompt, Segmenter

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


Mask = Path | Outline | BadMask


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

    def files(self) -> Mapping[str, Files]:
        """The masks."""
        return {"path": files_at(self.path, pattern="**/*.png")}


@dataclasses.dataclass(frozen=True)
class Located:
    """Which picture is asked about, and its size."""

    image_id: str
    height: int
    width: int


class MaskFilesSegmenter(Segmenter):
    """Answers from files; pictures without a file for a concept have no mask of it.

    A folder holds `<corpus>/<image stem>/<name>.png` or `<image stem>/<name>.png`, label maps of
    the picture's size. A COCO JSON file has RLE or polygon segmentations; its `file_name` is the
    picture's name in the corpus, with any folders before it. What was drawn at another size is
    scaled where the file's `images` state it. A mask that cannot be used costs itself.

    Args:
        config: where the masks are, and which concept each name is.

    Raises:
        Refused: nothing there, or names that are no concepts.
    """

    def __init__(self, config: MaskFilesConfig):
        self.name = config.name
        path = Path(config.path).expanduser()
        found: Sequence[tuple[str, str, Mask]]
        if path.is_dir():
            found = _png_files(path)
        elif path.is_file():
            found = [(_name(i), name, what) for i, name, what in read_coco(path, config.name)]
            bad = sum(isinstance(what, BadMask) for _, _, what in found)
            if bad:
                log.warning("%s: %s: no outline in %d of %d", self.name, path, bad, len(found))
        else:
            raise Refused(f"{config.name}.path: {config.path} is not there")
        self._by_image: dict[str, dict[str, list[Mask]]] = {}
        self._by_base: dict[str, list[str]] = {}
        for image, name, what in found:
            concept = _concept(name, config.concepts)
            if concept is not None:
                self._by_image.setdefault(image, {}).setdefault(concept, []).append(what)
        for image in self._by_image if path.is_file() else ():
            self._by_base.setdefault(image.rpartition("/")[2], []).append(image)
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
        image = self._image(encoded.image_id)
        if image is None:
            return [_refusal(p, "ambiguous_name") for p in prompts]
        known = self._by_image.get(image, {})
        return [self._answer(known.get(p.concept, []), encoded, p) for p in prompts]

    def _image(self, image_id: str) -> str | None:
        """Which picture of the files that is, "" for none of them, None for several."""
        corpus, _, image = plain(image_id).partition("/")
        # Slide names have dots too, so only a picture's suffix is cut off.
        suffix = PurePosixPath(image).suffix.lower()
        stem = image[: -len(suffix)] if suffix in SUFFIXES else image
        for name in (f"{corpus}/{image}", f"{corpus}/{stem}", image, stem):
            if name in self._by_image:
                return name
        same_base = self._by_base.get(image.rpartition("/")[2], [])
        deeper = [name for name in same_base if name.endswith(f"/{image}")]
        return None if len(deeper) > 1 else "".join(deeper)

    def _answer(self, found: Sequence[Mask], at: Located, prompt: Prompt) -> Candidate:
        labels = np.zeros((at.height, at.width), np.int32)
        told_apart = prompt.kind == "object"
        faults = []
        for what in found:
            if isinstance(what, BadMask):
                faults.append(str(what))
                continue
            try:
                if isinstance(what, Outline):
                    more = what.draw(at.height, at.width).astype(np.int32)
                    told_apart = told_apart and not what.crowd
                else:
                    more = read_label_map(what, at.height, at.width)
            except BadMask as fault:
                faults.append(str(fault))
                log.warning("%s: %s of %s: %s", self.name, prompt.concept, at.image_id, fault)
                continue
            labels = np.where(more > 0, more + labels.max(), labels)
        if not labels.any():
            return _refusal(prompt, faults[0] if faults else "empty")
        objects = labels if told_apart else None
        return Candidate(prompt.concept, prompt.wordings[0], labels > 0, objects, 1.0)


def _refusal(prompt: Prompt, reason: str) -> Candidate:
    return Candidate(prompt.concept, prompt.wordings[0], None, reason=reason)


def _concept(name: str, table: Mapping[str, str]) -> str | None:
    """Concept of a name in the files: by the configured table, or as it stands."""
    plain = table.get(name, name).replace("_", " ").lower()
    if plain in concepts():
        return plain
    return next((c.name for c in concepts().values() if plain in c.forms), None)


def _name(file_name: str) -> str:
    """A picture's name as a COCO file has it: with any folders, from any system."""
    return "/".join(part for part in plain(file_name).split("/") if part not in ("", "."))


def _png_files(folder: Path) -> list[tuple[str, str, Path]]:
    """(image, name, file) of every PNG below a folder, sorted."""
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.suffix.lower() == ".png" and path.parent != folder and not hidden(str(place)):
            found.append((plain(place.parent.as_posix()), path.stem, path))
    return found


PART = Part(
    kind="mask-files",
    Settings=MaskFilesConfig,
    build=lambda config, threads: MaskFilesSegmenter(config),
)
