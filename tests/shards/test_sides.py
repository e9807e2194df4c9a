"""Side files that the corpus configuration names become members of the sample."""

from __future__ import annotations

from pathlib import Path

from shards.sides import side_files


def test_found_by_picture_and_by_slide(tmp_path: Path) -> None:
    (tmp_path / "genes").mkdir()
    (tmp_path / "genes/a_1.npy").write_bytes(b"vector")
    (tmp_path / "slide9.csv").write_bytes(b"panel")
    (tmp_path / "empty").write_bytes(b"")
    row = {"image": "a_1.jpg", "group": "slide9", "row": 3, "sample_id": "q-3"}
    patterns = {
        "genes.npy": "genes/{stem}.npy",
        "panel.csv": str(tmp_path / "{group}.csv"),
        "none": "genes/{row}.npy",
        "empty": "empty",
    }
    found = side_files(row, patterns, str(tmp_path))
    assert found == {"genes.npy": b"vector", "panel.csv": b"panel"}
