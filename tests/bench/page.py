"""What the audit page costs in a browser: `python -m tests.bench.page`; needs chromium.

Phantoms of 512 px with a mask each stand for the items of an audit. Opening counts from the
navigation to the first picture with its mask, a judgement from the key to the next picture on the
screen; both by the browser's own clock. Memory is what all processes of the browser hold (PSS).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from miner.audit.folder import render
from miner.demo.render import tile

OPEN_S, JUDGE_MS, MEMORY_MB = 2.0, 100.0, 500.0
SIDE_PX, PICTURES = 512, 100
SHOWN = """
const drawn = () => Promise
  .all(["picture", "mask"].map((id) => document.getElementById(id).decode()))
  .then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
"""
OPENED = f"""{SHOWN}
const done = arguments[0];
drawn().then(() => done(performance.now()));
"""
JUDGED = f"""{SHOWN}
const [times, done] = arguments;
(async () => {{
  const took = [];
  for (let i = 0; i < times; i++) {{
    const began = performance.now();
    document.dispatchEvent(new KeyboardEvent("keydown", {{ key: "1", bubbles: true }}));
    await drawn();
    took.push(performance.now() - began);
  }}
  done(took);
}})();
"""


def write(folder: Path, items: int) -> None:
    """The page of an audit with so many items."""
    for name in ("pictures", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(PICTURES):
        drawn = tile(i, SIDE_PX, 0.5, flaws=0.0)
        mask = np.full((SIDE_PX, SIDE_PX, 4), 255, np.uint8)
        mask[..., 3] = 255 * (next(iter(drawn.labels.values())) > 0)
        cv2.imwrite(str(folder / f"pictures/{i}.jpg"), drawn.image[:, :, ::-1])
        cv2.imwrite(str(folder / f"masks/{i}.png"), mask)
    caption = "Sections show crowded glands with stratified nuclei beside a desmoplastic stroma."
    found = [
        {
            "item": f"{i:016x}", "concept": "nucleus", "picture": f"pictures/{i % PICTURES}.jpg",
            "mask": f"masks/{i % PICTURES}.png", "size": [SIDE_PX, SIDE_PX], "mpp": 0.5,
            "box": [100, 100, 400, 400], "caption": f"{i}. {caption}", "span": [37, 44],
            "told": {"kept": "yes", "q-value": 0.1, "sample": f"quilt-{i:08d}-00ff00"},
        }
        for i in range(items)
    ]  # fmt: skip
    (folder / "index.html").write_text(render({"audit": "bench", "items": found}))


def memory_mb(root: int) -> float:
    """Proportional set size of all processes below one, MB."""
    below = psutil.Process(root).children(recursive=True)
    return sum(process.memory_full_info().pss for process in below) / 1e6


def measured(page: Path, times: int) -> Iterator[tuple[str, float, float, str]]:
    """Name, figure, bar and unit of each promise."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1280,800")
    service = Service(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        opened = []
        for _ in range(3):
            browser.get(page.as_uri())
            opened.append(browser.execute_async_script(OPENED) / 1000)
        yield "open", float(np.median(opened)), OPEN_S, "s"
        browser.execute_script("document.getElementById('auditor').value = 'bench'")
        took: list[Any] = browser.execute_async_script(JUDGED, times)
        for name, share in (("median", 0.5), ("95th percentile", 0.95)):
            yield f"judgement to next item, {name}", float(np.quantile(took, share)), JUDGE_MS, "ms"
        heap = browser.execute_script("return performance.memory.usedJSHeapSize") / 1e6
        yield "objects of the page", heap, MEMORY_MB, "MB"
        yield "whole browser", memory_mb(service.process.pid), MEMORY_MB, "MB"


def main() -> None:
    """Print the figures beside their bars; exit 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--judgements", type=int, default=200)
    options = parser.parse_args()
    held = True
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "audit", options.items)
        page = Path(folder) / "audit/index.html"
        print(f"{options.items} items, a page of {page.stat().st_size / 1e6:.1f} MB")
        for name, figure, bar, unit in measured(page, options.judgements):
            held = held and figure < bar
            print(f"{name}: {figure:.2f} {unit}, bar {bar:g}", flush=True)
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
