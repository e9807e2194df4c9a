"""The folder of an export: streamed files that appear whole, and what got lost on the way."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NotRequired

from typing_extensions import TypedDict

from miner.core.errors import Refused
from miner.core.store import Store
from shards.sample import GroundedSample


class VisualPrompt(TypedDict):
    """A place in the picture that a question means.

    Attributes:
        kind: point, box or scribble.
        points: x and y of each, px; of a box two corners.
    """

    kind: str
    points: list[list[int]]


class PlacedPrompt(VisualPrompt):
    """And the turn that asks about it.

    Attributes:
        turn: position in `turns`.
    """

    turn: int


class ExportedSample(GroundedSample):
    """A grounded sample, or a dialogue about one.

    Attributes:
        prompts: places that the user's turns mean, of dialogues only.
        tasks: of each exchange, likewise.
    """

    prompts: NotRequired[list[PlacedPrompt]]
    tasks: NotRequired[list[str]]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a sample lies in the shards of its run.

    Attributes:
        store: OUT.
        tar: entry of the tar in the manifest.
        start: byte of the header of its first member.
        end: byte behind its last member.
    """

    store: Store
    tar: Mapping[str, Any]
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Sample:
    """A grounded sample on its way out.

    Attributes:
        value: the sample as packed.
        image: the publisher's bytes.
        format: jpg or png.
        split: name of the split.
        place: in the shards of a run, None where it comes from none.
    """

    value: ExportedSample
    image: bytes
    format: str
    split: str
    place: Place | None = None

    @property
    def key(self) -> str:
        """Key of the sample."""
        return self.value["key"]

    @property
    def name(self) -> str:
        """File name of the picture."""
        return f"{self.key}.{self.format}"


class Folder:
    """An export in the making, under a temporary name beside its final one.

    Args:
        path: final folder; must not exist, or be empty.

    Attributes:
        losses: how often what was lost, by reason.
        generated: how many samples have a text that nobody published.
        files: small files written so far.
        notes: what a user must know before training on it.

    Raises:
        Refused: there is something already.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise Refused(f"--out {path}: is there already and not empty")
        self._work = self.path.with_name(f"{self.path.name}.tmp-{uuid.uuid4().hex[:8]}")
        self._stack = contextlib.ExitStack()
        self._made: set[Path] = set()
        self._losses: IO[str] | None = None
        self._pictures: IO[str] | None = None
        self._generated: IO[str] | None = None
        self.losses: Counter[str] = Counter()
        self.generated = 0
        self.files = 0
        self.notes: list[str] = []

    @property
    def root(self) -> Path:
        """Where the files are while the export grows, for libraries that write themselves."""
        return self._work

    def __enter__(self) -> Folder:
        try:
            self._work.mkdir(parents=True)
        except OSError as error:
            raise Refused(f"--out {self.path}: {error.strerror or error}") from None
        self._losses = self.open_text("LOSSES.jsonl")
        self._pictures = self.open_text("PICTURES.jsonl")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        try:
            self._stack.close()
            if kind is None:
                if self.path.exists():
                    self.path.rmdir()
                os.replace(self._work, self.path)
        finally:
            shutil.rmtree(self._work, ignore_errors=True)

    def lose(self, key: str, phrase: str | None, why: str, done: str) -> None:
        """Note what the dialect cannot say.

        Args:
            key: of the sample.
            phrase: text of the phrase, None for the whole sample.
            why: what the consumer's code does with it.
            done: dropped, merged, split, changed.
        """
        assert self._losses is not None
        self.losses[f"{done}: {why}"] += 1
        row = {"key": key, "phrase": phrase, "why": why, "done": done}
        self._losses.write(json.dumps(row) + "\n")

    def mark(self, key: str, start: int) -> None:
        """Note in GENERATED.jsonl that nobody published the text of a sample.

        Args:
            key: of the sample.
            start: first character of the caption that was composed.
        """
        if self._generated is None:
            self._generated = self.open_text("GENERATED.jsonl")
        self.generated += 1
        self._generated.write(json.dumps({"key": key, "generated_from": start}) + "\n")

    def name_picture(self, sample: GroundedSample) -> None:
        """Note in PICTURES.jsonl what its publisher calls the picture of a sample."""
        assert self._pictures is not None
        row = {name: sample[name] for name in ("key", "corpus", "image")}
        self._pictures.write(json.dumps(row, ensure_ascii=False) + "\n")

    def say(self, note: str) -> None:
        """Tell the user something at the end."""
        self.notes.append(note)

    def put(self, name: str, data: bytes) -> None:
        """Write a small file, such as a picture."""
        with open(self._place(name), "wb") as file:
            file.write(data)
        self.files += 1

    def open_text(self, name: str) -> IO[str]:
        """Open a text file that is closed with the folder."""
        path = self._place(name)
        return self._stack.enter_context(open(path, "w", encoding="utf-8", newline="\n"))

    def put_json(self, name: str, value: Any) -> None:
        """Write a whole JSON file."""
        self.put(name, json.dumps(value).encode() + b"\n")

    def open_list(self, name: str) -> JsonList:
        """Open a JSON list to stream into; an empty list when nothing comes."""
        stream = JsonList(self.open_text(name))
        self._stack.callback(stream.close)
        return stream

    def spool(self) -> IO[str]:
        """A scratch text file outside the export."""
        path = self._work.with_name(f"{self._work.name}-{uuid.uuid4().hex[:8]}")
        file = self._stack.enter_context(open(path, "w+", encoding="utf-8"))
        self._stack.callback(path.unlink, missing_ok=True)
        return file

    def scratch(self, suffix: str) -> Path:
        """Path of a scratch file outside the export, removed with the folder's closing."""
        path = self._work.with_name(f"{self._work.name}-{uuid.uuid4().hex[:8]}-{suffix}")
        self._stack.callback(path.unlink, missing_ok=True)
        return path

    def _place(self, name: str) -> Path:
        path = self._work / name
        if ".." in path.parts or not path.is_relative_to(self._work):
            raise Refused(f"--out {self.path}: {name!r} would lie outside of it")
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        return path


class JsonList:
    """A JSON list written item by item, so that memory stays flat."""

    def __init__(self, file: IO[str]):
        self._file = file
        self._first = True
        file.write("[")

    def add(self, value: Any) -> None:
        """Append an item."""
        self.add_text(json.dumps(value))

    def add_text(self, text: str) -> None:
        """Append an item that is JSON already."""
        self._file.write(("\n" if self._first else ",\n") + text)
        self._first = False

    def close(self) -> None:
        """Close the bracket; the file itself is closed by the folder."""
        self._file.write("\n]\n")


class Lists:
    """JSON lists by split, opened when the first item of the split comes.

    Args:
        folder: the export.
        pattern: file name with `{split}`.
    """

    def __init__(self, folder: Folder, pattern: str):
        self._folder = folder
        self._pattern = pattern
        self._open: dict[str, JsonList] = {}

    def __getitem__(self, split: str) -> JsonList:
        if split not in self._open:
            self._open[split] = self._folder.open_list(self._pattern.format(split=split))
        return self._open[split]
