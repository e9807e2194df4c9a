"""The worst regions drawn: what was mined beside what an expert outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.store import Store
from miner.evaluate.regions import Judged, judged, pictures_of
from miner.evaluate.truth import Truth, truth_of
from miner.report.figure import data_uri
from miner.report.outlines import draw
from shards.load import GroundedCaptions

MINED, EXPERT = (255, 90, 31), (0, 160, 255)  # RGB; orange and blue, told apart by everybody

_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""\
<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Worst regions</title>
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem }
figure { margin: 0 } img { width: 100%; display: block } figcaption { overflow-wrap: anywhere }
</style></head><body><h1>Worst regions</h1>
<p>{{ cases | length }} of {{ total }} judged regions, the lowest IoU first. Orange is what was
mined, blue what an expert outlined; without blue, the gold says that it is not there.</p><main>
{% for case, picture in cases %}
<figure><img alt="{{ case.concept }} in {{ case.image }}" src="{{ picture }}">
<figcaption><b>{{ case.concept }}</b>, IoU {{ "%.2f" | format(case.iou) }}
{% if case.score is not none %}, score {{ "%.2f" | format(case.score) }}{% endif %}<br>
{{ case.key }}</figcaption></figure>
{% endfor %}
</main></body></html>
""")


def worst(found: Sequence[Judged], n: int) -> list[Judged]:
    """The judged regions of the lowest IoU, of equal ones those that score highest first."""
    known = [j for j in found if j.iou is not None]
    return sorted(known, key=lambda j: (j.iou, -(j.score or 0), j.key, j.concept))[:n]


def write_worst(store: Store, masks: Path, file: Path, n: int = 24) -> int:
    """Write a page of the worst regions; returns how many.

    Raises:
        Refused: nothing was judged, or the file cannot be written.
    """
    truth = truth_of(masks, pictures_of(store))
    found = judged(store, truth)
    cases = worst(found, n)
    if not cases:
        raise Refused(f"--worst: no region of {store.url} could be judged by {masks}")
    data = GroundedCaptions(store.url, None)
    at = {key: place for place, key in enumerate(data.index["key"].to_pylist())}
    pictures = [_drawn(data[at[case.key]], case, truth) for case in cases]
    total = sum(j.iou is not None for j in found)
    html = _PAGE.render(cases=list(zip(cases, pictures, strict=True)), total=total)
    try:
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        raise Refused(f"--worst {file}: {error.strerror}") from None
    return len(cases)


def _drawn(item: dict[str, Any], case: Judged, truth: Truth) -> str:
    sample = item["sample"]
    region = next(r for r in sample["regions"] if r["concept"] == case.concept)
    masks = [decode(region["rle"]["counts"], *region["rle"]["size"])]
    labels = truth.labels(case.corpus, case.image, case.judged_as or case.concept)
    if labels is not None:
        masks.append(labels > 0)
    picture = item["image"].numpy()
    return data_uri(draw(picture, masks, (MINED, EXPERT)))
