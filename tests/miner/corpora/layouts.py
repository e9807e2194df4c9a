"""The publishers' layouts in miniature, with the quirks of the real files."""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tifffile
from PIL import Image

from miner.core.parts import find
from miner.core.store import Store
from miner.corpora.config import CorpusConfig
from miner.corpora.plan import load_unit, make_plan

QUILT_COLUMNS = (
    ",caption,image_path,subset,split,pathology,roi_text,noisy_text,corrected_text,med_umls_ids,"
    "magnification,height,width,not_histology,single_wsi"
).split(",")


def config(kind: str, path: Any, **settings: Any) -> CorpusConfig:
    """A corpus section."""
    return find("corpora", kind).Settings(kind=kind, path=str(path), **settings)


def read_all(
    corpus: CorpusConfig, out: Any, unit_rows: int = 4
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Plan and load everything: samples by row number, images by image_id."""
    store = Store(str(out))
    plan = make_plan([corpus], unit_rows, store)
    samples, images = [], {}
    for ref in plan.refs():
        unit = load_unit(ref, [corpus], store)
        assert unit.samples.num_rows == ref.rows
        samples += unit.samples.to_pylist()
        for image in unit.images.to_pylist():
            lies = image["image_id"] in images and image["data"] is not None
            assert not lies, "a picture lies in two units"
            images[image["image_id"]] = image
    assert len(samples) == sum(plan.rows.values())
    assert len({s["sample_id"] for s in samples}) == len(samples)
    assert all((s["status"] is None) == (s["reason"] is None) for s in samples)
    for sample in samples:
        held = images[sample["image_id"]]["data"] is not None
        assert held or sample["status"] is not None
    return sorted(samples, key=lambda s: s["row"]), images


def fates(samples: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """`status:reason` per row, None while in play."""
    return [s["status"] and f"{s['status']}:{s['reason']}" for s in samples]


def picture(seed: int = 0, size: tuple[int, int] = (40, 30), format_: str = "JPEG") -> bytes:
    """A noisy pink picture, width by height."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(120, 220, (size[1], size[0], 3), dtype=np.uint8)
    pixels[..., 1] //= 2
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_)
    return buffer.getvalue()


def quilt_row(number: int, **cells: Any) -> list[Any]:
    """A complete row of the lookup table; `cells` replace columns by name."""
    row: dict[str, Any] = {
        "": number,
        "caption": f"Tumor cells in row {number}.",
        "image_path": f"vid{number}_image_{number}.jpg",
        "subset": "quilt",
        "split": "train",
        "pathology": "['Gastrointestinal']",
        "roi_text": "[' tumor cells']",
        "noisy_text": "['tumor cells']",
        "corrected_text": '["it\'s tumor cells"]',
        "med_umls_ids": "[[{'entity': 'Neoplasms', 'cui': 'C1'}], [{'entity': 'Cell', 'x': None}]]",
        "magnification": "2.0",
        "height": "30.0",
        "width": "40.0",
        "not_histology": "0.0",
        "single_wsi": "1.0",
    }
    return [*(row | cells).values()]


def write_quilt(
    folder: Path,
    rows: Sequence[Sequence[Any]],
    columns: Sequence[str] = QUILT_COLUMNS,
    encoding: str = "utf-8",
) -> Path:
    """Write the lookup table."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "quilt_1M_lookup.csv", "w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return folder


def write_images(folder: Path, names: Sequence[str]) -> None:
    """Write a picture per name."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        (folder / name).write_bytes(picture(seed))


def write_zip(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """Write a zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_json(path: Path, value: Any) -> Path:
    """Write JSON; returns the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    return path.parent


def write_slide(
    path: Path, size: int = 2048, mpp: float | None = 0.5, white: tuple[int, int] | None = None
) -> np.ndarray:
    """Write a tiled TIFF that OpenSlide opens; returns its pixels.

    Args:
        path: where.
        size: side in pixels, a multiple of 256.
        mpp: um per pixel, in the TIFF resolution; None writes none.
        white: upper left corner of a white square of 672 pixels.
    """
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    small = rng.integers(90, 200, (size // 16, size // 16, 3), dtype=np.uint8)
    pixels = small.repeat(16, axis=0).repeat(16, axis=1)
    if white:
        x, y = white
        pixels[y : y + 672, x : x + 672] = 250
    resolution = (1e4 / mpp, 1e4 / mpp) if mpp else None
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path,
        pixels,
        tile=(256, 256),
        photometric="rgb",
        compression="zlib",
        resolution=resolution,
        resolutionunit="CENTIMETER" if mpp else None,
        metadata=None,
    )
    return pixels


def pathgen_record(wsi_id: str, x: Any, y: Any, caption: str = "Tumor cells.") -> dict[str, Any]:
    """A record as in the full release."""
    return {
        "wsi_id": wsi_id,
        "position": [str(x), str(y)],
        "caption": caption,
        "file_id": f"file-{wsi_id}",
    }


def image_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of {image: {bytes, path}, ...} with the type the datasets library writes."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    names = [k for k in rows[0] if k != "image"]
    columns = {k: pa.array([r.get(k) for r in rows]) for k in names}
    return pa.table({"image": pa.array([r["image"] for r in rows], image), **columns})
