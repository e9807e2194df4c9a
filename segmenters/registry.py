"""The configured segmenters."""

from __future__ import annotations

import hashlib
from pathlib import Path

from miner.core.errors import Refused
from miner.core.parts import find
from segmenters.config import SegmentConfig
from segmenters.protocol import Segmenter


def build(config: SegmentConfig, threads: int = 1) -> list[Segmenter]:
    """Build the configured segmenters, in their order.

    Raises:
        Refused: a model is missing or does not fit; the message names file and field.
    """
    built = [find("segmenters", one.kind).build(one, threads) for one in config.segmenters]
    names = [segmenter.name for segmenter in built]
    if len(set(names)) != len(names):
        raise Refused(f"segment.segmenters: two have the same name, got {names}; set `name`")
    return built


# Settings that name a model's file, folder or hub id.
_MODELS = ("checkpoint", "model", "detector", "sam")


def checksums(config: SegmentConfig) -> dict[str, str]:
    """Find every configured model that is a local file, before anything is loaded.

    The digests belong to the record of a run: a path alone does not say which weights answered.
    Of a folder, its weight files count; models that transformers fetches from the hub are left to
    their segmenters.

    Returns:
        "{segmenter}.{setting}" or "{segmenter}.{setting}/{file}" to hexadecimal SHA-256.

    Raises:
        Refused: a checkpoint or an exported model is not there.
    """
    found = {}
    for part in (*config.segmenters, *((config.refine,) if config.refine else ())):
        name = getattr(part, "name", "") or getattr(part, "kind", "refine")
        for setting in _MODELS:
            source = getattr(part, setting, "")
            for path in _files(source, setting, getattr(part, "kind", "")) if source else ():
                inside = f"/{path.name}" if Path(source).expanduser().is_dir() else ""
                found[f"{name}.{setting}{inside}"] = _sha256(path)
    return found


def _files(source: str, setting: str, kind: str) -> list[Path]:
    """The files on this machine that hold a model."""
    if setting == "checkpoint":
        from segmenters.biomedparse.weights import find

        return [find(source)]
    path = Path(source).expanduser()
    if path.is_dir():
        suffixes = (".safetensors", ".bin")
        return sorted(file for file in path.iterdir() if file.suffix in suffixes)
    if kind == "exported" and not path.is_file():
        raise Refused(f"{kind}.{setting}: {source} is not there")
    return [path] if path.is_file() else []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
