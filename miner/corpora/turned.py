"""Readers of texts in turns: tables beside pictures, parquet with pictures in it, pickles.

A row is a dialogue, or a question with its answer. Rows of one picture are a unit's rows, so that
it is read, segmented and judged once for all of them.
"""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from miner.core.errors import Refused
from miner.core.names import plain
from miner.corpora.config import PicturesConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.dialogues import (
    ANSWER,
    CONVERSATIONS,
    IMAGE,
    QUESTION,
    BadDialogue,
    image_of,
    turned,
)
from miner.corpora.hf import Hf, HfConfig
from miner.corpora.in_files import InFiles
from miner.corpora.parquet import listed_schema, pictures_in
from miner.corpora.part import CorpusPart, Listing, first_of
from miner.corpora.rows import Entry, Place, Reader, Row, hash64
from miner.corpora.table import Table, TableConfig
from miner.corpora.tables import columns_of

PICKLES = "_qa.pkl"


class TurnsConfig(PicturesConfig):
    """Texts in turns about pictures.

    Attributes:
        split: of parquet files with the pictures in them; all other files are read whole.
    """

    split: str = "train"


class ConversationsConfig(TurnsConfig):
    """Dialogues as LLaVA's JSON has them: Quilt-Instruct, PathGen-Instruct, reasoning sets."""

    kind: Literal["conversations"]


class VqaConfig(TurnsConfig):
    """Questions and answers: PathVQA, Quilt-VQA, PMC-VQA, and tables of such columns."""

    kind: Literal["vqa"]


class TableTurns(Table):
    """Reader of CSV, JSON and JSON lines whose pictures are files."""

    def __init__(self, config: TurnsConfig, image: str, text: str):
        shared = {k: v for k, v in config.model_dump().items() if k in TableConfig.model_fields}
        shared |= {"kind": "table", "name": corpus_name(config), "image": image, "caption": text}
        super().__init__(TableConfig.model_validate(shared))

    def _value(self, table: int, value: Any) -> dict[str, Any]:
        """The record, its picture named as its file is."""
        found = super()._value(table, value)
        try:
            return {**found, self.config.image: image_of(found)}
        except BadDialogue as bad:
            return {**found, self.config.image: None, "": str(bad)}

    def _row(self, place: Place, found: Any) -> Row:
        row = Row(place.row)
        if isinstance(found, str):
            return row.fail("unreadable", found)
        if isinstance(found, list) and not self._sheets[place.table].fits(found):
            row.fail("unreadable", "wrong_number_of_fields")
        value = self._value(place.table, found)
        if "" in value and value[self.config.image] is None:
            return row.fail("unreadable", value[""])
        return turned(row, value, value[self.config.image])


class HfTurns(Hf):
    """Reader of parquet whose pictures lie in the rows."""

    def __init__(self, config: TurnsConfig, image: str, text: str):
        shared = {k: v for k, v in config.model_dump().items() if k in HfConfig.model_fields}
        shared |= {"kind": "hf", "name": corpus_name(config), "image": image, "caption": text}
        super().__init__(HfConfig.model_validate(shared))

    def _read(self, row: Row, value: Mapping[str, Any]) -> None:
        """Take the turns and the side columns of a record."""
        turned(row, {k: v for k, v in value.items() if k != self.config.image}, row.image)


