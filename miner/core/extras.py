"""Packages that not everybody installs: which extra of `histomine` brings each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from miner.core.errors import Refused

# Extra in pyproject.toml -> what modules import of it.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "report": ("jinja2", "markupsafe", "matplotlib", "nbformat", "pandas"),
    "mine": (
        "faiss",
        "huggingface_hub",
        "instant_clip_tokenizer",
        "openai",
        "openslide",
        "ray",
        "safetensors",
        "scipy",
        "scispacy",
        "skimage",
        "spacy",
        "transformers",
    ),
    "hf": ("datasets",),
    "s3": ("s3fs",),
    "onnx": ("onnxruntime",),
}
_EXTRA = {module: extra for extra, modules in EXTRAS.items() for module in modules}


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Turn the lack of a package in the block into one line that says how to get it.

    Raises:
        Refused: a package is missing that an extra brings; other errors pass.
    """
    try:
        yield
    except ImportError as error:
        cause: BaseException | None = error  # fsspec hides what it lacks behind its own message
        while cause is not None:
            module = (getattr(cause, "name", None) or "").split(".")[0]
            if module in _EXTRA and isinstance(cause, ModuleNotFoundError):
                line = f"pip install 'histomine[{_EXTRA[module]}]'"
                raise Refused(f"{module} is not installed; get it with: {line}") from error
            cause = cause.__cause__
        raise
