"""Annotated sets in the layouts of their publishers, in miniature."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image


def tissue(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noisy pink pixels, uint8 (H, W, 3)."""
    pixels = np.random.default_rng(seed).integers(150, 230, (height, width, 3), dtype=np.uint8)
    pixels[..., 1] //= 2
    return pixels


def discs(height: int, width: int, places: list[tuple[int, int]], radius: int = 5) -> np.ndarray:
    """Label map of discs around places (y, x), int32 (H, W), ids 1..n."""
    ys, xs = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.int32)
    for i, (y, x) in enumerate(places, start=1):
        labels[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2] = i
    return labels


def write_pannuke(
    folder: Path,
    tiles: int = 3,
    fold: int = 1,
    side: int = 64,
    types: tuple[str, ...] = ("Breast", "Colon", "HeadNeck"),
    dtype: str = "float64",
) -> np.ndarray:
    """A fold with two neoplastic nuclei and an inflammatory one in each tile.

    Returns:
        Its masks, (n, side, side, 6), as written.
    """
    images = folder / f"Fold {fold}" / "images" / f"fold{fold}"
    masks = folder / f"Fold {fold}" / "masks" / f"fold{fold}"
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    pictures = np.stack([tissue(side, side, i) for i in range(tiles)] or [tissue(1, 1)][:0] or [[]])
    pictures = pictures.reshape(tiles, side, side, 3)
    found = np.zeros((tiles, side, side, 6), dtype)
    for i in range(tiles):
        # Ids run on over all classes of a tile, and some are above what 16 bits hold.
        found[i, ..., 0] = discs(side, side, [(12, 12), (12, 40)]) * 70_000
        found[i, ..., 1] = (discs(side, side, [(40, 20 + i)]) > 0) * 3
        found[i, ..., 5] = found[i, ..., :5].sum(-1) == 0
    np.save(images / "images.npy", pictures.astype(dtype))
    np.save(images / "types.npy", np.array([types[i % len(types)] for i in range(tiles)], "<U13"))
    np.save(masks / "masks.npy", found)
    return found


def png(path: Path, pixels: np.ndarray) -> None:
    """Write a picture or a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


# Two objects of a first class and one of a second, all of radius 5.
PLACES = [(12, 12), (12, 40), (40, 30)]


def cells() -> np.ndarray:
    """Label map of `PLACES`, int32 (64, 64)."""
    return discs(64, 64, PLACES)


def polygon(y: int, x: int, radius: int = 5) -> list[tuple[float, float]]:
    """Corners (x, y) of a regular octagon."""
    turns = np.arange(8) * np.pi / 4
    return [(x + radius * float(np.cos(t)), y + radius * float(np.sin(t))) for t in turns]


def write_lizard(folder: Path) -> None:
    """Two lymphocytes and a plasma cell; ids that are no ranks, in no order."""
    png(folder / "Lizard_Images1" / "Lizard_Images1" / "consep_1.png", tissue(64, 64))
    labels = folder / "Lizard_Labels" / "Labels"
    labels.mkdir(parents=True)
    numbers = np.array([0, 7, 70_000, 3])
    table = {
        "inst_map": numbers[cells()].astype(np.int32),
        "id": np.array([[3], [70_000], [7]]),
        "class": np.array([[4], [3], [3]]),
        "bbox": np.zeros((3, 4)),
        "centroid": np.zeros((3, 2)),
    }
    scipy.io.savemat(labels / "consep_1.mat", table)


def write_consep(folder: Path) -> None:
    """Two malignant epithelial nuclei and an endothelial one; maps are float64."""
    png(folder / "Train" / "Images" / "train_1.png", tissue(64, 64))
    png(folder / "Train" / "Overlay" / "train_1.png", tissue(64, 64, 5))
    (folder / "Train" / "Labels").mkdir(parents=True)
    table = {
        "inst_map": cells().astype(np.float64),
        "type_map": np.array([0, 4, 4, 7])[cells()].astype(np.float64),
        "inst_type": np.array([[4.0], [4.0], [7.0]]),
        "inst_centroid": np.zeros((3, 2)),
    }
    scipy.io.savemat(folder / "Train" / "Labels" / "train_1.mat", table)


def aperio(groups: list[tuple[str, list[list[tuple[float, float]]]]]) -> str:
    """Aperio's XML of outlines by class."""
    text = '<?xml version="1.0"?><Annotations MicronsPerPixel="0.25">'
    for name, polygons in groups:
        attributes = f'<Attributes><Attribute Name="{name}" Id="0"/></Attributes>' if name else ""
        text += f"<Annotation Id='1'>{attributes}<Regions>"
        for points in polygons:
            corners = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
            text += f"<Region Id='1'><Vertices>{corners}</Vertices></Region>"
        text += "</Regions></Annotation>"
    return f"{text}</Annotations>"


def write_monuseg(folder: Path) -> None:
    """Three nuclei."""
    name = "TCGA-A7-A13E-01Z-00-DX1"
    (folder / "Annotations").mkdir(parents=True)
    (folder / "Tissue Images").mkdir()
    Image.fromarray(tissue(64, 64)).save(folder / "Tissue Images" / f"{name}.tif")
    outlines = aperio([("", [polygon(*place) for place in PLACES])])
    (folder / "Annotations" / f"{name}.xml").write_text(outlines)


