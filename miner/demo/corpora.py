"""The phantom corpora in their publishers' layouts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from miner.demo import captions, render, stains
from miner.demo.album import Album, Source, identifier
from miner.demo.captions import Caption
from miner.demo.slides import write_slide
from miner.demo.truth import Truth

QUILT_COLUMNS = (
    "", "caption", "image_path", "subset", "split", "pathology", "roi_text", "noisy_text",
    "corrected_text", "med_umls_ids", "magnification", "height", "width", "not_histology",
    "single_wsi",
)  # fmt: skip
PATHOLOGY = {
    "colon": "Gastrointestinal", "breast": "Breast", "prostate": "Genitourinary",
    "kidney": "Renal", "liver": "Gastrointestinal", "lung": "Pulmonary",
    "skin": "Dermatopathology", "oral mucosa": "Head and Neck", "lymph node": "Hematopathology",
    "thyroid": "Endocrine", "brain": "Neuropathology", "soft tissue": "Soft tissue",
}  # fmt: skip
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
PATCH_PX = 672
CELL_PX = 768
CELLS = 4
SHIFT_PX = 32
STAIN_CADENCE = {6: "PAS", 12: "IHC", 18: "trichrome"}


def write_quilt(
    rng: np.random.Generator, directory: Path, rows: int, truth: Truth, shared: list[Source]
) -> None:
    """Write a QUILT-1M table and its images.

    Args:
        rng: source of randomness.
        directory: folder of all corpora.
        rows: rows of the table.
        truth: where the truth goes.
        shared: fields that several corpora copy from.
    """
    album = Album(rng, directory / "quilt" / "images", (288, 512), shared)
    table: list[list[str]] = []
    video, left = "", 0
    index = 0
    while len(table) < rows:
        if not left:
            video = "PH" + "".join(rng.choice(LETTERS, 9))
            if album.count in (1, 2):
                video = ("-" if album.count == 1 else "_") + video[1:]
            left = int(rng.integers(1, 5))
        left -= 1
        magnification = int(rng.integers(0, 3))
        mpp = {0: 1.0, 1: 0.6, 2: 0.3}[magnification] * float(rng.uniform(0.8, 1.15))
        picture = album.add(f"{video}_image_{identifier(rng)}.jpg", min(mpp, 1.0), "H&E")
        if picture.readable:
            truth.masks("quilt", Path(picture.name).stem, picture.tile)
        for _ in range(min(int(rng.integers(1, 4)), rows - len(table))):
            number = len(table)
            index += int(rng.integers(1, 900))
            caption = captions.spoken(rng, picture.tile)
            if number % 17 == 11:
                caption = captions.nothing(rng, "quilt")
            name = picture.name
            if number % 37 == 23:
                caption = Caption("", ())
            elif number % 61 == 31:
                name = ""
            row = quilt_row(rng, index, name, caption, picture.tile, magnification)
            if number % 53 == 19:
                row[QUILT_COLUMNS.index("not_histology")] = "1.0"
            table.append(row)
            if caption.text and name:
                add_truth(truth, "quilt", name, Path(name).stem, caption, picture)
    with open(directory / "quilt" / "quilt_1M_lookup.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(QUILT_COLUMNS)
        writer.writerows(table)


def quilt_row(
    rng: np.random.Generator,
    index: int,
    name: str,
    caption: Caption,
    tile: render.PhantomTile,
    magnification: int,
) -> list[str]:
    """One row of the table; side columns are empty here and there, as in the real one."""
    named = [f" {m['text'].lower()}" for m in caption.mentions]
    heard = caption.text.lower().replace(",", "").replace(".", "")
    entities = [[{"entity": m["concept"], "cui": "C0000000"}] for m in caption.mentions]
    side = {
        "pathology": str([PATHOLOGY[tile.organ]]),
        "roi_text": str(named),
        "noisy_text": str([heard]),
        "corrected_text": str([caption.text]),
        "med_umls_ids": str(entities),
        "magnification": f"{magnification}.0",
        "height": f"{tile.image.shape[0]}.0",
    }
    keep = dict(zip(side, rng.random(len(side)) > 0.2, strict=True))
    cells = {k: v if keep[k] else "" for k, v in side.items()}
    return [
        str(index), caption.text, name, "quilt", "val" if rng.random() < 0.1 else "train",
        *cells.values(), f"{tile.image.shape[1]}.0" if cells["height"] else "", "0.0", "1.0",
    ]  # fmt: skip


def write_pathcap(
    rng: np.random.Generator, directory: Path, rows: int, truth: Truth, shared: list[Source]
) -> None:
    """Write PathCap's data.json and its images; arguments as in `write_quilt`."""
    album = Album(rng, directory / "pathcap" / "images", (224, 448), shared)
    table: list[dict[str, str]] = []
    article, figure, last = 98_000_000, 0, ""
    while len(table) < rows:
        if album.count % 3 == 0:
            article += int(rng.integers(50, 900))
            figure = int(rng.integers(1, 6))
        stain = STAIN_CADENCE.get(album.count % 24, "H&E")
        name = f"{article}_phan-{article % 1000}-g{figure:03d}_{album.count % 3}.jpg"
        picture = album.add(name, None, stain)
        stem = Path(name).stem
        if picture.readable:
            truth.masks("pathcap", stem, picture.tile)
        number = len(table)
        caption = captions.legend(rng, picture.tile)
        if number % 19 == 13:
            caption = captions.nothing(rng, "pathcap")
        if number % 41 == 29:
            table.append({"img": name, "caption": ""})
            continue
        if number % 41 == 31 and last:
            # The same legend under another panel of the figure.
            table.append({"img": name, "caption": last})
            continue
        last = caption.text
        table.append({"img": name, "caption": caption.text})
        add_truth(truth, "pathcap", name, stem, caption, picture)
    text = json.dumps(table, indent=1, ensure_ascii=False)
    (directory / "pathcap" / "data.json").write_text(text + "\n", encoding="utf-8")


