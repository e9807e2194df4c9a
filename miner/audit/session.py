"""Judging a drawn sample from Python: what the buttons of the notebook call."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np

from miner.audit.folder import FOLDER, fresh, read_audit, read_shown, write_audit
from miner.audit.judgements import (
    HELD,
    VERDICTS,
    Judgements,
    Verdict,
    read_judgements,
    written,
)
from miner.audit.population import By
from miner.core.errors import Refused
from miner.core.store import Store
from miner.report.outlines import draw


class Session:
    """One auditor before one sample; nothing that the run thought of a mask is told.

    Args:
        store: a finished OUT on a local disk.
        auditor: who judges.
        n: masks to draw where there is no sample of these verdicts yet.
        by: what it is spread over.

    Attributes:
        verdicts: what may be said.

    Raises:
        Refused: OUT is remote, has no mask, or nobody is named.
    """

    verdicts = VERDICTS

    def __init__(self, store: Store, auditor: str, n: int = 60, by: By = "concept"):
        if not store.local:
            raise Refused(f"{store.url}: judgements are kept on a local disk; use miner audit")
        if not (name := auditor.strip()[:80]):
            raise Refused("auditor: say who judges")
        self._store, self.auditor = store, name
        self._audit = read_audit(store) if fresh(store) else write_audit(store, n, by, 0)
        self._shown = {item["item"]: item for item in read_shown(store)}
        self._file = f"{HELD}/{written(name)}.jsonl"
        held = store.read(self._file) if self._there() else b""
        self._lines = held.decode(errors="replace").splitlines()

    def _there(self) -> bool:
        return self._store.exists(self._file)

    @property
    def file(self) -> str:
        """Path of the judgements, for `miner audit OUT --judgements`."""
        return self._store.path(self._file)

    def judgements(self) -> Judgements:
        """What was judged so far; empty before the first verdict."""
        from pathlib import Path

        said = any(_of(line, self._audit["audit"]) for line in self._lines)
        return read_judgements([Path(self.file)], self._audit) if said else Judgements((), ())

    def left(self) -> list[str]:
        """Items that this auditor has not judged, in the order of the sample."""
        done = {j.item for j in self.judgements().found if j.auditor == self.auditor}
        return [i["item"] for i in self._audit["items"] if i["item"] not in done]

    def question(self, item: str) -> tuple[str, str, bytes]:
        """Concept, caption, and a PNG of the picture: as it is, and with the mask outlined."""
        shown = self._shown[item]
        picture = self._picture(shown["picture"], cv2.IMREAD_COLOR)[:, :, ::-1]
        mask = self._picture(shown["mask"], cv2.IMREAD_UNCHANGED)[:, :, 3] > 0
        both = np.concatenate([draw(picture, ()), draw(picture, [mask])], axis=1)
        png = cv2.imencode(".png", np.ascontiguousarray(both[:, :, ::-1]))[1].tobytes()
        return shown["concept"], shown["caption"], png

    def _picture(self, name: str, how: int) -> np.ndarray:
        data = np.frombuffer(self._store.read(f"{FOLDER}/{name}"), np.uint8)
        return np.asarray(cv2.imdecode(data, how))

    def judge(self, item: str, verdict: Verdict) -> None:
        """Record a verdict; it is on the disk before this returns.

        Raises:
            Refused: no such item or verdict.
        """
        if item not in self._shown or verdict not in VERDICTS:
            raise Refused(f"judge: {item!r}, {verdict!r}: an item of the sample, and one of "
                          f"{', '.join(VERDICTS)}")  # fmt: skip
        line = {"audit": self._audit["audit"], "item": item, "auditor": self.auditor,
                "verdict": verdict}  # fmt: skip
        self._keep([*self._lines, json.dumps(line, sort_keys=True)])

    def undo(self) -> None:
        """Take back the last verdict of this auditor on this sample, if there is one."""
        own = [i for i, line in enumerate(self._lines)
               if _of(line, self._audit["audit"], self.auditor)]  # fmt: skip
        self._keep([line for i, line in enumerate(self._lines) if i != max(own, default=None)])

    def _keep(self, lines: list[str]) -> None:
        self._store.write(self._file, "".join(f"{line}\n" for line in lines).encode())
        self._lines = lines

    def estimates(self) -> dict[str, Any]:
        """Precision with its interval by what was judged so far; see `estimate.estimates`."""
        from miner.audit.release import audited

        return audited(self._store, self._audit, self.judgements())


def _of(line: str, audit: str, auditor: str | None = None) -> bool:
    """Whether a line of the file belongs to a sample and, where one is named, an auditor."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(value, dict)
        and value.get("audit") == audit
        and auditor in (None, value.get("auditor"))
    )
