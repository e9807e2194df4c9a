"""Finding and strictly loading a BiomedParse v1 checkpoint."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from miner.core.errors import Refused
from miner.core.tensors import read_tensors
from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.model import Network

FILE = "biomedparse_v1.pt"

# Tensors of the released checkpoint that text prompting does not use: training losses, the
# BERT that was tried beside the CLIP-style text encoder, and SEEM's visual prompts.
UNUSED = (
    "criterion.",
    "dilation_kernel",
    "sem_seg_head.predictor.lang_encoder.biomed_encoder.",
    "sem_seg_head.predictor.pn_indicator.",
    "sem_seg_head.predictor.mask_sptial_embed.",
    "sem_seg_head.predictor.spatial_embed.",
    "sem_seg_head.predictor.spatial_featured.",
)

# Names that only the v2 network (3D, BoltzFormer) has, with or without its "model." prefix.
V2 = ("language_encoder.", "output_deconv.", "pixel_mean")


def find(checkpoint: str) -> Path:
    """Local file of a checkpoint.

    Args:
        checkpoint: the file, its folder, or a hub repository id ("owner/name").

    Raises:
        Refused: it is not there; the message says where to get it.
    """
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        path = path / FILE
    if path.is_file():
        return path
    where = (
        f"biomedparse.checkpoint: {checkpoint} is not there; download {FILE} (1.8 GB) from the "
        "Hugging Face repository microsoft/BiomedParse and give its path"
    )
    if checkpoint.count("/") != 1 or checkpoint.startswith((".", "/", "~")) or path.suffix:
        raise Refused(where)
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(checkpoint, FILE))
    except Exception as error:
        raise Refused(f"{where} ({type(error).__name__})") from None


def checksum(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_checkpoint(
    path: str | os.PathLike[str], sizes: Sizes | None = None
) -> tuple[dict[str, Tensor], Sizes]:
    """Tensors and sizes of a checkpoint file.

    The released file is a plain state dictionary of the released sizes. A reduced model's file
    has `state_dict` and, beside it, `sizes` or the official `opt_model` and `size`.

    Raises:
        Refused: unreadable, or v2's.
    """
    content = read_tensors(path, mmap=True)  # no second copy is made
    if sizes is None:
        if "sizes" in content:
            sizes = Sizes(**content["sizes"])
        elif "opt_model" in content:
            sizes = Sizes.from_official(content["opt_model"], content["size"])
        else:
            sizes = Sizes()
    state = content.get("state_dict", content)
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if any(name.removeprefix("model.").startswith(V2) or f".{V2[0]}" in name for name in tensors):
        raise Refused(
            f"{path}: this is a BiomedParse v2 checkpoint; v2 is for 3D volumes, pathology needs "
            f"v1 ({FILE} of the hub repository microsoft/BiomedParse)"
        )
    return tensors, sizes


def build(tensors: Mapping[str, Tensor], sizes: Sizes, path: str = "checkpoint") -> Network:
    """A network that uses the given tensors themselves, not copies.

    Args:
        tensors: names and tensors of a checkpoint.
        sizes: what the network is built to.
        path: for messages.

    Raises:
        Refused: a tensor is missing, unknown, of another shape, or not finite numbers' type.
    """
    with torch.device("meta"):
        network = Network(sizes)
    expected = network.state_dict()
    used = {name: t for name, t in tensors.items() if not name.startswith(UNUSED)}
    missing = [name for name in expected if name not in used]
    unknown = [name for name in used if name not in expected]
    if missing or unknown:
        parts = [
            f"{len(names)} tensors {what}, first {names[0]}"
            for what, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        raise Refused(f"{path}: no BiomedParse v1 checkpoint: {'; '.join(parts)}")
    for name, tensor in used.items():
        if tensor.shape != expected[name].shape:
            raise Refused(
                f"{path}: {name} has shape {tuple(tensor.shape)}, "
                f"the configured sizes need {tuple(expected[name].shape)}"
            )
        if not tensor.is_floating_point():
            raise Refused(f"{path}: {name} is {tensor.dtype}, not floating point")
    used = {name: tensor.float() for name, tensor in used.items()}
    network.load_state_dict(used, strict=True, assign=True)
    return network.requires_grad_(False).eval()