def add_truth(
    truth: Truth, corpus: str, name: str, stem: str, caption: Caption, picture: Any
) -> None:
    """Note a caption of a picture, unless its file can't be read."""
    if picture.readable:
        truth.add(corpus, name, stem, caption, picture.tile)


def write_pathgen(rng: np.random.Generator, directory: Path, rows: int, truth: Truth) -> None:
    """Write PathGen's JSON and its slides; arguments as in `write_quilt`."""
    (directory / "pathgen" / "slides").mkdir(parents=True)
    table: list[dict[str, Any]] = []
    organs = rng.permutation(list(render.ORGANS))
    number = 0
    while len(table) < rows:
        wsi = f"PHANTOM-S{number}-{number:04d}-01Z-00-DX1.{identifier(rng).upper()}"
        file_id = identifier(rng)
        mpp = (0.5, 0.25)[number % 2]
        wanted = min(rows - len(table), CELLS * CELLS + 1)
        records = write_wsi(
            rng, directory, wsi, mpp, str(organs[number % len(organs)]), wanted, truth
        )
        table += [
            {"wsi_id": wsi, "position": [str(x), str(y)], "caption": text, "file_id": file_id}
            for x, y, text in records
        ]
        number += 1
        if number == 2 and len(table) < rows:
            gone = f"PHANTOM-S9-0099-01Z-00-DX1.{identifier(rng).upper()}"
            for x, y in ((640, 320), (1280, 960))[: rows - len(table)]:
                table.append(
                    {
                        "wsi_id": gone,
                        "position": [str(x), str(y)],
                        "caption": "The image shows tumor cells and lymphocytes.",
                        "file_id": identifier(rng),
                    }
                )
    text = json.dumps(table, indent="\t", ensure_ascii=False)
    (directory / "pathgen" / "PathGen-1.6M.json").write_text(text + "\n", encoding="utf-8")


def write_wsi(
    rng: np.random.Generator,
    directory: Path,
    wsi: str,
    mpp: float,
    organ: str,
    rows: int,
    truth: Truth,
) -> list[tuple[int, int, str]]:
    """Write one slide; x, y and caption of its records.

    The last record of a full slide is a patch moved by 32 pixels, and one lies outside.
    """
    look = stains.random_look(rng, jpeg=False)
    side = CELL_PX * CELLS
    slide = np.empty((side, side, 3), np.uint8)
    slide[:] = look.white.astype(np.uint8)
    found: list[tuple[int, int, str]] = []
    cells = rng.permutation(CELLS * CELLS)
    for order, cell in enumerate(cells.tolist()):
        if len(found) >= rows:
            break
        x, y = (cell % CELLS) * CELL_PX + SHIFT_PX, (cell // CELLS) * CELL_PX + SHIFT_PX
        field = render.tile(rng, PATCH_PX + SHIFT_PX, mpp, organ, jpeg=False, look=look)
        slide[y : y + PATCH_PX + SHIFT_PX, x : x + PATCH_PX + SHIFT_PX] = field.image
        for shift in (0, SHIFT_PX) if order == 7 else (0,):
            if len(found) >= rows:
                break
            tile = render.crop(field, shift, shift, PATCH_PX, PATCH_PX)
            caption = captions.machine(rng, tile)
            if order == 5:
                caption = captions.nothing(rng, "pathgen")
            at = (x + shift, y + shift)
            if order == 11:
                at = (side + 640, y)  # outside of the slide
            found.append((*at, caption.text))
            if order == 11:
                continue
            stem = f"{wsi}_{at[0]}_{at[1]}"
            truth.masks("pathgen", stem, tile)
            truth.add(
                "pathgen", stem, stem, caption, tile,
                wsi_id=wsi, position=[str(at[0]), str(at[1])],
            )  # fmt: skip
    write_slide(directory / "pathgen" / "slides" / f"{wsi}.tif", slide, mpp)
    return found
