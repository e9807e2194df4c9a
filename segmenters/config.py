"""Settings of the segmenters."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from miner.core.settings import Settings


class EmbeddedConfig(Settings):
    """The shipped segmenter: per concept the better of `stain` and `unet`."""

    kind: Literal["embedded"] = "embedded"


class StainConfig(Settings):
    """The embedded rule-based segmenter, without weights."""

    kind: Literal["stain"] = "stain"


class UnetConfig(Settings):
    """The embedded small network."""

    kind: Literal["unet"] = "unet"


class TilingConfig(Settings):
    """At what physical scale a model sees a picture.

    Attributes:
        field: "concept" tiles by the size of what is looked for, "whole" shows the whole picture.
        field_um: side of a tile in um for every concept, instead of the concept's own.
        overlap: share of a tile's side that it shares with its neighbour, 0 to .5.
        min_tissue: tiles with less than this share of tissue are not shown to the model.
        scales_mpp: um per pixel tried in turn when it is unknown; the one whose masks agree best
            with those of its neighbours in the list is kept.
    """

    field: Literal["concept", "whole"] = "concept"
    field_um: float | None = pydantic.Field(default=None, gt=0)
    overlap: float = pydantic.Field(default=0.25, ge=0, le=0.5)
    min_tissue: float = pydantic.Field(default=0.02, ge=0, le=1)
    scales_mpp: tuple[float, ...] = pydantic.Field(default=(0.25, 0.5, 1.0), min_length=1)


class RegionConfig(Settings):
    """How a probability map becomes a mask and single objects.

    Attributes:
        threshold: a pixel belongs to the mask from this probability on.
        smooth_um: sigma of the Gaussian that smooths the map, in um; 0 leaves it as it is.
        min_area_um2: smaller specks are removed, unless the concept's own size says otherwise.
        max_hole_um2: smaller holes are filled, unless the concept's own size says otherwise.
    """

    threshold: float = pydantic.Field(default=0.5, gt=0, lt=1)
    smooth_um: float = pydantic.Field(default=0.0, ge=0)
    min_area_um2: float = pydantic.Field(default=4.0, ge=0)
    max_hole_um2: float = pydantic.Field(default=4.0, ge=0)


class PhraseConfig(Settings):
    """What every text-prompted model has in common.

    Attributes:
        name: name in the ledger; the kind when empty.
        device: "cpu", "cuda", "cuda:1" ...
        wordings: how many wordings of a concept are asked; their mean probability counts and
            their agreement is a score.
        tiling: at what physical scale.
        regions: from probability to regions.
    """

    name: str = ""
    device: str = "cpu"
    wordings: int = pydantic.Field(default=2, ge=1)
    tiling: TilingConfig = TilingConfig()
    regions: RegionConfig = RegionConfig()


class BiomedParseConfig(PhraseConfig):
    """BiomedParse v1, the native port.

    Attributes:
        checkpoint: `biomedparse_v1.pt` or its folder, or a hub repository id.
        sizes: YAML file with the sizes of a reduced model; the released sizes when empty.
        tokenizer: folder or hub id of a CLIP tokenizer; the one of `instant-clip-tokenizer` when
            empty.
        sha256: refuse a checkpoint with another checksum.
        precision: number format on a GPU; a CPU always computes in fp32.
        channels_last: memory layout of the image encoder.
        compile: run the image encoder through `torch.compile`.
        batch: prompts decoded at once.
        features: encoded tiles kept in memory (about 180 MB each at full size).
        template: wording for a BiomedParse target; the bare target is the second wording.
        modality: what stands for {modality} in the template.
    """

    kind: Literal["biomedparse"] = "biomedparse"
    checkpoint: str = "microsoft/BiomedParse"
    sizes: str = ""
    tokenizer: str = ""
    sha256: str = ""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    batch: int = pydantic.Field(default=8, ge=1)
    features: int = pydantic.Field(default=2, ge=1)
    template: str = "{target} in {site} {modality}"
    modality: str = "pathology"


class ClipSegConfig(PhraseConfig):
    """CLIPSeg through transformers.

    Attributes:
        model: folder or hub id.
        batch: prompts decoded at once.
    """

    kind: Literal["clipseg"] = "clipseg"
    model: str
    batch: int = pydantic.Field(default=8, ge=1)


class Sam3Config(PhraseConfig):
    """SAM 3 with text prompts, and its medical fine-tunings.

    Attributes:
        model: folder or hub id.
        min_score: objects scored lower are dropped.
    """

    kind: Literal["sam3"] = "sam3"
    model: str
    min_score: float = pydantic.Field(default=0.5, ge=0, le=1)


class GroundingDinoConfig(PhraseConfig):
    """Boxes from Grounding DINO, masks from SAM or MedSAM.

    Attributes:
        detector: folder or hub id of the Grounding DINO model.
        sam: folder or hub id of the SAM model.
        box_threshold: boxes scored lower are dropped (.25 is the detector's own default).
    """

    kind: Literal["grounding_dino"] = "grounding_dino"
    detector: str
    sam: str
    box_threshold: float = pydantic.Field(default=0.25, ge=0, le=1)


class ExportedConfig(Settings):
    """A closed-vocabulary expert saved as TorchScript or ONNX.

    Attributes:
        name: name in the ledger.
        model: the file, `.pt` or `.onnx`.
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
    classes: dict[int, str | tuple[str, ...]]
    output: Literal["probabilities", "logits", "instances"] = "probabilities"
    mpp: float = pydantic.Field(default=0.5, gt=0)
    tile_px: int = pydantic.Field(default=256, ge=16)
    overlap: float = pydantic.Field(default=0.25, ge=0, le=0.5)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    device: str = "cpu"
    regions: RegionConfig = RegionConfig()


class MaskFilesConfig(Settings):
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


class RefineConfig(Settings):
    """Redraw every candidate from its boxes with SAM or MedSAM.

    Attributes:
        model: folder or hub id.
        device: as for the segmenters.
        replace: take SAM's mask; otherwise keep the candidate's and only record the agreement.
        max_boxes: candidates of more objects are left alone.
    """

    model: str
    device: str = "cpu"
    replace: bool = False
    max_boxes: int = pydantic.Field(default=64, ge=1)


SegmenterConfig = Annotated[
    EmbeddedConfig
    | StainConfig
    | UnetConfig
    | BiomedParseConfig
    | ClipSegConfig
    | Sam3Config
    | GroundingDinoConfig
    | ExportedConfig
    | MaskFilesConfig,
    pydantic.Field(discriminator="kind"),
]


class SegmentConfig(Settings):
    """Which segmenters answer, and what they are asked.

    Attributes:
        segmenters: asked in this order; each answers every phrase that it supports.
        decoys: absent concepts asked for per image, for the false-discovery rate.
        refine: redraw candidates with SAM.
    """

    segmenters: tuple[SegmenterConfig, ...] = pydantic.Field(
        default=(EmbeddedConfig(),), min_length=1
    )
    decoys: int = pydantic.Field(default=2, ge=0)
    refine: RefineConfig | None = None