class PickledTurns(InFiles):
    """Reader of PathVQA as published: `qas/{split}/{split}_qa.pkl` and `images/{split}/`.

    Pickles are read without running what they name: those that name anything are refused.
    """

    def __init__(self, config: TurnsConfig, tables: tuple[str, ...]):
        folder, _ = corpus_folder(config.path, corpus_name(config))
        super().__init__(folder, tables, config, relative=True)
        self._records = functools.cache(self._load)

    def _load(self, table: int) -> list[Any]:
        name = self.tables[table]
        try:
            found = _Plain(io.BytesIO(self.folder.read(name))).load()
        except (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError) as error:
            raise Refused(
                f"{self.folder.field}: {self.folder.path(name)}: no pickle of plain values: {error}"
            ) from None
        if not isinstance(found, list):
            raise Refused(f"{self.folder.field}: {self.folder.path(name)}: expected a list")
        return found

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Records by their number; those of a picture belong together."""
        for at, value in enumerate(self._records(table)[start:], start):
            image = hash64(plain(_named(value)))
            yield Entry(at, 1, image, image)

    def rows(self, places: list[Place]) -> list[Row]:
        """Questions with their answers."""
        rows = []
        for place in places:
            value = self._records(place.table)[place.offset]
            row = Row(place.row)
            if isinstance(value, Mapping) and (name := _named(value)):
                rows.append(turned(row, value, name))
            else:
                rows.append(row.fail("unreadable", "no_image"))
        return rows


class _Plain(pickle.Unpickler):
    """Reads texts, numbers, lists and dicts alone."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _named(value: Any) -> str:
    try:
        return image_of(value) if isinstance(value, Mapping) else ""
    except BadDialogue:
        return ""


def _build(config: TurnsConfig, threads: int) -> Reader:
    folder, file = corpus_folder(config.path, corpus_name(config))
    found = layout(Listing(folder, file), config.split)
    if found is None:
        raise Refused(
            f"{folder.field}: {config.path}: expected a table with a picture and `conversations`, "
            "`messages` or `question` and `answer`, or PathVQA's *_qa.pkl"
        )
    return found(config)


def layout(at: Listing, split: str = "") -> Any:
    """What reads the texts in turns at a path, from its settings; None where there are none."""
    for name in at.names:
        image, text = _columns(_fields(at, name))
        if image and text:
            return lambda config: TableTurns(_of_table(config, at, name), image, text)
    schema = listed_schema(at)
    image, text = _columns(frozenset(schema.names))
    if text and (held := pictures_in(schema)):
        return lambda config: HfTurns(config, held[0], text)
    if image and text and at.file:
        return lambda config: TableTurns(config, image, text)
    if not at.file:
        pickles = tuple(sorted(n for n in at.folder.walk() if n.endswith(PICKLES)))
        if pickles:
            return lambda config: PickledTurns(config, pickles)
    return None


def _fields(at: Listing, name: str) -> frozenset[str]:
    """Columns of a table, whatever file type it has."""
    if name.endswith(".parquet"):
        return frozenset()
    if name.lower().endswith((".csv", ".tsv")):
        with at.folder.open(name) as file:
            return frozenset(columns_of(file))
    return at.fields(name)


def _columns(fields: frozenset[str]) -> tuple[str, str]:
    """Columns of the picture and of the text, "" for what is not there."""
    text = first_of(CONVERSATIONS, fields)
    if not text and first_of(ANSWER, fields):
        text = first_of(QUESTION, fields)
    return first_of(IMAGE, fields), text


def _of_table(config: TurnsConfig, at: Listing, name: str) -> TurnsConfig:
    """Settings that name the table itself, where several files lie in the folder."""
    if at.file:
        return config
    return config.model_copy(update={"path": f"{config.path.rstrip('/')}/{name}"})


def _part(settings: type[TurnsConfig], kind: str, listed: bool) -> CorpusPart:
    def detect(at: Listing) -> Mapping[str, Any] | None:
        fields = [_fields(at, name) for name in at.names] + [frozenset(listed_schema(at).names)]
        lists = any(first_of(CONVERSATIONS, names) for names in fields)
        return {} if lists == listed and layout(at) is not None else None

    return CorpusPart(kind=kind, Settings=settings, build=_build, detect=detect)


PARTS = {
    part.kind: part
    for part in (
        _part(ConversationsConfig, "conversations", True),
        _part(VqaConfig, "vqa", False),
    )
}
