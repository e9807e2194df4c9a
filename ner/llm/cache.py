"""Recorded replies on disk, by content: a rerun makes no call."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from ner.llm.prompt import VERSION


class ReplyCache:
    """One small JSON file per (model, prompt version, caption), written atomically.

    Several processes may share the folder. Only answers are recorded, never failures.

    Args:
        folder: where the files lie; None records nothing.
        model: model name; replies of other models are not found.
    """

    def __init__(self, folder: str | None, model: str) -> None:
        self._folder = Path(folder).expanduser() if folder else None
        self._model = model

    def _path(self, caption: str) -> Path | None:
        if self._folder is None:
            return None
        content = json.dumps([self._model, VERSION, caption]).encode()
        name = hashlib.sha256(content).hexdigest()
        return self._folder / name[:2] / f"{name}.json"

    def get(self, caption: str) -> str | None:
        """Return the recorded answer for a caption, or None; a broken file counts as none."""
        path = self._path(caption)
        if path is None:
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        reply = record.get("reply") if isinstance(record, dict) else None
        return reply if isinstance(reply, str) else None

    def put(self, caption: str, reply: str) -> None:
        """Record the answer for a caption."""
        path = self._path(caption)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"model": self._model, "prompt_version": VERSION, "reply": reply}
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file)
        os.replace(temporary, path)
