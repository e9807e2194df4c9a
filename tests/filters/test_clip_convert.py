"""Checkpoints of the published layouts, with random weights: the conversion changes no answer."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from filters.clip.checkpoint import load_towers
from filters.clip.convert import convert
from miner.core.errors import Refused

WIDTH, HEADS, SIDE, PATCH, DIM = 128, 2, 32, 8, 24
WORDS = [f"w{i}" for i in range(30)]


def _tokenizer(folder, cls_first=False):
    """A word-level tokenizer with the special tokens of the family."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    if cls_first:
        special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
        ends = ("[CLS] $A [SEP]", [("[CLS]", 1), ("[SEP]", 2)])
    else:
        special = ["<pad>", "<start_of_text>", "<end_of_text>", "<unk>"]
        ends = ("<start_of_text> $A <end_of_text>", [("<start_of_text>", 1), ("<end_of_text>", 2)])
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=special[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single=ends[0], special_tokens=ends[1])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": special[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _random(generator, *shape):
    return torch.randn(*shape, generator=generator) * 0.2


def _norm(state, name, width, generator):
    state[f"{name}.weight"] = 1 + _random(generator, width)
    state[f"{name}.bias"] = _random(generator, width)


def _linear(state, name, inward, outward, generator):
    state[f"{name}.weight"] = _random(generator, outward, inward)
    state[f"{name}.bias"] = _random(generator, outward)


def _resblocks(state, prefix, layers, width, generator):
    for i in range(layers):
        name = f"{prefix}{i}."
        _norm(state, f"{name}ln_1", width, generator)
        _norm(state, f"{name}ln_2", width, generator)
        state[f"{name}attn.in_proj_weight"] = _random(generator, 3 * width, width)
        state[f"{name}attn.in_proj_bias"] = _random(generator, 3 * width)
        _linear(state, f"{name}attn.out_proj", width, width, generator)
        _linear(state, f"{name}mlp.c_fc", width, 4 * width, generator)
        _linear(state, f"{name}mlp.c_proj", 4 * width, width, generator)


