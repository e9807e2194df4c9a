"""Every intermediate result that the official code's recordings have, by the official names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from segmenters.biomedparse import BiomedParse
from segmenters.biomedparse.tokenizer import END


def token_ids(model: BiomedParse, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and attention mask, int64 (n, context), padded with the end token as officially."""
    context = model.sizes.context
    ids = torch.full((len(prompts), context), END)
    mask = torch.zeros(len(prompts), context, dtype=torch.int64)
    for i, prompt in enumerate(prompts):
        words, _ = model.tokenizer(prompt)
        ids[i, : len(words)] = torch.tensor(words)
        mask[i, : len(words)] = 1
    return ids, mask


@torch.inference_mode()
def joint_run(model: BiomedParse, image: Any, prompts: Sequence[str]) -> dict[str, Tensor]:
    """Run all prompts in ONE row, as the recording did, and note every result.

    Pipelines never do this, since prompts of one row change each other's masks; but the official
    recording holds such a run, and the decoder can reproduce it: its row is the prompts' tokens
    one after the other.
    """
    network, notes = model.network, {}
    decoder, pixel = network.decoder, network.pixel_decoder
    hooks = []

    def note(module: torch.nn.Module, name: str, how: Any = lambda x: x) -> None:
        hooks.append(module.register_forward_hook(lambda m, i, o: notes.update({name: how(o)})))

    def turn(x: Tensor) -> Tensor:
        return x.transpose(0, 1)

    normed: list[Tensor] = []
    hooks.append(decoder.decoder_norm.register_forward_hook(lambda m, i, o: normed.append(o)))
    for i in range(model.sizes.decoder_layers):
        note(decoder.transformer_cross_attention_layers[i], f"decoder.{i}.cross", turn)
        note(decoder.transformer_self_attention_layers[i], f"decoder.{i}.self", turn)
        note(decoder.transformer_ffn_layers[i], f"decoder.{i}.ffn", turn)
    note(decoder.mask_embed, "out.pred_maskembs", lambda x: x[0])
    side = model.sizes.image_size // 32
    note(
        pixel.transformer["encoder"],
        "pixel.transformer_encoder_features",
        lambda x: x.transpose(1, 2).unflatten(2, (side, side)),
    )
    for i, level in enumerate((4, 3, 2)):
        note(pixel.get_submodule(f"layer_{level}"), f"pixel.multi_scale.{i}")
    note(pixel.mask_features, "pixel.mask_features")

    def note_maps(module: torch.nn.Module, inputs: Any, maps: list[Tensor]) -> None:
        notes["input_normalized"] = inputs[0]
        notes.update({f"backbone.res{i + 2}": m for i, m in enumerate(maps)})

    hooks.append(network.backbone.register_forward_hook(note_maps))
    try:
        features = model.encode(image)
        ids, mask = token_ids(model, prompts)
        tokens = decoder.lang_encoder(ids)
        row = tokens[mask.bool()]
        ends = tokens[torch.arange(len(ids)), mask.sum(1) - 1]
        captions, embeddings = decoder(
            features.memory, row[None], torch.ones(1, len(row), dtype=torch.bool)
        )
    finally:
        for hook in hooks:
            hook.remove()
    notes |= {"text.input_ids": ids, "text.attention_mask": mask, "text.token_emb": tokens}
    notes |= {"text.grounding_tokens": row[:, None], "text.grounding_class": ends}
    for i, queries in enumerate(normed[:-1]):
        notes[f"aux.{i}.pred_captions"] = (queries @ decoder.class_embed)[0]
    notes["out.pred_captions"] = captions[0]
    notes["out.pred_masks"] = torch.einsum(
        "qc,chw->qhw", embeddings[0], features.memory.mask_features[0]
    )
    notes["n_aux"] = torch.tensor(len(normed) - 1)
    notes["out.similarity"] = decoder.lang_encoder.similarity(captions[0], ends)
    notes["out.matched_id"] = notes["out.similarity"].argmax(dim=0)
    chosen = notes["out.pred_masks"][notes["out.matched_id"]]
    notes["out.mask_prob"] = model._resize(chosen, features.size)
    return notes


def tolerance(name: str) -> float:
    """Largest absolute difference allowed for a record."""
    if "mask_prob" in name:
        return 1e-4
    if name in ("out.matched_id", "text.input_ids", "text.attention_mask", "n_aux"):
        return 0.0
    return 5e-3 if name in ("out.pred_masks", "out.pred_logits") else 1e-3


def differences(model: BiomedParse, reference: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Largest absolute difference from the official recording, and what is allowed, by record.

    Records of a full-size run may be thinned ("name@::8": every eighth row and column), with the
    mean, deviation and largest magnitude of the whole tensor in "name#stat".

    Args:
        model: with the weights of the recording.
        reference: the recording's content.
    """
    image, prompts, records = reference["image"].numpy(), reference["prompts"], reference["records"]
    mine = joint_run(model, image, prompts)
    # The embeddings of 17 class names serve a head that masks do not depend on; given them, the
    # head's logits follow.
    classes = records.get("text.default_class_embeddings")
    if classes is not None:
        similarity = model.network.decoder.lang_encoder.similarity
        mine["out.pred_logits"] = similarity(mine["out.pred_captions"], classes)
        mine["text.default_class_embeddings"] = classes
    found = {}
    for key, expected in records.items():
        name, _, stat = key.partition("#")
        name, _, thinning = name.partition("@")
        got = mine[name].double()
        if stat:
            got = torch.stack((got.mean(), got.std(), got.abs().max()))
        elif thinning:
            step = int(thinning.strip(":"))
            got = got[..., ::step, ::step]
        assert got.shape == expected.shape, (key, got.shape, expected.shape)
        found[key] = float((got - expected.double()).abs().max()), tolerance(name)
    answer = model.decode(model.encode(image), prompts)
    singles = (answer.prob - reference["single_mask_prob"]).abs().amax()
    found["single_mask_prob"] = float(singles), 1e-4
    for i, matched in enumerate(reference.get("single_matched", ())):
        if matched is not None:
            found[f"single_matched.{i}"] = abs(int(answer.query[i]) - int(matched)), 0.0
    return found
