"""Break each rule of the BiomedParse port on purpose: does a test notice?

`python -m tests.bench.mutations` copies the package, changes one line at a time, and runs the
golden's tests on the copy. It prints a table and exits with 1 when a change goes unnoticed.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "segmenters/biomedparse"
TESTS = "tests/segmenters/biomedparse"

# (rule, file, text as it is, text that breaks the rule)
MUTATIONS = (
    (
        "prompt tokens are their own positions",
        "decoder.py",
        "expand(prompts, -1, -1), tokens), dim=1)",
        "expand(prompts, -1, -1), 0 * tokens), dim=1)",
    ),
    (
        "prompt tokens are updated layer by layer",
        "decoder.py",
        "queries, tokens = both[:, :count], both[:, count:]",
        "queries = both[:, :count]",
    ),
    (
        "start and end tokens belong to the prompt",
        "predict.py",
        "tokens = [text for text, _ in texts]",
        "tokens = [text[1:] for text, _ in texts]",
    ),
    (
        "padding is no prompt token",
        "predict.py",
        "< lengths[:, None]",
        "< lengths.max()",
    ),
    (
        "one prompt per decode",
        "predict.py",
        "padded = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True)",
        "padded = torch.cat(list(tokens))[None].expand(len(tokens), -1, -1)",
    ),
    (
        "cross-attention stays inside the mask",
        "decoder.py",
        "inside = embedded @ features[0].flatten(1) >= 0",
        "inside = embedded @ features[0].flatten(1) >= -1e9",
    ),
    (
        "a pixel is inside from probability .5 on",
        "decoder.py",
        "features[0].flatten(1) >= 0",
        "features[0].flatten(1) >= 0.2",
    ),
    (
        "masks are resized bilinearly to the level",
        "decoder.py",
        'F.interpolate(mask_features, level.shape[-2:], mode="bilinear", align_corners=False)',
        'F.interpolate(mask_features, level.shape[-2:], mode="nearest")',
    ),
    (
        "a query with an empty mask looks everywhere",
        "decoder.py",
        "return inside | ~inside.any(dim=-1, keepdim=True)",
        "return inside | (torch.arange(inside.shape[-1]) == 0)",
    ),
    (
        "attention masks come from normed queries",
        "decoder.py",
        "embedded = self.mask_embed(self.decoder_norm(queries))",
        "embedded = self.mask_embed(queries)",
    ),
    (
        "positions are normalised to 2 pi",
        "attention.py",
        "2 * math.pi\n",
        "math.pi\n",
    ),
    (
        "positions count from 1",
        "attention.py",
        "torch.arange(1, size + 1,",
        "torch.arange(0, size,",
    ),
    (
        "positions are not added to values",
        "decoder.py",
        "project_memory(memory + positions, memory)",
        "project_memory(memory + positions, memory + positions)",
    ),
    (
        "caption embedding from the normed query",
        "decoder.py",
        "return normed @ self.class_embed,",
        "return queries @ self.class_embed,",
    ),
    (
        "mask embedding has three layers with ReLU",
        "decoder.py",
        "last(F.relu(second(F.relu(first(x)))))",
        "last(second(F.relu(first(x))))",
    ),
    (
        "mask embedding from the normed query",
        "decoder.py",
        "self.mask_embed(normed)\n",
        "self.mask_embed(queries)\n",
    ),
    (
        "level order, coarsest first",
        "decoder.py",
        "level = i % LEVELS",
        "level = (LEVELS - 1 - i) % LEVELS",
    ),
    (
        "level embedding",
        "decoder.py",
        "+ self.level_embed.weight[i]",
        "",
    ),
    (
        "cross-attention before self-attention",
        "decoder.py",
        "both = feed_forward(own(both, places, keys))",
        "both = own(feed_forward(both), places, keys)",
    ),
    (
        "QuickGELU in the text encoder",
        "text.py",
        "return x * torch.sigmoid(1.702 * x)",
        "return torch.nn.functional.gelu(x)",
    ),
    (
        "norm epsilon 1e-12 in the text encoder",
        "text.py",
        "LAYER_NORM_EPS = 1e-12",
        "LAYER_NORM_EPS = 1e-5",
    ),
    (
        "causal text attention",
        "text.py",
        "causal=True",
        "causal=False",
    ),
    (
        "positions of text tokens",
        "text.py",
        "+ self.positional_embedding[: ids.shape[1]]",
        "",
    ),
    (
        "projection of the text",
        "text.py",
        "return self.lang_encoder(ids) @ self.lang_proj",
        "return self.lang_encoder(ids)",
    ),
    (
        "similarity is a cosine",
        "text.py",
        "queries = queries / (queries.norm(dim=-1, keepdim=True) + 1e-7)",
        "queries = queries * 1.0",
    ),
    (
        "bicubic resize",
        "predict.py",
        "Image.Resampling.BICUBIC",
        "Image.Resampling.BILINEAR",
    ),
    (
        "mean and deviation of the pixels",
        "predict.py",
        "return ((x - mean) / std)[None]",
        "return (x / 255)[None].float()",
    ),
    (
        "logits are resized, then squashed",
        "predict.py",
        'F.interpolate(logits[None], size, mode="bilinear", align_corners=False)\n'
        "        return resized[0].sigmoid_()",
        'F.interpolate(logits[None].sigmoid(), size, mode="bilinear", align_corners=False)\n'
        "        return resized[0]",
    ),
    (
        "modulator divided by levels + 1",
        "backbone.py",
        "total.div_(self.levels + 1)",
        "total",
    ),
    (
        "the whole picture is the last focal level",
        "backbone.py",
        "        total.addcmul_(whole, gates[:, self.levels :])\n",
        "",
    ),
    (
        "post-norm in the backbone",
        "backbone.py",
        "self.norm1(self.modulation(x))",
        "self.modulation(self.norm1(x))",
    ),
    (
        "layer scale",
        "backbone.py",
        "torch.addcmul(x, self.gamma_2, self.norm2(self.mlp(x)))",
        "x + self.norm2(self.mlp(x))",
    ),
    (
        "output norms before the downsampling",
        "backbone.py",
        'self.get_submodule(f"norm{i}")(here)',
        "here",
    ),
    (
        "nearest upsampling in the pyramid",
        "pixel_decoder.py",
        'mode="nearest")',
        'mode="bilinear")',
    ),
    (
        "no ReLU on laterals",
        "pixel_decoder.py",
        "NormedConv(channels, dim, 1, relu=False)",
        "NormedConv(channels, dim, 1, relu=True)",
    ),
    (
        "post-norm in the pixel decoder",
        "pixel_decoder.py",
        "x = self.norm1(x + self.self_attn(placed, placed, x))",
        "x = x + self.norm1(self.self_attn(placed, placed, x))",
    ),
    (
        "ReLU in the pixel decoder",
        "pixel_decoder.py",
        "self.linear2(F.relu(self.linear1(x)))",
        "self.linear2(F.gelu(self.linear1(x)))",
    ),
)


def _tests_fail(root: str) -> None:
    """Exit with 0 when the copy's tests fail; runs in a forked process."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("segmenters", "tests")]:
        del sys.modules[name]
    os.chdir(root)
    sys.path[:0] = [root]
    import pytest
    import torch

    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"{TESTS}/test_parity.py"])
    os._exit({1: 0, 0: 1}.get(int(code), 2))