def _trunk(state, layers, generator):
    name = "visual.trunk."
    state[f"{name}cls_token"] = _random(generator, 1, 1, WIDTH)
    state[f"{name}pos_embed"] = _random(generator, 1, 1 + (SIDE // PATCH) ** 2, WIDTH)
    state[f"{name}patch_embed.proj.weight"] = _random(generator, WIDTH, 3, PATCH, PATCH)
    state[f"{name}patch_embed.proj.bias"] = _random(generator, WIDTH)
    for i in range(layers):
        block = f"{name}blocks.{i}."
        _norm(state, f"{block}norm1", WIDTH, generator)
        _norm(state, f"{block}norm2", WIDTH, generator)
        _linear(state, f"{block}attn.qkv", WIDTH, 3 * WIDTH, generator)
        _linear(state, f"{block}attn.proj", WIDTH, WIDTH, generator)
        _linear(state, f"{block}mlp.fc1", WIDTH, 4 * WIDTH, generator)
        _linear(state, f"{block}mlp.fc2", 4 * WIDTH, WIDTH, generator)
    _norm(state, f"{name}norm", WIDTH, generator)


# The original forward passes, in plain functions over the state.


def _ln(state, name, x, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)


def _lin(state, name, x):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _mha(q, k, v, heads, mask=None):
    def split(x):
        return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

    q, k, v = split(q), split(k), split(v)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _run_resblocks(state, prefix, layers, x, heads, act, mask=None):
    for i in range(layers):
        name = f"{prefix}{i}."
        y = _ln(state, f"{name}ln_1", x)
        w, b = state[f"{name}attn.in_proj_weight"], state[f"{name}attn.in_proj_bias"]
        q, k, v = F.linear(y, w, b).chunk(3, -1)
        x = x + _lin(state, f"{name}attn.out_proj", _mha(q, k, v, heads, mask))
        y = act(_lin(state, f"{name}mlp.c_fc", _ln(state, f"{name}ln_2", x)))
        x = x + _lin(state, f"{name}mlp.c_proj", y)
    return x


def _run_trunk(state, layers, pixels):
    name = "visual.trunk."
    w, b = state[f"{name}patch_embed.proj.weight"], state[f"{name}patch_embed.proj.bias"]
    x = F.conv2d(pixels, w, b, stride=PATCH).flatten(2).mT
    x = torch.cat([state[f"{name}cls_token"].expand(len(x), -1, -1), x], 1)
    x = x + state[f"{name}pos_embed"]
    for i in range(layers):
        block = f"{name}blocks.{i}."
        q, k, v = _lin(state, f"{block}attn.qkv", _ln(state, f"{block}norm1", x, 1e-6)).chunk(3, -1)
        x = x + _lin(state, f"{block}attn.proj", _mha(q, k, v, HEADS))
        y = F.gelu(_lin(state, f"{block}mlp.fc1", _ln(state, f"{block}norm2", x, 1e-6)))
        x = x + _lin(state, f"{block}mlp.fc2", y)
    return _ln(state, f"{name}norm", x, 1e-6)


def _causal(length):
    return torch.full((length, length), float("-inf")).triu(1)


def _pixels():
    rng = np.random.default_rng(3)
    return torch.from_numpy(rng.normal(size=(2, 3, SIDE, SIDE)).astype(np.float32))


def _close(found: Tensor, wanted: Tensor):
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=2e-4, atol=2e-5)


def _clip_state(vocabulary):
    g = torch.Generator().manual_seed(1)
    state = {
        "visual.class_embedding": _random(g, WIDTH),
        "visual.positional_embedding": _random(g, 1 + (SIDE // PATCH) ** 2, WIDTH),
        "visual.conv1.weight": _random(g, WIDTH, 3, PATCH, PATCH),
        "visual.proj": _random(g, WIDTH, DIM),
        "token_embedding.weight": _random(g, vocabulary, WIDTH),
        "positional_embedding": _random(g, 12, WIDTH),
        "text_projection": _random(g, WIDTH, DIM),
        "logit_scale": torch.tensor(3.0),
    }
    _norm(state, "visual.ln_pre", WIDTH, g)
    _norm(state, "visual.ln_post", WIDTH, g)
    _norm(state, "ln_final", WIDTH, g)
    _resblocks(state, "visual.transformer.resblocks.", 2, WIDTH, g)
    _resblocks(state, "transformer.resblocks.", 2, WIDTH, g)
    return state


@pytest.mark.parametrize(
    ("layout", "quick"), [("plain", False), ("custom text", True), ("wrapped", False)]
)
def test_a_clip_answers_as_before(tmp_path, layout, quick):
    state = _clip_state(49408)
    saved = state
    text = ("token_embedding", "positional_embedding", "text_projection", "ln_final", "transformer")
    if layout == "custom text":
        saved = {(f"text.{n}" if n.startswith(text) else n): v for n, v in state.items()}
    if layout == "wrapped":
        saved = {"epoch": 3, "state_dict": {f"module.{n}": v for n, v in state.items()}}
    torch.save(saved, tmp_path / "clip.pt")
    activation = "quick_gelu" if quick else "gelu"
    assert convert(tmp_path / "clip.pt", tmp_path / "out", activation) == "clip"
    towers, prepare = load_towers(tmp_path / "out")

    def act(x):
        return x * torch.sigmoid(1.702 * x) if quick else F.gelu(x)

    pixels = _pixels()
    x = F.conv2d(pixels, state["visual.conv1.weight"], stride=PATCH).flatten(2).mT
    x = torch.cat([state["visual.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = _ln(state, "visual.ln_pre", x + state["visual.positional_embedding"])
    x = _run_resblocks(state, "visual.transformer.resblocks.", 2, x, HEADS, act)
    wanted = _ln(state, "visual.ln_post", x[:, 0]) @ state["visual.proj"]
    with torch.no_grad():
        _close(towers.pictures(pixels), wanted)

    from instant_clip_tokenizer import Tokenizer

    texts = ["glands", "an H&E image"]
    ids = torch.from_numpy(Tokenizer().tokenize_batch(texts, context_length=12).astype(np.int64))
    x = state["token_embedding.weight"][ids] + state["positional_embedding"]
    x = _run_resblocks(state, "transformer.resblocks.", 2, x, HEADS, act, _causal(12))
    x = _ln(state, "ln_final", x)
    wanted = x[torch.arange(2), ids.argmax(1)] @ state["text_projection"]
    with torch.no_grad():
        _close(towers.texts(texts), wanted)
    assert prepare.side_px == SIDE
    assert towers.logit_scale == pytest.approx(np.exp(3.0))


def test_the_activation_is_not_guessed(tmp_path):
    torch.save(_clip_state(50), tmp_path / "clip.pt")
    with pytest.raises(Refused, match="--activation"):
        convert(tmp_path / "clip.pt", tmp_path / "out")


def test_open_clip_config_is_followed(tmp_path):
    torch.save(_clip_state(49408), tmp_path / "open_clip_pytorch_model.bin")
    stated = {
        "model_cfg": {"quick_gelu": True},
        "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 3], "interpolation": "bilinear"},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(stated))
    convert(tmp_path, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["vision_config"]["hidden_act"] == "quick_gelu"
    _, prepare = load_towers(tmp_path / "out")
    assert (prepare.mean, prepare.std, prepare.resample) == ((0.1, 0.2, 0.3), (1, 2, 3), 2)


def _conch_state():
    g = torch.Generator().manual_seed(2)
    state = {"logit_scale": torch.tensor(2.0)}
    _trunk(state, 2, g)
    dim = 64
    pool = "visual.attn_pool_contrast."
    state[f"{pool}query"] = _random(g, 1, dim)
    state[f"{pool}attn.q_proj_weight"] = _random(g, dim, dim)
    state[f"{pool}attn.k_proj_weight"] = _random(g, dim, WIDTH)
    state[f"{pool}attn.v_proj_weight"] = _random(g, dim, WIDTH)
    state[f"{pool}attn.in_proj_bias"] = _random(g, 3 * dim)
    _linear(state, f"{pool}attn.out_proj", dim, dim, g)
    _norm(state, f"{pool}ln_q", dim, g)
    _norm(state, f"{pool}ln_k", WIDTH, g)
    _norm(state, "visual.ln_contrast", dim, g)
    state["visual.proj_contrast"] = _random(g, dim, dim)
    state["visual.attn_pool_caption.query"] = _random(g, 256, WIDTH)
    state["text_decoder.ln_final.weight"] = torch.ones(WIDTH)
    state["text.cls_emb"] = _random(g, WIDTH)
    state["text.token_embedding.weight"] = _random(g, 4 + len(WORDS), WIDTH)
    state["text.positional_embedding"] = _random(g, 10, WIDTH)
    state["text.text_projection"] = _random(g, WIDTH, dim)
    _norm(state, "text.ln_final", WIDTH, g)
    _resblocks(state, "text.transformer.resblocks.", 2, WIDTH, g)
    return state


def test_conch_answers_as_before(tmp_path):
    state = _conch_state()
    torch.save(state, tmp_path / "pytorch_model.bin")
    _tokenizer(tmp_path)
    assert convert(tmp_path, tmp_path / "out") == "conch"
    towers, _ = load_towers(tmp_path / "out")

    pixels, pool = _pixels(), "visual.attn_pool_contrast."
    keys = _ln(state, f"{pool}ln_k", _run_trunk(state, 2, pixels))
    query = _ln(state, f"{pool}ln_q", state[f"{pool}query"]).expand(2, -1, -1)
    qb, kb, vb = state[f"{pool}attn.in_proj_bias"].chunk(3)
    q = F.linear(query, state[f"{pool}attn.q_proj_weight"], qb)
    k = F.linear(keys, state[f"{pool}attn.k_proj_weight"], kb)
    v = F.linear(keys, state[f"{pool}attn.v_proj_weight"], vb)
    pooled = _lin(state, f"{pool}attn.out_proj", _mha(q, k, v, 8))[:, 0]
    wanted = _ln(state, "visual.ln_contrast", pooled) @ state["visual.proj_contrast"]
    with torch.no_grad():
        _close(towers.pictures(pixels), wanted)

    # The text: ids end with the place of the class token; its mask is built as the original does.
    texts = ["w1 w2 w3", "w4 w5 w6 w7 w8 w9 w10 w11 w12"]
    ids = torch.tensor([[1, 5, 6, 7, 2, 0, 0, 0, 0], [1, *range(8, 16)]])
    ids[1, 8] = 2
    x = torch.cat(
        [state["text.token_embedding.weight"][ids], state["text.cls_emb"].expand(2, 1, -1)], 1
    )
    seen = F.pad((ids != 0)[:, None], (1, 0, 9, 0), value=True)
    mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf")) + _causal(10)
    x = x + state["text.positional_embedding"]
    x = _run_resblocks(state, "text.transformer.resblocks.", 2, x, HEADS, F.gelu, mask[:, None])
    wanted = _ln(state, "text.ln_final", x[:, -1]) @ state["text.text_projection"]
    with torch.no_grad():
        _close(towers.texts(texts), wanted)


def _biomed_state():
    g = torch.Generator().manual_seed(4)
    state = {"logit_scale": torch.tensor(2.0)}
    _trunk(state, 2, g)
    state["visual.head.proj.weight"] = _random(g, DIM, WIDTH)
    bert = "text.transformer."
    state[f"{bert}embeddings.word_embeddings.weight"] = _random(g, 4 + len(WORDS), WIDTH)
    state[f"{bert}embeddings.position_embeddings.weight"] = _random(g, 16, WIDTH)
    state[f"{bert}embeddings.token_type_embeddings.weight"] = _random(g, 2, WIDTH)
    state[f"{bert}embeddings.position_ids"] = torch.arange(16)[None]
    _norm(state, f"{bert}embeddings.LayerNorm", WIDTH, g)
    for i in range(2):
        layer = f"{bert}encoder.layer.{i}."
        for name in ("query", "key", "value"):
            _linear(state, f"{layer}attention.self.{name}", WIDTH, WIDTH, g)
        _linear(state, f"{layer}attention.output.dense", WIDTH, WIDTH, g)
        _norm(state, f"{layer}attention.output.LayerNorm", WIDTH, g)
        _linear(state, f"{layer}intermediate.dense", WIDTH, 4 * WIDTH, g)
        _linear(state, f"{layer}output.dense", 4 * WIDTH, WIDTH, g)
        _norm(state, f"{layer}output.LayerNorm", WIDTH, g)
    state["text.proj.0.weight"] = _random(g, 40, WIDTH)
    state["text.proj.2.weight"] = _random(g, DIM, 40)
    return state


def test_biomedclip_answers_as_before(tmp_path):
    state = _biomed_state()
    torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    _tokenizer(tmp_path, cls_first=True)
    assert convert(tmp_path, tmp_path / "out") == "biomedclip"
    towers, _ = load_towers(tmp_path / "out")

    pixels = _pixels()
    wanted = _run_trunk(state, 2, pixels)[:, 0] @ state["visual.head.proj.weight"].T
    with torch.no_grad():
        _close(towers.pictures(pixels), wanted)

    bert = "text.transformer."
    ids = torch.tensor([[1, 5, 6, 7, 2], [1, 9, 2, 0, 0]])
    x = state[f"{bert}embeddings.word_embeddings.weight"][ids]
    x = x + state[f"{bert}embeddings.position_embeddings.weight"][:5]
    x = x + state[f"{bert}embeddings.token_type_embeddings.weight"][0]
    x = _ln(state, f"{bert}embeddings.LayerNorm", x, 1e-12)
    mask = torch.zeros(ids.shape).masked_fill(ids == 0, float("-inf"))[:, None, None]
    for i in range(2):
        layer = f"{bert}encoder.layer.{i}."
        q, k, v = (_lin(state, f"{layer}attention.self.{n}", x) for n in ("query", "key", "value"))
        y = _lin(state, f"{layer}attention.output.dense", _mha(q, k, v, HEADS, mask))
        x = _ln(state, f"{layer}attention.output.LayerNorm", x + y, 1e-12)
        y = F.gelu(_lin(state, f"{layer}intermediate.dense", x))
        x = _ln(
            state, f"{layer}output.LayerNorm", x + _lin(state, f"{layer}output.dense", y), 1e-12
        )
    y = F.gelu(x[:, 0] @ state["text.proj.0.weight"].T)
    with torch.no_grad():
        _close(towers.texts(["w1 w2 w3", "w5"]), y @ state["text.proj.2.weight"].T)


class _Attack:
    def __reduce__(self):
        return (print, ("executed",))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(Refused, match="no such file"):
        convert(tmp_path / "missing.pt", tmp_path / "out")
    torch.save({"weights": _Attack()}, tmp_path / "evil.pt")
    with pytest.raises(Refused, match="plain tensors"):
        convert(tmp_path / "evil.pt", tmp_path / "out")
    torch.save({"backbone.weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(Refused, match="backbone"):
        convert(tmp_path / "other.pt", tmp_path / "out")
    with pytest.raises(Refused, match=r"config\.json does not exist"):
        load_towers(tmp_path)


def test_the_command_converts(tmp_path):
    from typer.testing import CliRunner

    from miner.cli import app

    torch.save(_clip_state(49408), tmp_path / "clip.pt")
    out = tmp_path / "out"
    args = ["models", "convert", str(tmp_path / "clip.pt"), str(out), "--activation", "gelu"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    assert "clip" in done.output
    assert (out / "model.safetensors").is_file()


def test_pictures_are_normalised_as_clip_was_trained():
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    from filters.clip.convert import CLIP_MEAN, CLIP_STD

    assert (list(CLIP_MEAN), list(CLIP_STD)) == (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
