"""Data and a script inside a page that works from a disk: nothing else in it may run."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from markupsafe import Markup


def data(value: Any) -> Markup:
    """A value as the text of a JSON script element, in which no tag can open or close."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def digest(script: str) -> str:
    """What a content security policy calls a script by: base64 of its sha256."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
