"""Recorded replies of language models, by what was asked: a rerun makes no call."""

from __future__ import annotations

import hashlib
import os


class Replies:
    """One small JSON file per question, whole or not there; processes may share the folder.

    Args:
        folder: where the files lie; None records nothing.
    """

    def __init__(self, folder: str | None) -> None:
        from miner.core.store import Store

        self._store = Store(os.path.expanduser(folder)) if folder else None

    def get(self, question: bytes) -> str | None:
        """The recorded reply; None where there is none, and for a broken file.

        Args:
            question: all that the reply depends on: model, prompt, what it is asked about.
        """
        if self._store is None:
            return None
        try:
            record = self._store.read_json(_name(question))
        except (OSError, ValueError):
            return None
        reply = record.get("reply")
        # Those of earlier versions have no sum.
        sound = isinstance(reply, str) and record.get("sha256", _sum(reply)) == _sum(reply)
        return reply if sound else None

    def put(self, question: bytes, reply: str) -> None:
        """Record a reply that could be read; failures are to be asked again."""
        if self._store is not None:
            self._store.write_json(_name(question), {"reply": reply, "sha256": _sum(reply)})


def _sum(reply: str) -> str:
    return hashlib.sha256(reply.encode("utf-8", "surrogatepass")).hexdigest()


def _name(question: bytes) -> str:
    digest = hashlib.sha256(question).hexdigest()
    return f"{digest[:2]}/{digest}.json"
