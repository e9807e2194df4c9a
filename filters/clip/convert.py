"""Checkpoints of open_clip's layouts to folders that `filters.clip.model` accepts.

Plain CLIP (QuiltNet, PathGen-CLIP, ...) becomes a `transformers.CLIPModel`; CONCH and BiomedCLIP,
for which transformers has no class, keep their names and get a `config.json` of ours. Checkpoints
are read with `weights_only`, so nothing in them is executed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from filters.clip.preprocess import INTERPOLATION
from miner.core.errors import Refused
from miner.core.tensors import read_tensors

HEAD_WIDTH = 64  # of every published ViT of these families
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)
CONFIG = "open_clip_config.json"

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """Weights of a checkpoint, without the wrappers that trainers add.

    Raises:
        Refused: the file is missing, no checkpoint, or would have to execute code.
    """
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    found: Any = read_tensors(path)
    for wrapper in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found:
        raise Refused(f"{path}: holds no weights")
    state = {}
    for name, value in found.items():
        if isinstance(value, Tensor):
            state[str(name).removeprefix("module.")] = value.float()
    return state


def convert(
    checkpoint: Path, out: Path, activation: str | None = None, tokenizer: Path | None = None
) -> str:
    """Write a folder for `filters.clip.model`.

    Args:
        checkpoint: a file (.pt, .bin, .safetensors), or a folder with
            `open_clip_pytorch_model.bin` or `open_clip_model.safetensors`.
        out: folder to write; must not exist or be empty.
        activation: "gelu" or "quick_gelu" of a plain CLIP; needed where no `open_clip_config.json`
            lies beside the checkpoint, because the weights do not tell.
        tokenizer: a `tokenizer.json` to put beside the weights (CONCH keeps its own in its
            package).

    Returns:
        What it was: "clip", "conch" or "biomedclip".

    Raises:
        Refused: the checkpoint is of no known layout, or something is missing.
    """
    if checkpoint.is_dir():
        names = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "pytorch_model.bin")
        found = [checkpoint / name for name in names if (checkpoint / name).is_file()]
        if not found:
            raise Refused(f"{checkpoint}: none of {', '.join(names)}")
        checkpoint = found[0]
    if out.exists() and any(out.iterdir()):
        raise Refused(f"{out}: not empty")
    state = read_state(checkpoint)
    stated = _stated(checkpoint.parent)
    out.mkdir(parents=True, exist_ok=True)
    if "visual.attn_pool_contrast.query" in state:
        kind, side = "conch", _conch(state, out)
    elif "visual.trunk.cls_token" in state and "text.proj.0.weight" in state:
        kind, side = "biomedclip", _biomed(state, out)
    elif "visual.class_embedding" in state:
        kind, side = "clip", _clip(_plain(state), stated, activation, checkpoint, out)
    else:
        roots = sorted({name.split(".")[0] for name in state})
        raise Refused(f"{checkpoint}: no known layout; its weights start with {', '.join(roots)}")
    _preprocessor(stated.get("preprocess_cfg", {}), side, out)
    for name in TOKENIZER_FILES:
        if (checkpoint.parent / name).is_file():
            shutil.copyfile(checkpoint.parent / name, out / name)
    if tokenizer is not None:
        if not tokenizer.is_file():
            raise Refused(f"--tokenizer: {tokenizer}: no such file")
        shutil.copyfile(tokenizer, out / "tokenizer.json")
    return kind


def _stated(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{path}: no JSON: {error}") from None


def _preprocessor(chosen: Mapping[str, Any], side: int, out: Path) -> None:
    """What open_clip does to pictures, in the words of transformers."""
    config = {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_center_crop": True,
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "image_mean": list(chosen.get("mean", CLIP_MEAN)),
        "image_std": list(chosen.get("std", CLIP_STD)),
        "resample": INTERPOLATION[chosen.get("interpolation", "bicubic")],
        "rescale_factor": 1 / 255,
    }
    _write_json(out / "preprocessor_config.json", config)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _depth(state: State, prefix: str) -> int:
    """Number of blocks below a prefix."""
    found = {n[len(prefix) :].split(".")[0] for n in state if n.startswith(prefix)}
    return len(found)


def _plain(state: State) -> State:
    """A CLIP with a separate text tower, under the names of one without."""
    return {
        name.removeprefix("text.") if name.startswith("text.") else name: value
        for name, value in state.items()
    }


def _clip(
    state: State, stated: Mapping[str, Any], activation: str | None, source: Path, out: Path
) -> int:
    from transformers import CLIPConfig, CLIPModel

    model_cfg = stated.get("model_cfg")
    if activation is None and model_cfg is None:
        raise Refused(
            f"{source}: no {CONFIG} beside it, and the weights do not tell the activation: "
            "give --activation gelu or quick_gelu"
        )
    if activation is None and model_cfg is not None:
        activation = "quick_gelu" if model_cfg.get("quick_gelu") else "gelu"
    width, text_width = state["visual.class_embedding"].shape[0], state["ln_final.weight"].shape[0]
    patch = state["visual.conv1.weight"].shape[2]
    side = patch * round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    vocabulary = state["token_embedding.weight"].shape[0]
    # Widths of less than one head are of test models only.
    heads = {w: max(1, w // HEAD_WIDTH) for w in (width, text_width)}
    for name, size in (("vision_cfg", width), ("text_cfg", text_width)):
        cfg = (model_cfg or {}).get(name, {})
        if cfg.get("heads"):
            heads[size] = cfg["heads"]
        elif cfg.get("head_width"):
            heads[size] = size // cfg["head_width"]
    config = CLIPConfig(
        projection_dim=state["text_projection"].shape[1],
        vision_config={
            "hidden_size": width,
            "num_hidden_layers": _depth(state, "visual.transformer.resblocks."),
            "num_attention_heads": heads[width],
            "intermediate_size": state["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
            "patch_size": patch,
            "image_size": side,
            "hidden_act": activation,
            "projection_dim": state["text_projection"].shape[1],
        },
        text_config={
            "hidden_size": text_width,
            "num_hidden_layers": _depth(state, "transformer.resblocks."),
            "num_attention_heads": heads[text_width],
            "intermediate_size": state["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
            "vocab_size": vocabulary,
            "max_position_embeddings": state["positional_embedding"].shape[0],
            "hidden_act": activation,
            "projection_dim": state["text_projection"].shape[1],
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "pad_token_id": 0,
        },
    )
    model = CLIPModel(config)
    missing, unexpected = model.load_state_dict(_clip_names(state), strict=False)
    wanting = [name for name in missing if not name.endswith("position_ids")]
    if wanting or unexpected:
        odd = (wanting or unexpected)[0]
        raise Refused(f"{source}: weights do not fit a CLIP, first at {odd}")
    model.save_pretrained(out)
    return side


def _clip_names(state: State) -> State:
    """Weights under the names of `transformers.CLIPModel`."""
    out = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
    }
    norms = {
        "visual.ln_pre": "vision_model.pre_layrnorm",  # the typo is transformers'
        "visual.ln_post": "vision_model.post_layernorm",
        "ln_final": "text_model.final_layer_norm",
    }
    parts = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    towers = {
        "visual.transformer.resblocks.": "vision_model.encoder.layers.",
        "transformer.resblocks.": "text_model.encoder.layers.",
    }
    for old, new in norms.items():
        for end in ("weight", "bias"):
            out[f"{new}.{end}"] = state[f"{old}.{end}"]
    for old, new in towers.items():
        for layer in range(_depth(state, old)):
            for end in ("weight", "bias"):
                for part, name in parts.items():
                    out[f"{new}{layer}.{name}.{end}"] = state[f"{old}{layer}.{part}.{end}"]
                mixed = state[f"{old}{layer}.attn.in_proj_{end}"].chunk(3)
                for name, value in zip(("q_proj", "k_proj", "v_proj"), mixed, strict=True):
                    out[f"{new}{layer}.self_attn.{name}.{end}"] = value.contiguous()
    return out


def _trunk(state: State) -> dict[str, int]:
    """Sizes of a timm ViT."""
    width = state["visual.trunk.cls_token"].shape[2]
    patch = state["visual.trunk.patch_embed.proj.weight"].shape[2]
    return {
        "width": width,
        "layers": _depth(state, "visual.trunk.blocks."),
        "heads": max(1, width // HEAD_WIDTH),
        "patch_px": patch,
        "side_px": patch * round((state["visual.trunk.pos_embed"].shape[1] - 1) ** 0.5),
        "mlp": state["visual.trunk.blocks.0.mlp.fc1.weight"].shape[0],
    }


def _conch(state: State, out: Path) -> int:
    context, width = state["text.positional_embedding"].shape
    queries, dim = state["visual.attn_pool_contrast.query"].shape
    trunk = _trunk(state)
    config = {
        "model_type": "conch",
        "trunk": trunk,
        "dim": dim,
        "pooler_heads": 8,  # of the published model; the weights do not tell
        "pooler_queries": queries,
        "text": {
            "vocabulary": state["text.token_embedding.weight"].shape[0],
            "context": context,
            "width": width,
            "heads": max(1, width // HEAD_WIDTH),
            "layers": _depth(state, "text.transformer.resblocks."),
            "dim": state["text.text_projection"].shape[1],
        },
    }
    caption = ("visual.attn_pool_caption.", "visual.ln_caption.", "text_decoder.", "text.attn_mask")
    _save({n: v for n, v in state.items() if not n.startswith(caption)}, config, out)
    return trunk["side_px"]


def _biomed(state: State, out: Path) -> int:
    bert = "text.transformer."
    width = state[f"{bert}embeddings.word_embeddings.weight"].shape[1]
    trunk = _trunk(state)
    config = {
        "model_type": "biomedclip",
        "trunk": trunk,
        "dim": state["visual.head.proj.weight"].shape[0],
        "text_hidden": state["text.proj.0.weight"].shape[0],
        "bert": {
            "vocab_size": state[f"{bert}embeddings.word_embeddings.weight"].shape[0],
            "hidden_size": width,
            "num_hidden_layers": _depth(state, f"{bert}encoder.layer."),
            "num_attention_heads": max(1, width // HEAD_WIDTH),
            "intermediate_size": state[f"{bert}encoder.layer.0.intermediate.dense.weight"].shape[0],
            "max_position_embeddings": state[f"{bert}embeddings.position_embeddings.weight"].shape[
                0
            ],
            "type_vocab_size": state[f"{bert}embeddings.token_type_embeddings.weight"].shape[0],
        },
    }
    left_out = (f"{bert}pooler.", f"{bert}embeddings.position_ids")
    _save({n: v for n, v in state.items() if not n.startswith(left_out)}, config, out)
    return trunk["side_px"]


def _save(state: State, config: Mapping[str, Any], out: Path) -> None:
    from safetensors.torch import save_file

    tensors = {name: value.contiguous().clone() for name, value in state.items()}
    save_file(tensors, out / "model.safetensors")
    _write_json(out / "config.json", config)
