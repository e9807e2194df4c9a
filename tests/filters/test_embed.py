import io
import types

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from filters.config import DedupeConfig
from filters.embed import Embed, VisionModel
from miner.core.errors import Refused
from miner.core.unit import SAMPLES, Unit


def picture(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 250, size=(6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def embed(config: DedupeConfig, *pictures: bytes | None) -> list[np.ndarray | None]:
    images = pa.table(
        {
            "image_id": [f"q/{i}" for i in range(len(pictures))],
            "data": pa.array(pictures, pa.large_binary()),
        }
    )
    unit = Embed(config)(Unit(SAMPLES.empty_table(), images))
    rows = unit.images["embedding"].to_pylist()
    return [None if row is None else np.array(row) for row in rows]


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> str:
    """A tiny vision transformer with its preprocessor file."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ViTModel(ViTConfig(**sizes, intermediate_size=32, image_size=32, patch_size=8)).save_pretrained(
        folder
    )
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 32}'
    )
    return str(folder)


@pytest.mark.parametrize("model", ["embedded", "vit"])
def test_equal_pictures_have_equal_unit_vectors_and_unreadable_ones_none(model, request):
    name = request.getfixturevalue("vit") if model == "vit" else model
    pictures = (picture(1), picture(1), None, picture(1)[:60], picture(2))
    a, b, none, cut, c = embed(DedupeConfig(model=name), *pictures)
    assert none is None
    assert cut is None
    np.testing.assert_allclose(np.linalg.norm(a), 1, atol=1e-5)
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c, atol=1e-4)


def test_a_missing_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(Refused, match=r"dedupe\.model") as caught:
        Embed(DedupeConfig(model=str(tmp_path / "nothing")))
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_pool_gives_the_mean_of_its_tokens(vit):
    import torch

    model = VisionModel(vit)
    tokens = torch.tensor([[[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]])
    model.model = lambda pixel_values: types.SimpleNamespace(last_hidden_state=tokens)
    np.testing.assert_allclose(model(np.zeros((32, 32, 3), np.uint8)), [0.6, 0.8, 0.0], atol=1e-6)
