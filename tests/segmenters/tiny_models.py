"""Tiny random models of the real transformers classes, saved as a user would find them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

ALPHABET = [chr(c) for c in range(ord("!"), ord("~") + 1)]


def clip_tokenizer(folder: Path, length: int) -> int:
    """A CLIP tokenizer without merges in `folder`; returns the size of its vocabulary."""
    words = [*ALPHABET, *(f"{c}</w>" for c in ALPHABET), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": length}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(words)


def bert_tokenizer(folder: Path) -> int:
    """A BERT tokenizer of single letters in `folder`; returns the size of its vocabulary."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ALPHABET, *(f"##{c}" for c in ALPHABET)]
    (folder / "vocab.txt").write_text("\n".join(words))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(words)


def clipseg(folder: Path) -> Path:
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    folder.mkdir()
    vocabulary = clip_tokenizer(folder, 16)
    tower = {
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    config = CLIPSegConfig(
        text_config={
            **tower,
            "vocab_size": vocabulary,
            "max_position_embeddings": 16,
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=16,
        reduce_dim=16,
        extract_layers=[0, 1, 2],
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    torch.manual_seed(0)
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 64, "width": 64}, "image_mean": [0.5] * 3})
    )
    return folder


def sam3(folder: Path) -> Path:
    from transformers import Sam3Config, Sam3Model

    folder.mkdir()
    vocabulary = clip_tokenizer(folder, 12)
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "window_size": 2,
        "global_attn_indexes": [1],
        "pretrain_image_size": 28,
    }
    detr = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "num_layers": 2}
    config = Sam3Config(
        vision_config={
            "backbone_config": backbone,
            "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 32,
            "projection_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 12,
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
        },
        geometry_encoder_config={**detr, "roi_size": 3},
        detr_encoder_config=detr,
        detr_decoder_config={**detr, "num_queries": 6},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    torch.manual_seed(0)
    Sam3Model(config).save_pretrained(folder)
    return folder


def grounding_dino(folder: Path) -> Path:
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    folder.mkdir()
    vocabulary = bert_tokenizer(folder)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[2, 2, 2, 2],
            window_size=4,
            image_size=64,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config={
            "model_type": "bert",
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "vocab_size": vocabulary,
            "max_position_embeddings": 64,
        },
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=5,
        num_feature_levels=3,
        encoder_n_points=2,
        decoder_n_points=2,
        max_text_len=24,
    )
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"shortest_edge": 64, "longest_edge": 96}})
    )
    return folder


def sam(folder: Path) -> Path:
    from transformers import SamConfig, SamModel

    folder.mkdir()
    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "output_channels": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
            "mlp_dim": 32,
            "window_size": 2,
            "global_attn_indexes": [1],
            "num_pos_feats": 16,
        },
        prompt_encoder_config={
            "hidden_size": 32,
            "image_size": 64,
            "patch_size": 16,
            "mask_input_channels": 4,
        },
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
    )
    torch.manual_seed(0)
    SamModel(config).save_pretrained(folder)
    return folder
