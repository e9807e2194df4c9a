"""`miner dupes`: each dropped picture beside the one that stays for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from miner.commits import marks as read_marks
from miner.commits import read_table
from miner.core.layout import check_out
from miner.core.pixels import decode
from miner.core.store import Store
from miner.report.figure import Figure, figure
from miner.report.words import REASONS

PAGE = "report/duplicates.html"

_TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""\
<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Duplicates</title>
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"><style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; border-top: 1px solid #ccc }
.pair p { margin: .4rem 0 }
h2 { font-size: 1rem; grid-column: 1 / 3; margin: .8rem 0 0 }
img { max-width: 100% } small { opacity: .8; overflow-wrap: anywhere }
</style></head><body>
<h1>Duplicates</h1>
<p>{{ total }} dropped pictures, {{ pairs | length }} shown: on the left what was dropped, on the
right what stays for it.</p>
{% for pair in pairs %}
<div class="pair"><h2>{{ pair.how }}, similarity {{ "%.3f" | format(pair.similarity) }}:
{{ words[pair.how] }}</h2>
{% for name in (pair.dropped, pair.keeper) %}
<div>{% if name in pictures %}<img alt="{{ name }}" src="{{ pictures[name] }}">{% else %}
<p>its bytes were not kept</p>{% endif %}<p><small>{{ name }}</small></p>
{% for caption in captions[name] %}<p>{{ caption }}</p>{% endfor %}</div>
{% endfor %}
</div>
{% endfor %}
</body></html>
""")


@dataclasses.dataclass(frozen=True, order=True)
class Pair:
    """A dropped picture.

    Attributes:
        similarity: to the one that stays; 1 for exact copies.
        how: level that told them: exact, near, semantic.
        dropped: its image_id.
        keeper: image_id of the one that stays.
        rows: caption rows that were dropped with it.
    """

    similarity: float
    how: str
    dropped: str
    keeper: str
    rows: int


def pairs(store: Store) -> list[Pair]:
    """All dropped pictures, the least similar first, for these are the ones to look at.

    Raises:
        Refused: no run there.
    """
    check_out(store)
    columns = ["sample_id", "status", "reason", "duplicate_of", "similarity"]
    dropped = {}
    for name in store.names("ledger/samples", suffix=".parquet"):
        for row in store.read_table(name, columns=columns).to_pylist():
            if row["status"] == "duplicate":
                dropped[row["sample_id"]] = (row["similarity"], row["reason"], row["duplicate_of"])
    rows: dict[tuple[float, str, str, str], int] = {}
    for mark in read_marks(store).values() if dropped else ():
        samples = read_table(store, mark, "samples", ["sample_id", "image_id"])
        for sample_id, image_id in zip(*samples.to_pydict().values(), strict=True):
            if sample_id in dropped:
                similarity, how, keeper = dropped[sample_id]
                key = (similarity, how, image_id, keeper)
                rows[key] = rows.get(key, 0) + 1
    return sorted(Pair(*key, count) for key, count in rows.items())


def write_page(store: Store, shown: Sequence[Pair], total: int) -> str:
    """Write the page of some pairs into OUT; returns its name.

    Args:
        store: OUT.
        shown: pairs to show.
        total: how many there are.
    """
    wanted = {name for pair in shown for name in (pair.dropped, pair.keeper)}
    html = _TEMPLATE.render(
        pairs=shown,
        total=total,
        pictures={name: found.src for name, found in pictures(store, wanted).items()},
        captions=_captions(store, wanted),
        words=REASONS["duplicate"],
    )
    store.write(PAGE, html.encode())
    return PAGE


def pictures(store: Store, image_ids: set[str]) -> dict[str, Figure]:
    """Figures of some pictures by image_id, without masks; of those whose bytes were kept."""
    found = {}
    wanted = pa.array(sorted(image_ids), pa.string())
    for mark in read_marks(store).values() if image_ids else ():
        named = read_table(store, mark, "samples", ["image_id"])["image_id"]
        if not pc.any(pc.is_in(named, wanted)).as_py():
            continue  # pictures are a hundred times as large
        images = read_table(store, mark, "images", ["image_id", "data", "mpp"])
        here = images.filter(pc.is_in(images["image_id"], wanted))
        for image_id, data, mpp in zip(*here.to_pydict().values(), strict=True):
            if data is not None:
                found[image_id] = figure(decode(data), (), mpp)
    return found


def _captions(store: Store, image_ids: set[str]) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {name: [] for name in image_ids}
    for mark in read_marks(store).values():
        samples = read_table(store, mark, "samples", ["image_id", "caption"])
        for image_id, caption in zip(*samples.to_pydict().values(), strict=True):
            if image_id in image_ids and caption:
                captions[image_id].append(caption)
    return captions


def counted_by_level(found: Iterable[Pair]) -> dict[str, tuple[int, int]]:
    """Pictures and caption rows that were dropped, by level."""
    counts: dict[str, tuple[int, int]] = {}
    for pair in found:
        pictures, rows = counts.get(pair.how, (0, 0))
        counts[pair.how] = (pictures + 1, rows + pair.rows)
    return dict(sorted(counts.items()))
