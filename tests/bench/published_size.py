"""Synthetic files of the size the publishers' have: QUILT's CSV, PathGen's JSON, a zip of pictures.

Sizes and counts are those of the publishers; the texts are drawn from a small pool with a fixed
seed. Run `python -m tests.bench.published_size DIR [--scale F]`.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import zipfile
from pathlib import Path

QUILT_ROWS = 1_017_712
QUILT_IMAGES = 650_000
QUILT_BYTES = 2_200_000_000
SUBSETS = {"quilt": 802_148, "openpath": 133_511, "pubmed": 59_371, "laion": 22_682}
PATHGEN_ROWS = 1_620_876
PATHGEN_SLIDES = 7_272
PATHGEN_BYTES = 933_000_000
ZIP_MEMBERS = 650_000
COLUMNS = (
    ",caption,image_path,subset,split,pathology,roi_text,noisy_text,corrected_text,med_umls_ids,"
    "magnification,height,width,not_histology,single_wsi"
).split(",")

_PARTS = (
    "nests of tumor cells with pale cytoplasm",
    "a lymphocytic infiltrate around the vessels",
    'the so-called "starry sky", you see it here',
    "colonic crypts lined by goblet cells",
    "fibrous stroma, no necrosis",
    "keratin pearls and intercellular bridges",
    "a biopsy of the breast at 20x",
    "caseating granulomas in the lung, Ziehl–Neelsen",
)


def _text(rng: random.Random, chars: int) -> str:
    parts = []
    while chars > 0:
        part = rng.choice(_PARTS)
        parts.append(part)
        chars -= len(part) + 2
    return ". ".join(parts).capitalize()


def image_name(number: int) -> str:
    """Name of the QUILT picture `number`; some begin with a dash or an underscore."""
    head = "-_"[number % 2] if number % 37 < 2 else "a"
    return f"{head}{number // 40:09x}x_image_{number:08x}-5e1a-4c7e-9b1d-{number * 7919:012x}.jpg"


def write_quilt(path: Path, scale: float = 1.0, seed: int = 0) -> int:
    """Write a lookup CSV; returns its rows."""
    rng = random.Random(seed)
    rows = int(QUILT_ROWS * scale)
    images = int(QUILT_IMAGES * scale)
    long = QUILT_BYTES // QUILT_ROWS - 760
    pool = [_text(rng, rng.randint(200, 2 * long - 200)) for _ in range(2000)]
    captions = [_text(rng, rng.randint(20, 300)) for _ in range(2000)]
    umls = repr([[{"entity": "Lymphocytes", "cui": "C0024264"}], [{"entity": "Neoplasms"}]])
    subsets = list(SUBSETS)
    weights = list(SUBSETS.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in range(rows):
            # A picture's captions are neighbours mostly, not always.
            image = row * images // rows if row % 50 else rng.randrange(images)
            subset = rng.choices(subsets, weights)[0]
            text = rng.choice(pool)
            given = subset == "quilt"
            writer.writerow(
                [
                    row,
                    rng.choice(captions) if row % 254_000 != 7 else "",
                    image_name(image),
                    subset,
                    "val" if row % 76 == 0 else "train",
                    "['Gastrointestinal', 'Breast']" if row % 3 else "Hematopathology",
                    repr([" " + rng.choice(_PARTS)]) if given else "",
                    repr([text[: len(text) // 2]]) if given else "",
                    repr([text]),
                    umls,
                    float(row % 3) if given else "",
                    512.0,
                    512.0,
                    float(row % 90 == 0),
                    "" if row % 5 else 1.0,
                ]
            )
    return rows


def write_pathgen(path: Path, scale: float = 1.0, seed: int = 0) -> int:
    """Write a PathGen JSON; returns its rows."""
    rng = random.Random(seed)
    rows = int(PATHGEN_ROWS * scale)
    slides = max(1, int(PATHGEN_SLIDES * scale))
    long = PATHGEN_BYTES // PATHGEN_ROWS - 226
    captions = [_text(rng, rng.randint(long - 100, long + 100)) for _ in range(2000)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("[")
        for row in range(rows):
            slide = rng.randrange(slides)
            record = {
                "wsi_id": f"TCGA-{slide % 90:02d}-{slide:04d}-01Z-00-DX1.{slide * 2654435761:032X}",
                "position": [str(32 * rng.randrange(3000)), str(32 * rng.randrange(3000))],
                "caption": rng.choice(captions),
                "file_id": f"{slide:08x}-9b1d-4c7e-9b1d-{slide * 7919:012x}",
            }
            file.write(("," if row else "") + "\n" + json.dumps(record, indent=1))
        file.write("\n]\n")
    return rows


def write_zip(path: Path, scale: float = 1.0) -> int:
    """Write a zip of tiny pictures, one folder deep; returns its members."""
    members = int(ZIP_MEMBERS * scale)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(members):
            data = b"\xff\xd8\xff" + number.to_bytes(8, "little") * 8
            archive.writestr(zipfile.ZipInfo(f"quilt_1m/{image_name(number)}"), data)
    return members


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    for name, write in (
        ("quilt/quilt_1M_lookup.csv", write_quilt),
        ("pathgen/PathGen-1.6M.json", write_pathgen),
        ("quilt/images.zip", write_zip),
    ):
        path = arguments.folder / name
        rows = write(path, arguments.scale)
        print(f"{path}: {rows:,} rows, {path.stat().st_size / 1e9:.3f} GB")


if __name__ == "__main__":
    main()
