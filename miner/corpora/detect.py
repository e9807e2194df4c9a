"""Which corpus a path is, from names and first records."""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pydantic

from miner.core.errors import Refused
from miner.corpora.config import AnyCorpus, CorpusConfig
from miner.corpora.files import Folder, corpus_folder
from miner.corpora.pairs import SUFFIXES
from miner.corpora.records import NotAList, csv_header, json_records, jsonl_records

KNOWN = (
    "a folder, file or URL of QUILT-1M (quilt_1M_lookup.csv), PathCap (data.json), "
    "PathGen-1.6M (PathGen-1.6M.json), ARCH (books_set/captions.json), a CSV, JSON or parquet "
    "table with a picture and a caption column, WebDataset tars, "
    "a Hugging Face data set, or pictures beside .txt files"
)
_IMAGE = ("image", "image_path", "img", "file_name", "filename", "file", "path", "Figure_path")
_CAPTION = ("caption", "text", "Caption", "description", "title")
_ADAPTER: pydantic.TypeAdapter[AnyCorpus] = pydantic.TypeAdapter(CorpusConfig)


def detect(path: str) -> AnyCorpus:
    """Settings that read what lies at a path.

    Args:
        path: folder, file or fsspec URL.

    Raises:
        Refused: nothing is there, or it is no corpus; says what it looks like.
    """
    try:
        folder, file = corpus_folder(path, "")
    except Refused:
        raise Refused(f"{path}: no such file or folder") from None
    names = [file] if file else [n for n, is_dir in folder.entries() if not is_dir]
    folders = [] if file else [n for n, is_dir in folder.entries() if is_dir]
    settings = _tables(folder, names)
    if settings and settings["kind"] == "table" and _nested(folder, folders):
        settings = None  # some list beside the corpora, not the corpus
    settings = (
        settings
        or _arch(folder, names, folders)
        or _saved(folder, names)
        or _tars(folder, names)
        or _parquet(folder, names, folders)
        or (None if file or _nested(folder, folders) else _pairs(folder))
    )
    if settings is None:
        looks = _looks_file(folder, file) if file else _looks(folder, names, folders)
        raise Refused(f"{path}: looks like {looks}; expected {KNOWN}")
    return _ADAPTER.validate_python({**settings, "path": path})


def _tables(folder: Folder, names: Sequence[str]) -> dict[str, Any] | None:
    """QUILT, PathCap and PathGen by the fields of their records; any other table by its columns."""
    others = []
    for name in names:
        suffix = name.rpartition(".")[2].lower()
        fields = _fields(folder, name, suffix)
        if {"caption", "image_path"} <= fields and ("subset" in fields or "lookup" in name):
            return {"kind": "quilt"}
        if "caption" in fields and fields & {"wsi_id", "WSI_id", "WSI_ID"}:
            return {"kind": "pathgen"}
        if {"img", "caption"} <= fields and name.startswith("data"):
            return {"kind": "pathcap"}
        if fields:
            others.append(fields)
    for fields in others:
        image = next((f for f in _IMAGE if f in fields), "")
        caption = next((f for f in _CAPTION if f in fields), "")
        if image and caption:
            return {"kind": "table", "image": image, "caption": caption}
    return None


def _fields(folder: Folder, name: str, suffix: str) -> set[str]:
    if suffix not in ("csv", "tsv", "json", "jsonl", "ndjson"):
        return set()
    with folder.open(name) as file:
        if suffix in ("csv", "tsv"):
            return set(csv_header(file, "\t" if suffix == "tsv" else ",")[0]) - {""}
        records = json_records(file) if suffix == "json" else jsonl_records(file)
        try:
            first = list(itertools.islice(records, 3))
        except NotAList:
            return set()
    return {f for record in first if isinstance(record.value, dict) for f in record.value}


def _arch(folder: Folder, names: Sequence[str], folders: Sequence[str]) -> dict[str, Any] | None:
    found = "captions.json" in names or any(
        folder.isfile(f"{f}/captions.json") for f in folders if f.endswith("_set")
    )
    return {"kind": "arch"} if found else None


