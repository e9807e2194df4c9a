"""The truth beside the phantom corpora: label maps per picture and a row per caption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from miner.core.names import map_concept, map_name
from miner.demo.captions import Caption
from miner.demo.render import PhantomTile


class Truth:
    """Collects the rows of gold.jsonl and writes label maps.

    Args:
        directory: folder of the corpora.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.rows: list[dict[str, Any]] = []
        self._seen: set[tuple[str, str]] = set()

    def masks(self, corpus: str, stem: str, tile: PhantomTile) -> None:
        """Write the label maps of a picture."""
        folder = self.directory / "expert_masks" / corpus / stem
        folder.mkdir(parents=True)
        for entity, labels in tile.labels.items():
            depth = np.uint8 if labels.max() < 256 else np.uint16
            cv2.imwrite(str(folder / f"{entity}.png"), labels.astype(depth))

    def add(
        self, corpus: str, image: str, stem: str, caption: Caption, tile: PhantomTile, **more: Any
    ) -> None:
        """Note a caption.

        Args:
            corpus: its corpus.
            image: name of its picture.
            stem: folder of the picture's label maps.
            caption: the caption.
            tile: what the picture shows.
            more: further fields of the row.
        """
        present = {map_concept(entity) for entity in tile.labels}
        mentions = []
        for mention in caption.mentions:
            row = dict(mention, mask=None, mask_path=None, subset_of=None)
            concept = mention["concept"]
            entity = map_name(concept)
            if mention["kind"] in ("object", "stuff"):
                if concept not in present:
                    row["present"] = False
                elif mention["polarity"] == "affirmed":
                    row["mask"] = f"mask_{entity}.png"
                    row["mask_path"] = f"expert_masks/{corpus}/{stem}/{entity}.png"
            mentions.append(row)
        first = (corpus, image) not in self._seen
        self._seen.add((corpus, image))
        self.rows.append(
            {
                "corpus": corpus,
                "image": image,
                **more,
                "caption": caption.text,
                "mentions": mentions,
                "which": "main" if first else "second",
                "organ": tile.organ,
                "stain": tile.stain,
                "mpp": round(tile.mpp, 4),
                "dataset": "phantom",
                "license": "CC0-1.0",
            }
        )

    def write(self) -> None:
        """Write gold.jsonl."""
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        (self.directory / "gold.jsonl").write_text("".join(lines), encoding="utf-8")
