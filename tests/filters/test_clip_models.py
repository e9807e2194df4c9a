"""Checkpoints as encoders: the embedded one, and transformers classes with random weights."""

import json

import cv2
import numpy as np
import pytest
import torch

from filters.clip import ClipAgreement, ClipConfig
from filters.clip.checkpoint import CheckpointClip, load_towers
from filters.clip.embedded import WEIGHTS, EmbeddedClip, fit, read, write
from filters.clip.network import SmallClip, word_ids
from filters.clip.preprocess import from_files
from filters.layout import THRESHOLD, describe
from miner.core.errors import Refused
from tests.filters.tiny_clip import SIZES, write_clip, write_preprocessor


def picture(height=96, width=128, seed=0):
    """Dark discs on a pale ground, uint8 (H, W, 3), and their labels."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (230, 170, 200), np.uint8)
    labels = np.zeros((height, width), np.int32)
    for i in range(12):
        x, y = int(rng.integers(8, width - 8)), int(rng.integers(8, height - 8))
        cv2.circle(image, (x, y), 5, (90, 50, 140), -1)
        cv2.circle(labels, (x, y), 5, i + 1, -1)
    noisy = image + rng.normal(0, 4, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import SiglipConfig, SiglipModel

    folder = tmp_path_factory.mktemp("siglip")
    torch.manual_seed(0)
    config = SiglipConfig(
        vision_config={**SIZES, "intermediate_size": 48, "image_size": 32, "patch_size": 8},
        text_config={**SIZES, "intermediate_size": 48, "vocab_size": 40, "projection_size": 32},
    )
    SiglipModel(config).eval().save_pretrained(folder)
    words = {word: i for i, word in enumerate(["<pad>", "<unk>", "nuclei", "glands"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    write_preprocessor(folder, 32, center_crop=False)
    return folder


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("mode", ["dense", "crops"])
def test_a_checkpoint_judges_regions(request, kind, mode):
    folder = request.getfixturevalue(f"{kind}_folder")
    image, labels = picture()
    config = ClipConfig(model=str(folder), regions=mode, max_instances=4, templates=("{}",))
    (found,) = ClipAgreement(config).scores(
        image, [("nucleus", "object", labels > 0, labels, ["positive"])]
    )
    assert found["reason"] is None
    assert -1 <= found["cosine"] <= 1
    assert 0 <= found["prob"] <= 1
    assert found["instance_worst"] <= found["instance_median"]


def test_attention_pooling_over_everything_is_the_models_own(siglip_folder):
    towers, prepare = load_towers(siglip_folder)
    pixels = prepare(picture(32, 32)[0])[None]
    with torch.no_grad():
        tokens = towers.tokens(pixels)
        pooled = towers.pool(tokens, torch.ones(2, len(tokens)))
        torch.testing.assert_close(pooled[:1], towers.pictures(pixels), rtol=1e-4, atol=1e-5)
        part = torch.zeros(1, len(tokens))
        part[0, :3] = 1
        alone = towers.pool(tokens[:3], torch.ones(1, 3))
        torch.testing.assert_close(towers.pool(tokens, part), alone, rtol=1e-3, atol=1e-4)


def test_the_last_block_without_mixing_keeps_tokens_in_place(clip_folder):
    """With one block only, a token depends on its own patch alone."""
    from transformers import CLIPConfig, CLIPModel

    from filters.clip.towers import ClipTowers

    config = CLIPConfig.from_pretrained(clip_folder)
    config.vision_config.num_hidden_layers = 1
    torch.manual_seed(1)
    towers = ClipTowers(CLIPModel(config).eval(), lambda texts: {})
    pixels = torch.randn(1, 3, 32, 32)
    changed = pixels.clone()
    changed[:, :, :8, :8] += 1
    with torch.no_grad():
        moved = (towers.tokens(pixels) - towers.tokens(changed)).abs().amax(1)
    assert moved[0] > 1e-3
    assert moved[1:].max() < 1e-6


def test_the_picture_is_prepared_as_transformers_does(clip_folder):
    from PIL import Image
    from transformers import AutoImageProcessor

    image, _ = picture(60, 81)
    processor = AutoImageProcessor.from_pretrained(clip_folder, backend="pil")
    wanted = processor(Image.fromarray(image), return_tensors="pt")["pixel_values"][0]
    _, prepare = load_towers(clip_folder)
    torch.testing.assert_close(prepare(image), wanted, rtol=0, atol=1e-5)


def test_pictures_of_any_shape_keep_their_grid(clip_folder):
    encoder = CheckpointClip(ClipConfig(model=str(clip_folder)), threads=1)
    dense = encoder.dense(picture(40, 120)[0])
    assert dense.shape[:2] == (3, 8)  # 64 px on the long side, patches of 8
    assert np.isfinite(dense).all()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "vit"}'), "'vit'"),
    ],
)
def test_a_broken_folder_is_refused(clip_folder, tmp_path, break_it, message):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(clip_folder, folder)
    break_it(folder)
    with pytest.raises(Refused, match=message):
        CheckpointClip(ClipConfig(model=str(folder)), threads=1)


def test_a_name_that_is_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Refused, match=r"filters\.clip\.model: no such/model at all"):
        CheckpointClip(ClipConfig(model="no such/model at all"), threads=1)


def test_open_clips_own_preprocessing_is_read():
    stated = json.dumps({"preprocess_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1], "size": 48}})
    prepare = from_files({"open_clip_config.json": stated}, 32, "here")
    assert (prepare.side_px, prepare.resample) == (48, 3)
    with pytest.raises(Refused, match="no JSON"):
        from_files({"preprocessor_config.json": "{"}, 32, "here")
    with pytest.raises(Refused, match="not defined"):
        from_files({}, 32, "here")


def test_the_embedded_weights_are_small_and_survive_writing():
    assert len(WEIGHTS.read_bytes()) <= 5_000_000
    net, judged = read(WEIGHTS)
    again, judged_again = read(write(net, judged))
    assert judged == judged_again
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_embedded_clip_knows_what_it_was_taught():
    clip = EmbeddedClip()
    assert clip.judged_as("gland") == "gland"
    assert clip.judged_as("endometrial gland") == "gland"
    assert clip.judged_as("amyloid") is None


def test_dense_and_region_shapes():
    clip = EmbeddedClip()
    image, _ = picture(96, 128)
    dense = clip.dense(image)
    assert dense.shape[:2] == (24, 32)
    weights = np.zeros((3, 24, 32), np.float32)
    weights[0, 3:9, 3:9] = weights[1] = 1
    weights[2, 5, 5] = 0.25
    found = clip.regions(dense, weights)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert fit(np.zeros((2000, 1000, 3), np.uint8), 640).shape == (640, 320, 3)


def test_the_embedded_clip_tells_dark_discs_from_their_ground():
    image, labels = picture(192, 256, seed=1)
    clip = ClipAgreement(ClipConfig())
    nuclei, moved = clip.scores(
        image,
        [
            ("nucleus", "object", labels > 0, labels, []),
            ("nucleus", "object", np.roll(labels > 0, 20, 1), None, []),
        ],
    )
    assert nuclei["cosine"] > moved["cosine"]
    assert nuclei["margin_complement"] > 0.1


def test_words_share_their_trigrams():
    (one,), (many,) = word_ids("lymphocyte"), word_ids("lymphocytes")
    assert len(set(one) & set(many)) >= 8
    assert word_ids("!?") == [[1]]
    texts = SmallClip().eval().text(["glands", "no glands"])
    assert texts.shape == (2, 128)


def _shifted(image, dy, dx, margin=8):
    height, width = image.shape[:2]
    return image[margin + dy : height - margin + dy, margin + dx : width - margin + dx]


def _textured(seed, side=400):
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), (225, 160, 200), np.float32)
    for _ in range(200):
        x, y = rng.integers(0, side, 2)
        colour = (70 + 60 * rng.random(), 40 + 40 * rng.random(), 130)
        cv2.circle(image, (int(x), int(y)), int(rng.integers(4, 9)), colour, -1)
    return np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)


def test_near_duplicates_are_found_and_other_tiles_are_not():
    tiles = [_textured(seed) for seed in range(12)]
    own = np.stack([describe(_shifted(tile, 0, 0)) for tile in tiles])
    copies = []
    for tile in tiles:
        _, data = cv2.imencode(".jpg", _shifted(tile, 3, -3), [cv2.IMWRITE_JPEG_QUALITY, 60])
        copies.append(describe(cv2.imdecode(data, cv2.IMREAD_COLOR)))
    cosines = np.stack(copies) @ own.T
    assert np.diag(cosines).min() > THRESHOLD
    assert (cosines - 2 * np.eye(12)).max() < THRESHOLD - 0.1
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), 1, rtol=1e-5)


def test_empty_pictures_are_duplicates_of_each_other_only():
    blank = np.full((2, 256, 256, 3), 240, np.float32)
    blank += np.random.default_rng(0).normal(0, 2, blank.shape)
    one, other = (describe(b.astype(np.uint8)) for b in blank)
    assert one @ other > THRESHOLD
    assert one @ describe(_textured(0)) < 0.5
