"""Any checkpoint as an encoder: files to towers, pictures to pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from filters.clip import openclip
from filters.clip.config import ClipConfig
from filters.clip.preprocess import Preprocess, from_files
from filters.clip.towers import (
    BiomedTowers,
    ClipTowers,
    ConchTowers,
    SiglipTowers,
    Tokenize,
    Towers,
)
from miner.core.errors import Refused
from miner.core.tensors import read_tensors

FIELD = "filters.clip.model"
CLIP_VOCABULARY = 49408
MAX_TOKENS = 256
# A picture is shown to the dense pass at this multiple of the side that the model was built for.
DENSE_ZOOM = 2
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


class CheckpointClip:
    """A CLIP from a folder or the hub.

    Args:
        config: model, revision and long side.
        threads: threads of the forward passes.

    Raises:
        Refused: no such model, of no known class, or files are missing.
    """

    def __init__(self, config: ClipConfig, threads: int) -> None:
        torch.set_num_threads(threads)
        folder = fetch(config.model, config.revision, FIELD)
        self._device = torch.device(config.device)
        self._towers, self._prepare = load_towers(folder, config.device)
        self.crop_px = self._prepare.side_px
        self.logit_scale = self._towers.logit_scale
        self._long_side_px = config.long_side_px or DENSE_ZOOM * self.crop_px

    def judged_as(self, concept: str) -> str | None:
        """Every concept is judged by its own phrases."""
        return concept

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, float32 (n, d), L2-normalised."""
        return _unit(self._towers.texts(texts))

    @torch.inference_mode()
    def dense(self, image: np.ndarray) -> np.ndarray:
        """Local features of a picture uint8 (H, W, 3): float32 (rows, columns, c)."""
        patch = self._towers.patch_px
        scale = self._long_side_px / max(image.shape[:2])
        rows, columns = (max(1, round(side * scale / patch)) for side in image.shape[:2])
        resized = self._prepare.resize(image, columns * patch, rows * patch)
        pixels = self._prepare.tensor(resized)[None].to(self._device)
        return self._towers.tokens(pixels).view(rows, columns, -1).float().cpu().numpy()

    @torch.inference_mode()
    def regions(self, dense: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings of n regions given by weights (rows, columns) each: float32 (n, d)."""
        tokens = torch.from_numpy(dense.reshape(-1, dense.shape[2])).to(self._device)
        flat = torch.from_numpy(np.stack(weights).reshape(len(weights), -1)).to(self._device)
        return _unit(self._towers.pool(tokens, flat))

    @torch.inference_mode()
    def crops(self, crops: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Embeddings of whole crops uint8 (n, crop_px, crop_px, 3): float32 (n, d)."""
        pixels = torch.stack([self._prepare(crop) for crop in crops]).to(self._device)
        return _unit(self._towers.pictures(pixels))


def _unit(features: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()


def fetch(name: str, revision: str | None, field: str) -> Path:
    """The folder of a model, from the hub's cache or the hub where it is no local folder.

    Args:
        name: folder or hub id.
        revision: of the hub's repository.
        field: of the configuration, for messages.

    Raises:
        Refused: there is no such model.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if name.startswith(("/", ".", "~")):
        raise Refused(f"{field}: {name}: no such folder")
    from huggingface_hub import snapshot_download

    try:
        patterns = ["*.json", "*.txt", "model*.safetensors"]
        found = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
        if not any(found.glob("model*.safetensors")):
            snapshot_download(name, revision=revision, allow_patterns=["pytorch_model.bin"])
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Refused(
            f"{field}: {name} is neither a folder nor a model the hub gives: {line}"
        ) from None
    return found


def load_towers(folder: Path, device: str = "cpu") -> tuple[Towers, Preprocess]:
    """Towers and preprocessing of a folder.

    Raises:
        Refused: files are missing or of no known class.
    """
    where = f"{FIELD}: {folder.name}"
    path = folder / "config.json"
    if not path.is_file():
        raise Refused(
            f"{where}/config.json does not exist; `miner models convert` makes such a folder of "
            "an open_clip checkpoint"
        )
    config = _settings(path, where)
    kind = config.get("model_type")
    loaders = {"clip": _clip, "siglip": _siglip, "conch": _conch, "biomedclip": _biomed}
    if kind not in loaders:
        raise Refused(f"{where}/config.json: model_type {kind!r} is none of {', '.join(loaders)}")
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise Refused(f"{where}: none of {', '.join(WEIGHTS)} exists")
    from safetensors import SafetensorError
    from transformers.utils import logging

    logging.disable_progress_bar()  # a line per worker in a log that is read by people
    try:
        towers, side_px = loaders[kind](folder, config, device)
    except SafetensorError as error:  # of transformers' own loading
        raise Refused(f"{where}: damaged weights: {str(error).splitlines()[0]}") from None
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise Refused(f"{where}: {str(error).strip().splitlines()[0]}") from error
    names = ("preprocessor_config.json", "open_clip_config.json")
    files = {
        name: (folder / name).read_text(encoding="utf-8")
        for name in names
        if (folder / name).is_file()
    }
    return towers, from_files(files, side_px, where)


def _settings(path: Path, where: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where}/{path.name}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused(f"{where}/{path.name}: not an object of JSON")
    return found


def _clip(folder: Path, config: dict[str, Any], device: str) -> tuple[Towers, int]:
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).eval().to(device)
    text = model.config.text_config
    known = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    tokenize: Tokenize
    if known:
        tokenize = _tokenizer(folder, device, int(text.max_position_embeddings))
    elif text.vocab_size == CLIP_VOCABULARY:
        tokenize = _clip_tokenizer(device, int(text.max_position_embeddings))
    else:
        raise Refused(
            f"{FIELD}: {folder.name}: no tokenizer.json, and the vocabulary is not CLIP's"
        )
    return ClipTowers(model, tokenize), int(model.config.vision_config.image_size)


def _siglip(folder: Path, config: dict[str, Any], device: str) -> tuple[Towers, int]:
    from transformers import SiglipModel

    model = SiglipModel.from_pretrained(folder).eval().to(device)
    length = int(model.config.text_config.max_position_embeddings)
    tokenize = _tokenizer(folder, device, length, padding="max_length", attention=False)
    return SiglipTowers(model, tokenize), int(model.config.vision_config.image_size)


def _conch(folder: Path, config: dict[str, Any], device: str) -> tuple[Towers, int]:
    from transformers import PreTrainedTokenizerFast

    shape = openclip.TrunkShape(**config["trunk"])
    visual = openclip.ConchVisual(
        shape, config["dim"], config["pooler_heads"], config["pooler_queries"]
    )
    model = openclip.Conch(visual, openclip.ConchText(**config["text"]))
    model.load_state_dict(read_tensors(folder / "model.safetensors"))
    fast = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token="<start_of_text>",
        eos_token="<end_of_text>",
        pad_token="<pad>",
    )
    length = int(config["text"]["context"]) - 1

    def tokenize(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        ids = fast(
            list(texts),
            max_length=length,
            truncation=True,
            padding="max_length",
            return_tensors="pt",
        )["input_ids"]
        return {"input_ids": ids.to(device)}

    return ConchTowers(model.eval().to(device), tokenize), shape.side_px


def _biomed(folder: Path, config: dict[str, Any], device: str) -> tuple[Towers, int]:
    from transformers import BertConfig, BertModel

    shape = openclip.TrunkShape(**config["trunk"])
    bert = BertModel(BertConfig(**config["bert"]), add_pooling_layer=False)
    text = openclip.BiomedText(
        bert, config["bert"]["hidden_size"], config["text_hidden"], config["dim"]
    )
    model = openclip.BiomedClip(openclip.BiomedVisual(shape, config["dim"]), text)
    model.load_state_dict(read_tensors(folder / "model.safetensors"))
    tokenize = _tokenizer(
        folder, device, min(MAX_TOKENS, config["bert"]["max_position_embeddings"])
    )
    return BiomedTowers(model.eval().to(device), tokenize), shape.side_px


def _tokenizer(
    folder: Path, device: str, length: int, padding: str = "longest", attention: bool = True
) -> Tokenize:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    wanted = ("input_ids", "attention_mask") if attention else ("input_ids",)

    def tokenize(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        tokens = tokenizer(
            list(texts), padding=padding, truncation=True, max_length=length, return_tensors="pt"
        )
        return {name: tokens[name].to(device) for name in wanted}

    return tokenize


def _clip_tokenizer(device: str, length: int) -> Tokenize:
    from instant_clip_tokenizer import Tokenizer

    tokenizer = Tokenizer()

    def tokenize(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        ids = tokenizer.tokenize_batch(list(texts), context_length=length)
        return {"input_ids": torch.from_numpy(ids.astype(np.int64)).to(device)}

    return tokenize
