"""The pictures of docs/audit.md: `python -m tests.bench.screens OUT docs`.

Report and audit page of an OUT of phantoms in headless Chromium, light and dark, on a desk and on a
phone. Needs an audit in OUT (`miner audit OUT`).
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

WIDE, PHONE = (1280, 800), (390, 780)
COLOURS = 96  # of the palette: small files in which pink and purple stay apart


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium as Debian has it."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument("--hide-scrollbars")
    with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as driver:
        yield driver


def set_up(driver: webdriver.Chrome, size: tuple[int, int], dark: bool) -> None:
    """Size of the screen, and whether its owner likes it dark."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def report(driver: webdriver.Chrome, out: Path, section: str) -> bytes:
    """A section of the report."""
    driver.get((out / "report/index.html").resolve().as_uri())
    driver.execute_script(
        "for (const i of document.images) i.loading = 'eager';"
        f"document.getElementById('{section}').scrollIntoView()"
    )
    driver.execute_async_script(
        "Promise.all([...document.images].map(i => i.decode().catch(() => 0))).then(arguments[0])"
    )
    return driver.get_screenshot_as_png()


def audit(driver: webdriver.Chrome, out: Path) -> bytes:
    """The audit page with the first mask judged and the second one asked for."""
    driver.get((out / "audit/index.html").resolve().as_uri())
    name = driver.find_element("id", "auditor")
    name.clear()
    name.send_keys("Ann" + Keys.ENTER)
    driver.find_element("tag name", "body").send_keys("1")
    driver.execute_async_script(
        "Promise.all([...document.images].map(i => i.decode().catch(() => 0))).then(arguments[0])"
    )
    return driver.get_screenshot_as_png()


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with browser() as driver:
        shots = (
            ("audit-page", WIDE, False, audit, ()),
            ("audit-page-phone", PHONE, True, audit, ()),
            ("report", WIDE, False, report, ("samples",)),
            ("report-dark", WIDE, True, report, ("concepts",)),
            ("report-phone", PHONE, False, report, ("find",)),
        )
        for name, size, dark, page, more in shots:
            set_up(driver, size, dark)
            shot = Image.open(io.BytesIO(page(driver, options.out, *more))).convert("RGB")
            file = options.folder / f"{name}.png"
            shot.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
            print(file, file.stat().st_size)


if __name__ == "__main__":
    main()