def _saved(folder: Folder, names: Sequence[str]) -> dict[str, Any] | None:
    return {"kind": "hf"} if {"dataset_dict.json", "state.json"} & set(names) else None


def _tars(folder: Folder, names: Sequence[str]) -> dict[str, Any] | None:
    for name in names:
        if not name.endswith(".tar"):
            continue
        with folder.open(name) as file:
            try:
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    members = [m.name for m in itertools.islice(tar, 8)]
            except tarfile.TarError:
                continue
        if any(m.endswith(".txt") for m in members):
            return {"kind": "webdataset"}
        if any(m.endswith(".json") for m in members):
            return {"kind": "webdataset", "text": "json"}
    return None


def _parquet(folder: Folder, names: Sequence[str], folders: Sequence[str]) -> dict[str, Any] | None:
    found = [n for n in names if n.endswith(".parquet")]
    if not found and "data" in folders:
        found = [n for n, _ in folder.entries("data") if n.endswith(".parquet")]
    if not found:
        return None
    try:
        with folder.open(found[0]) as file:
            schema = pq.ParquetFile(file).schema_arrow
    except pa.ArrowException:
        return None
    held = [
        f.name for f in schema if pa.types.is_struct(f.type) or pa.types.is_large_binary(f.type)
    ] + [f.name for f in schema if pa.types.is_binary(f.type)]
    caption = next((c for c in _CAPTION if c in schema.names), "")
    named = next((c for c in _IMAGE if c in schema.names), "")
    if held and caption:
        return {"kind": "hf", "image": held[0], "caption": caption}
    if named and caption:
        return {"kind": "table", "image": named, "caption": caption}
    return None


def _pairs(folder: Folder) -> dict[str, Any] | None:
    pictures, texts = set(), set()
    for name in folder.walk():
        if name.lower().endswith(SUFFIXES):
            pictures.add(name.rpartition(".")[0])
        elif name.lower().endswith(".txt"):
            texts.add(name.rpartition(".")[0])
    return {"kind": "pairs"} if pictures & texts else None


def _nested(folder: Folder, folders: Sequence[str]) -> list[tuple[str, str]]:
    """Subfolders that are one of the published corpora."""
    found = []
    for name in folders[:20]:
        inner = Folder(f"{folder.url.rstrip('/')}/{name}")
        settings = _tables(inner, [n for n, is_dir in inner.entries() if not is_dir])
        if settings and settings["kind"] != "table":
            found.append((name, settings["kind"]))
    return found


def _looks_file(folder: Folder, name: str) -> str:
    """What a single file is, in words that help."""
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if f".{suffix}".endswith(SUFFIXES):
        return "a single picture"
    fields = _fields(folder, name, suffix)
    if fields:
        return f"a table without a picture and a caption column ({', '.join(sorted(fields)[:6])})"
    return f"a .{suffix} file" if suffix else "a file"


def _looks(folder: Folder, names: Sequence[str], folders: Sequence[str]) -> str:
    """What is there, in words that help."""
    nested = _nested(folder, folders)
    if nested:
        inside = ", ".join(f"{n}/ ({kind})" for n, kind in nested)
        return f"a folder of corpora: {inside}: give these paths"
    if not names and not folders:
        return "an empty folder"
    slides = [n for n in names if n.lower().endswith((".svs", ".ndpi", ".mrxs"))]
    if slides:
        return f"a folder of {len(slides)} slides without their PathGen-1.6M.json"
    zips = [n for n in names if n.lower().endswith(".zip")]
    pictures = sum(n.lower().endswith(SUFFIXES) for n in names)
    if pictures > len(names) // 2:
        return f"a folder of {pictures} pictures without captions"
    if zips and len(zips) == len(names):
        return f"zips of pictures ({', '.join(zips[:3])}) without the table of captions"
    if any(n.endswith((".pkl", ".npy", ".mat")) for n in names):
        return "a set of arrays (" + ", ".join(names[:3]) + ")"
    shown = [*(f"{f}/" for f in folders[:3]), *names[:3]]
    return "a folder with " + ", ".join(shown) + (", ..." if len(names) + len(folders) > 6 else "")
