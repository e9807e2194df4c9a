"""Which corpus a path is, from names and first records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from miner.core.errors import Refused
from miner.core.parts import find, kinds
from miner.core.read_settings import apply_set, check
from miner.core.remote import answers
from miner.corpora.config import CorpusConfig
from miner.corpora.corpus_folder import Folder, corpus_folder
from miner.corpora.pairs import SUFFIXES
from miner.corpora.parquet import listed_schema, pictures_in
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.tables import foreign

KNOWN = (
    "a folder, file or URL of QUILT-1M (quilt_1M_lookup.csv), PathCap (data.json), "
    "PathGen-1.6M (PathGen-1.6M.json), ARCH (books_set/captions.json), a CSV, JSON or parquet "
    "table with a picture and a caption column, WebDataset tars, a set that experts annotated, "
    "a Hugging Face data set, or pictures beside .txt files"
)


def detect(path: str, sets: Sequence[str] = ()) -> CorpusConfig:
    """Settings that read what lies at a path.

    Args:
        path: folder, file or fsspec URL.
        sets: `corpora.KIND.SETTING=VALUE`: it is read as this kind, with these settings.

    Raises:
        Refused: nothing is there, or it is no corpus; says what it looks like.
    """
    meant = _meant(sets)
    answers(path, path)
    try:
        listing = Listing(*corpus_folder(path, ""))
    except Refused:
        raise Refused(f"{path}: no such file or folder") from None
    nested = _published(listing)
    for part in _readers():
        settings = None if part.general and nested else part.detect(listing)
        if part.kind == meant:
            settings = settings or {}
        if settings is not None and meant in ("", part.kind):
            value = {"corpora": [{"kind": part.kind, "path": path, **settings}]}
            for change in sets:
                apply_set(value, change)
            return check(part.Settings, value["corpora"][0], f"{path}: ")
    looks = _looks_file(listing) if listing.file else _looks(listing, nested)
    raise Refused(f"{path}: looks like {looks}; expected {KNOWN}")


def _meant(sets: Sequence[str]) -> str:
    """The kind that all of some `corpora.KIND.SETTING=VALUE` name; "" where there are none."""
    known = kinds("corpora")
    meant = ""
    for change in sets:
        section, _, rest = change.partition("=")[0].partition(".")
        kind, _, setting = rest.partition(".")
        if section != "corpora" or not setting or kind not in known:
            raise Refused(
                f"--set {change}: expected corpora.KIND.SETTING=VALUE; kinds: {', '.join(known)}"
            )
        if meant not in ("", kind):
            raise Refused(f"--set {change}: a path is read as one kind, not as {meant} and {kind}")
        meant = kind
    return meant


def _readers() -> list[CorpusPart]:
    """All readers, those of any files last."""
    parts = [find("corpora", kind) for kind in kinds("corpora")]
    return sorted((p for p in parts if isinstance(p, CorpusPart)), key=lambda part: part.general)


def _published(listing: Listing) -> list[tuple[str, str]]:
    """Subfolders that are one of the published corpora, and which."""
    published = [part for part in _readers() if not part.general]
    found = []
    for name in listing.folders[:20]:
        inner = Listing(Folder(f"{listing.folder.url.rstrip('/')}/{name}"))
        kind = next((part.kind for part in published if part.detect(inner) is not None), None)
        if kind is not None:
            found.append((name, kind))
    return found


def _looks_file(listing: Listing) -> str:
    """What a single file is, in words that help."""
    name = listing.file
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if f".{suffix}".endswith(SUFFIXES):
        return "a single picture"
    if suffix != "parquet" and (found := foreign(listing.folder, name)):
        return found
    if table := _looks_table(listing, name):
        return table
    return f"a .{suffix} file" if suffix else "a file"


def _looks_table(listing: Listing, name: str = "") -> str:
    """A table whose columns have names of their own, and how to say which they are; else ""."""
    fields = listing.fields(name) or frozenset(listed_schema(listing).names)
    if not fields:
        return ""
    kind = "hf" if pictures_in(listed_schema(listing)) else "table"
    url = listing.folder.url.rstrip("/")
    path = shlex.quote(f"{url}/{listing.file}" if listing.file else url)
    sets = " ".join(f"--set corpora.{kind}.{what}=COLUMN" for what in ("image", "caption"))
    return (
        f"a table without a picture and a caption column ({', '.join(sorted(fields)[:6])}); if two "
        f"of these are, say which: miner run quickstart.yaml --corpus {kind}={path} {sets}"
    )


def _looks(listing: Listing, nested: list[tuple[str, str]]) -> str:
    """What is there, in words that help."""
    names, folders = listing.names, listing.folders
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
    for name in names:
        if name.lower().endswith((".csv", ".tsv", ".json", ".jsonl", ".gz")):
            if found := foreign(listing.folder, name):
                return f"a folder with {name}, {found}"
    table = next((name for name in names if listing.fields(name)), "")
    if found := _looks_table(listing, table):
        return found
    shown = [*(f"{f}/" for f in folders[:3]), *names[:3]]
    return "a folder with " + ", ".join(shown) + (", ..." if len(names) + len(folders) > 6 else "")