def noticed(root: Path) -> bool:
    """Whether the tests of the copy at `root` fail.

    Raises:
        RuntimeError: they cannot be run at all.
    """
    process = multiprocessing.get_context("fork").Process(target=_tests_fail, args=(str(root),))
    process.start()
    process.join()
    if process.exitcode not in (0, 1):
        raise RuntimeError(f"the tests ended with {process.exitcode}")
    return process.exitcode == 0


def run() -> list[tuple[str, bool]]:
    """Each rule, and whether breaking it is noticed.

    Raises:
        RuntimeError: a text to change is not in the file any more, or the tests fail unchanged.
    """
    import pytest  # noqa: F401 - imported before the forks, so that each need not
    import torch  # noqa: F401

    results = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("segmenters", TESTS):
            shutil.copytree(ROOT / part, copy / part)
        shutil.copy(ROOT / "tests/conftest.py", copy / "tests")
        shutil.copy(ROOT / "pyproject.toml", copy)
        if noticed(copy):
            raise RuntimeError("the tests fail without any change")
        for rule, name, before, after in MUTATIONS:
            path = copy / PACKAGE / name
            text = path.read_text()
            if text.count(before) != 1:
                raise RuntimeError(f"{name}: {text.count(before)} places with {before!r}")
            path.write_text(text.replace(before, after))
            results.append((rule, noticed(copy)))
            path.write_text(text)
    return results


def main() -> None:
    """Print the table."""
    results = run()
    for rule, seen in results:
        print(f"{'noticed' if seen else 'MISSED ':8} {rule}")
    print(f"{sum(seen for _, seen in results)} of {len(results)} broken rules make a test fail")
    sys.exit(0 if all(seen for _, seen in results) else 1)


if __name__ == "__main__":
    main()
