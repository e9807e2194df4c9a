"""Patches of whole slides at level 0, through OpenSlide."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide

from miner.core.names import spellings
from miner.corpora.corpus_folder import Folder

SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs")
_UM_PER_UNIT = {"inch": 25_400.0, "centimeter": 10_000.0}


class Slide:
    """An open slide.

    Args:
        folder: the slide file itself; one that lies behind a URL is copied to a temporary folder.

    Raises:
        OSError: it cannot be opened (`openslide.OpenSlideError` is turned into this).
    """

    def __init__(self, folder: Folder):
        self._copy = None if folder.local else tempfile.TemporaryDirectory()
        path = folder.path()
        if self._copy is not None:
            path = str(Path(self._copy.name) / folder.path().rsplit("/", 1)[-1])
            folder.fs.get_file(folder.path(), path)
        self._path = path
        self._slide: openslide.OpenSlide | None = None
        try:
            self._slide = openslide.OpenSlide(path)
            self._size = self._slide.dimensions
            self.mpp = slide_mpp(self._slide.properties)
            self.scanner = scanner(self._slide.properties)
        except openslide.OpenSlideError as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        """Close the slide and remove its copy."""
        self._shut()
        if self._copy is not None:
            self._copy.cleanup()

    def _shut(self) -> None:
        if self._slide is not None:
            self._slide.close()
        self._slide = None

    def patch(self, x: int, y: int, size: int) -> np.ndarray | str:
        """Square of level 0 with upper left corner (x, y).

        OpenSlide refuses everything after its first failure, so the slide is then opened again:
        what becomes of a patch does not depend on what was asked before.

        Returns:
            RGB, uint8 (size, size, 3), transparency laid over white; or as text the reason why
            not: `outside_slide`, `slide_failed`.
        """
        width, height = self._size
        if x < 0 or y < 0 or x + size > width or y + size > height:
            return "outside_slide"
        if self._slide is None:
            return "slide_failed"
        try:
            rgba = np.asarray(self._slide.read_region((x, y), 0, (size, size)))
        except openslide.OpenSlideError:
            self._shut()
            with contextlib.suppress(openslide.OpenSlideError):
                self._slide = openslide.OpenSlide(self._path)
            return "slide_failed"
        alpha = rgba[:, :, 3:]
        if (alpha == 255).all():
            return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        # Areas that were not scanned are transparent black.
        mixed = rgba[:, :, :3].astype(np.uint16) * alpha + 255 * (255 - alpha.astype(np.uint16))
        return (mixed // 255).astype(np.uint8)


def slide_mpp(properties: Any) -> float | None:
    """Um per pixel at level 0: OpenSlide's, else the TIFF resolution's, else None."""
    with contextlib.suppress(KeyError, ValueError):
        mpp = float(properties["openslide.mpp-x"])
        if 0.01 < mpp < 100:
            return mpp
    with contextlib.suppress(KeyError, ValueError, ZeroDivisionError):
        unit = _UM_PER_UNIT[properties["tiff.ResolutionUnit"].lower()]
        mpp = unit / float(properties["tiff.XResolution"])
        # 72 dpi and the like are defaults of writers, not measurements.
        if 0.05 < mpp < 20:
            return mpp
    return None


def scanner(properties: Any) -> str | None:
    """Scanner model as the slide's properties name it, else its vendor, else None."""
    keys = (
        "aperio.ScannerType",
        "hamamatsu.Product",
        "leica.device-model",
        "philips.DICOM_MANUFACTURERS_MODEL_NAME",
        "ventana.ScannerModel",
        "tiff.Model",
        "aperio.ScanScope ID",
        "openslide.vendor",
    )
    found = next((str(properties[k]) for k in keys if properties.get(k)), None)
    return None if found == "generic-tiff" else found


def find_slide(folders: Sequence[Folder], wsi_id: str, file_id: str) -> Folder | None:
    """A slide at `{folder}/{wsi_id}.*` or `{folder}/{file_id}/{wsi_id}.*`, or None."""
    names = [f"{wsi_id}{s}" for s in SUFFIXES] + [f"{wsi_id}{s.upper()}" for s in SUFFIXES[:4]]
    if wsi_id.lower().endswith(SUFFIXES):
        names.insert(0, wsi_id)
    for folder in folders:
        for prefix in ("", f"{file_id}/") if file_id else ("",):
            for way in (way for name in names for way in spellings(prefix + name)):
                if folder.isfile(way):
                    return Folder(folder.url.rstrip("/") + "/" + way, folder.field)
    return None