def write_monusac(folder: Path) -> None:
    """Two lymphocytes and a macrophage."""
    place = folder / "MoNuSAC_images_and_annotations" / "TCGA-5P-A9K0-01Z-00-DX1"
    place.mkdir(parents=True)
    Image.fromarray(tissue(64, 64)).save(place / "TCGA-5P-A9K0-01Z-00-DX1_1.tif")
    one, two, three = (polygon(*at) for at in PLACES)
    outlines = aperio([("Lymphocyte", [one, two]), ("Macrophage", [three])])
    (place / "TCGA-5P-A9K0-01Z-00-DX1_1.xml").write_text(outlines)


NUCLS = (
    "raw_classification", "main_classification", "super_classification", "type",
    "xmin", "ymin", "xmax", "ymax", "coords_x", "coords_y",
)  # fmt: skip


def nucls_row(name: str, y: int, x: int, type_: str = "polyline") -> dict[str, object]:
    """A nucleus of NuCLS; coordinates are whole numbers."""
    xs, ys = zip(*((round(a), round(b)) for a, b in polygon(y, x)), strict=True)
    lists = (",".join(map(str, v)) if type_ == "polyline" else "" for v in (xs, ys))
    box = (x - 5, y - 5, x + 5, y + 5)
    return dict(zip(NUCLS, (name, name, name, type_, *box, *lists), strict=True))


def write_nucls(folder: Path, rows: list[dict[str, object]] | None = None) -> None:
    """Two tumor cells and a fibroblast with outlines, and a lymphocyte with a box."""
    name = "TCGA-A1-A0SP-DX1_id-5ea4_left-1_top-2"
    png(folder / "rgb" / f"{name}.png", tissue(64, 64))
    classes = ("tumor", "tumor", "fibroblast")
    found = [nucls_row(c, *place) for c, place in zip(classes, PLACES, strict=True)]
    (folder / "csv").mkdir(parents=True)
    with open(folder / "csv" / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, NUCLS)
        writer.writeheader()
        writer.writerows(rows or [*found, nucls_row("lymphocyte", 50, 10, "rectangle")])


def write_panoptils(folder: Path) -> None:
    """Tumor left and stroma right, two nuclei of tumor cells and a TIL."""
    name = "TCGA-A1-A0SP-DX1_left-7582_top-55032"
    png(folder / "rgbs" / f"{name}.png", tissue(64, 64))
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[..., 0] = np.where(np.arange(64) < 52, 1, 2)
    mask[..., 1] = np.array([9, 1, 1, 4])[cells()]
    png(folder / "masks" / f"{name}.png", mask)
    (folder / "csv").mkdir()
    with open(folder / "csv" / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ("coords_x", "coords_y"), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(nucls_row("", *place) for place in PLACES)


def write_segpath(folder: Path) -> None:
    """Lymphocytes by CD3 and CD20."""
    stem = folder / "CD3CD20_Lymphocyte" / "CD3CD20_Lymphocyte_Colon_001_000000_000984"
    png(stem.with_name(f"{stem.name}_HE.png"), tissue(64, 64))
    png(stem.with_name(f"{stem.name}_mask.png"), (cells() > 0).astype(np.uint8))


def write_bcss(folder: Path) -> None:
    """Tumor and stroma, a part that nobody looked at, and one to be left out."""
    name = "TCGA-A2-A0SX-DX1_xmin53791_ymin56683_MPP-0.2500"
    png(folder / "rgbs_colorNormalized" / f"{name}.png", tissue(64, 64))
    mask = np.ones((64, 64), np.uint8)
    mask[32:] = 2
    mask[:, :8], mask[:, 60:] = 0, 7
    png(folder / "masks" / f"{name}.png", mask)
    (folder / "meta").mkdir()
    codes = "label\tGT_code\noutside_roi\t0\ntumor\t1\nstroma\t2\nfat\t9\nexclude\t7\n"
    (folder / "meta" / "gtruth_codes.tsv").write_text(codes)


def write_glas(folder: Path) -> None:
    """Three glands of a benign case."""
    folder.mkdir(parents=True)
    Image.fromarray(tissue(64, 64)).save(folder / "testA_1.bmp")
    Image.fromarray(cells().astype(np.uint8)).save(folder / "testA_1_anno.bmp")
    head = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
    (folder / "Grade.csv").write_text(f"{head}\ntestA_1,4, benign, adenomatous\n")


def write_tnbc(folder: Path) -> None:
    """Three nuclei, white on black, in a picture with transparency."""
    png(
        folder / "Slide_01" / "01_1.png",
        np.dstack([tissue(64, 64), np.full((64, 64), 255)]).astype(np.uint8),
    )
    png(folder / "GT_01" / "01_1.png", ((cells() > 0) * 255).astype(np.uint8))


def write_plain(folder: Path) -> None:
    """Single lymphocytes and a gland, with a published caption for one of two pictures."""
    for name in ("a", "b"):
        png(folder / "images" / f"{name}.png", tissue(64, 64))
        png(folder / "labels" / f"{name}.png", (cells() * 300).astype(np.uint16))
    rows = "".join(
        f"{name},{number},{class_}\n"
        for name in ("a", "b")
        for number, class_ in ((300, "Lymphocytes"), (600, "Lymphocytes"), (900, "gland"))
    )
    (folder / "classes.csv").write_text(f"image,id,class\n{rows}")
    facts = "a,0.5,colon,H&E,p1,Lymphocytes around a gland.\nb,0.5,colon,H&E,p2,\n"
    (folder / "pictures.csv").write_text(f"image,mpp,organ,stain,group,caption\n{facts}")
