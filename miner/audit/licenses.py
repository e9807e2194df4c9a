"""Licences of what is released: who may pass it on, and the page that says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from miner.core.shown import markdown
from miner.core.store import Store

# Licences that allow passing on changed copies, perhaps under conditions; "no derivatives" and
# "research only" do not.
OPEN = re.compile(
    r"(cc0|cc[ -]by([ -]nc)?([ -]sa)?([ -]\d\.\d)?|cc[ -]zero|pddl|odbl|odc-by|apache-2\.0|mit)"
    r"([ -]\d\.\d)?( international| unported)?",
    re.IGNORECASE,
)


def licenses(store: Store) -> dict[str, dict[str, int]]:
    """Samples by corpus and licence text, from the index of the shards."""
    found: dict[str, Counter[str]] = {}
    for name in store.names("shards", suffix=".parquet"):
        table = store.read_table(name, columns=["corpus", "license"])
        for corpus, text in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
            found.setdefault(corpus, Counter())[text or "not stated"] += 1
    return {corpus: dict(sorted(texts.items())) for corpus, texts in sorted(found.items())}


def refused(store: Store, accepted: Collection[str]) -> list[str]:
    """Licences that forbid a release, unless whoever releases has the right and says so."""
    lines = []
    for corpus, texts in licenses(store).items():
        for text, n in texts.items():
            if not OPEN.fullmatch(text.strip()) and text not in accepted:
                lines.append(
                    f"licence of {corpus} ({n} samples): {text!r} does not say that changed copies"
                    f" may be passed on; with the right to do so, --accept-license {text!r}"
                )
    return lines


def licenses_text(store: Store) -> str:
    """LICENSES.md: licence texts by corpus, as the publishers state them."""
    parts = ["# Licences", "Pictures and captions stay under the terms of their publishers."]
    for corpus, texts in licenses(store).items():
        parts.append(f"## {markdown(corpus)}")
        parts += [f"- {markdown(text)} ({n:,} samples)" for text, n in texts.items()]
    return "\n\n".join(parts) + "\n"
