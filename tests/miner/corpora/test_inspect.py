import io
import json
import shlex
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from miner.cli import app
from miner.config import Config
from miner.core.errors import Refused
from miner.core.terminal import Terminal
from miner.corpora.detect import detect
from miner.corpora.inspect import examine, show
from miner.corpora.opened import OF_TEXTS
from miner.report.words import REASONS
from tests.miner.corpora.layouts import (
    image_table,
    pathgen_record,
    picture,
    quilt_row,
    write_images,
    write_json,
    write_quilt,
    write_slide,
    write_zip,
)

RECORDS = [{"img": f"1234567_gr{i}.jpg", "caption": f"Colon, PAS, {i}."} for i in range(7)]


def quilt(folder):
    write_quilt(folder, [quilt_row(i) for i in range(7)])
    write_images(folder / "images", ["vid0_image_0.jpg"])
    rest = {f"x/vid{i}_image_{i}.jpg": picture(i) for i in range(1, 5)}
    write_zip(folder / "images.zip", rest)


def pathcap(folder):
    write_json(folder / "data.json", RECORDS)
    write_images(folder / "images", [r["img"] for r in RECORDS[2:]])


def pathgen(folder):
    write_json(folder / "PathGen-1.6M.json", [pathgen_record("ab"[i > 4], 0, i) for i in range(7)])
    write_slide(folder / "slides" / "a.tif", size=1024, mpp=0.25)


def arch(folder):
    captions = {str(i): {"caption": "Fat.", "uuid": f"u{i}"} for i in range(7)}
    write_json(folder / "books_set" / "captions.json", captions)
    write_images(folder / "books_set" / "images", [f"u{i}.png" for i in range(5)])


def pairs(folder):
    for i in range(7):
        write_images(folder / f"d{i}", ["a.jpg"])
        (folder / f"d{i}" / "a.txt").write_text("Fat.")


def webdataset(folder):
    folder.mkdir()
    with tarfile.open(folder / "000.tar", "w") as tar:
        for i in range(7):
            for name, data in ((f"{i}.jpg", picture(i)), (f"{i}.json", b'{"caption": "Fat."}')):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def hf(folder):
    (folder / "data").mkdir(parents=True)
    rows = [{"image": {"bytes": picture(i), "path": None}, "text": "Fat."} for i in range(7)]
    pq.write_table(image_table(rows), folder / "data" / "train-00000-of-00001.parquet")


def table(folder):
    folder.mkdir()
    lines = ["file_name,text", *(f"{i}.jpg,Fat." for i in range(7))]
    (folder / "any.csv").write_text("\n".join(lines))
    write_images(folder / "images", [f"{i}.jpg" for i in range(5)])


LAYOUTS = {
    "quilt": (quilt, 2),
    "pathcap": (pathcap, 2),
    "pathgen": (pathgen, 2),
    "arch": (arch, 2),
    "pairs": (pairs, 0),
    "webdataset": (webdataset, 0),
    "hf": (hf, 0),
    "table": (table, 2),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_is_recognised_and_counted(tmp_path, kind):
    write, missing = LAYOUTS[kind]
    write(tmp_path / "corpus")
    found = examine(str(tmp_path / "corpus"))
    assert (found["corpus"], found["rows"], found["images"]) == (kind, 7, 7)
    assert found["missing"] == missing
    assert len(found["missing_names"]) == missing
    assert len(found["samples"]) == 5
    assert found["license"]
    assert sum(found["spread"]["organ"].values()) == 7
    # What is to be pasted is a configuration that finds the same corpus.
    pasted = Config.model_validate(yaml.safe_load(found["config"]))
    assert pasted.corpora[0].kind == kind
    json.dumps(found)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_some_pictures_are_opened(tmp_path, kind, capsys):
    write, missing = LAYOUTS[kind]
    write(tmp_path / "corpus")
    found = examine(str(tmp_path / "corpus"))
    assert found["opened"]["pictures"] == 7
    assert sum(found["opened"]["faults"].values()) == missing
    show(found, Terminal(width=200))
    said = f"{missing} of 7 pictures cannot be read" if missing else "7 pictures opened, all can"
    assert said in capsys.readouterr().out


def test_paths_in_the_place_of_bytes_are_told(tmp_path, capsys):
    """A data set of the Hugging Face layout whose pictures are elsewhere."""
    rows = [{"image": {"bytes": None, "path": f"/gone/{i}.jpg"}, "text": "Fat."} for i in range(9)]
    pq.write_table(image_table(rows), tmp_path / "train-00000-of-00001.parquet")
    show(examine(str(tmp_path)), Terminal(width=200))
    said = capsys.readouterr().out
    assert "9 of 9 pictures cannot be read: outside_folder 9" in said
    assert "name their folder: --set corpora.hf.image_paths=[FOLDER]" in said


def test_a_picture_that_is_only_missing_names_no_setting(tmp_path, capsys):
    rows = [{"image": {"bytes": None, "path": f"gone/{i}.jpg"}, "text": "Fat."} for i in range(9)]
    pq.write_table(image_table(rows), tmp_path / "train-00000-of-00001.parquet")
    show(examine(str(tmp_path)), Terminal(width=200))
    said = capsys.readouterr().out
    assert "9 of 9 pictures cannot be read: missing_image 9" in said
    assert "image_paths" not in said


def test_a_text_that_cannot_be_read_is_no_picture_that_cannot(tmp_path, capsys):
    table(tmp_path / "c")
    write_images(tmp_path / "c" / "images", ["5.jpg", "6.jpg", "7.jpg"])
    with (tmp_path / "c" / "any.csv").open("ab") as file:
        file.write("\n7.jpg,Fälle mit Fat.".encode("latin-1"))
    found = examine(str(tmp_path / "c"), lambda kind, captions: captions)
    assert found["concepts"] == ["Fat."] * 7
    found.pop("concepts")
    show(found, Terminal(width=200))
    said = capsys.readouterr().out
    assert "7 pictures opened, all can be read" in said
    assert "of 8 rows looked at, cannot be read: bad_utf8 1" in said
    assert "save texts that are not UTF-8 as UTF-8" in said


def test_reasons_of_texts_are_reasons():
    assert set(REASONS["unreadable"]) >= OF_TEXTS


def test_a_row_that_names_no_picture_is_told_by_its_number(tmp_path):
    table(tmp_path / "c")
    with (tmp_path / "c" / "any.csv").open("a") as file:
        file.write("\n,Fat.")
    found = examine(str(tmp_path / "c"))
    assert found["missing_names"] == ["5.jpg", "6.jpg", "row 7 names none"]


def test_brackets_in_captions_are_shown_as_they_are(tmp_path, capsys):
    folder = tmp_path / "my [b] pictures"
    pairs(folder)
    min(folder.rglob("*.txt")).write_text("Fat [/i] and [bold]glands[/bold].")
    show(examine(str(folder)), Terminal(width=200))
    said = capsys.readouterr().out
    assert "Fat [/i] and [bold]glands[/bold]." in said
    assert f"--corpus 'pairs={folder}'" in said


def test_the_spread_of_slides(tmp_path):
    pathgen(tmp_path)
    assert examine(str(tmp_path))["spread"]["mpp"] == {"0.25": 1}


def test_json_is_one_object_and_nothing_else(tmp_path):
    quilt(tmp_path / "c")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "c"), "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert {"corpus", "rows", "images", "missing"} <= set(found)


def test_people_get_a_page(tmp_path):
    pathcap(tmp_path / "c")
    (tmp_path / "c" / "data.json").write_text(json.dumps(RECORDS)[:-20])
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "c")])
    assert result.exit_code == 0
    for part in ("is pathcap", "6 rows", "breaks off at byte", "kind: pathcap", "1234567_gr0.jpg"):
        assert part in result.stdout


def empty(folder):
    folder.mkdir()


def pictures(folder):
    write_images(folder, ["a.jpg", "b.jpg"])


def slides(folder):
    empty(folder)
    (folder / "a.svs").write_bytes(b"")


def zips(folder):
    write_zip(folder / "images.zip", {"a.jpg": picture()})


def above(folder):
    quilt(folder / "quilt")
    pathcap(folder / "pathcap")
    (folder / "gold.jsonl").write_text('{"image": "a.jpg", "caption": "Fat."}\n')


def arrays(folder):
    empty(folder)
    (folder / "images.npy").write_bytes(b"")


@pytest.mark.parametrize(
    ("write", "looks"),
    [
        (empty, "an empty folder"),
        (pictures, "a folder of 2 pictures without captions"),
        (slides, r"a folder of 1 slides without their PathGen-1\.6M\.json"),
        (zips, r"zips of pictures \(images\.zip\) without the table of captions"),
        (above, r"a folder of corpora: pathcap/ \(pathcap\), quilt/ \(quilt\): give these paths"),
        (arrays, r"a set of arrays \(images\.npy\)"),
        (lambda f: write_images(f / "deep", ["a.jpg"]), "a folder with deep/"),
    ],
)
def test_wrong_folders_are_told_what_they_look_like(tmp_path, write, looks):
    write(tmp_path / "c")
    with pytest.raises(
        Refused, match=rf"looks like {looks}; expected .*QUILT-1M .*PathCap"
    ) as error:
        examine(str(tmp_path / "c"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "looks"),
    [
        ("README.md", "# Read me", r"a \.md file"),
        ("notes", "none", "a file"),
        ("a.jpg", "", "a single picture"),
        (
            "t.csv",
            "age;sex\n1;f\n",
            r"a table without a picture and a caption column \(age, sex\); if two of these are, "
            r"say which: miner run quickstart\.yaml --corpus table=.*/c/t\.csv --set "
            r"corpora\.table\.image=COLUMN --set corpora\.table\.caption=COLUMN",
        ),
    ],
)
def test_wrong_files_too_even_beside_pictures_with_captions(tmp_path, name, text, looks):
    pairs(tmp_path / "c")
    (tmp_path / "c" / name).write_text(text)
    with pytest.raises(Refused, match=rf"{name}: looks like {looks}; expected a folder, file or"):
        examine(str(tmp_path / "c" / name))


def test_columns_of_a_lab_are_found_or_asked_for(tmp_path):
    """Blanks and case make no difference; parquet is no stranger under its own name."""
    write_images(tmp_path / "Slides", ["a.jpg", "b.jpg"])
    (tmp_path / "t.csv").write_text("Case No;Image File;Report Text\n1;Slides/a.jpg;Glands.\n")
    found = examine(str(tmp_path))
    assert "image: Image File" in found["config"]
    assert "caption: Report Text" in found["config"]
    (tmp_path / "t.csv").unlink()
    columns = {"Bild": ["Slides/a.jpg"], "Befund": ["Glands."]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    for path in (tmp_path, tmp_path / "t.parquet"):
        with pytest.raises(Refused, match=rf"\(Befund, Bild\); .* --corpus table={path} --set"):
            examine(str(path))
    pictures = [{"bytes": b"", "path": None}]
    pq.write_table(pa.table({"Bild": pictures, "Befund": ["Glands."]}), tmp_path / "t.parquet")
    with pytest.raises(Refused, match=rf"--corpus hf={tmp_path} --set corpora\.hf\.image=COLUMN"):
        examine(str(tmp_path))


def test_columns_are_named_to_inspect_as_to_a_run(tmp_path):
    write_images(tmp_path / "Bilder", ["a.jpg", "b.jpg"])
    table = tmp_path / "Fälle 1.csv"
    table.write_text("Nr.;Bild;Befund: kurz\n1;Bilder/a.jpg;Lymphocytes.\n2;Bilder/b.jpg;Fat.\n")
    sets = ["--set", "corpora.table.image=Bild", "--set", "corpora.table.caption='Befund: kurz'"]
    result = CliRunner().invoke(app, ["inspect", str(table), "--concepts", "--json", *sets])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["rows"], found["missing"]) == (2, 0)
    assert found["concepts"]["named"] == {"fat": 1, "lymphocyte": 1}
    # The command that is printed reads the same.
    said = CliRunner().invoke(app, ["inspect", str(table), *sets]).stdout
    words = shlex.split(said[said.index("or: miner run") :])
    changes = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert words[words.index("--corpus") + 1] == f"table={table}"
    assert detect(str(table), changes) == detect(str(table), sets[1::2])
    assert len(changes) == 2


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["filters.fdr=0.1"], r"expected corpora\.KIND\.SETTING=VALUE; kinds: quilt, .*pairs"),
        (["corpora.tables.image=a"], "expected corpora"),
        (["corpora.table=a"], "expected corpora"),
        (["corpora.table.image=a", "corpora.hf.image=a"], "as one kind, not as table and hf"),
        (["corpora.table.picture=a"], "picture: unknown setting"),
    ],
)
def test_other_settings_are_none_of_inspects(tmp_path, sets, said):
    table(tmp_path / "c")
    with pytest.raises(Refused, match=said):
        examine(str(tmp_path / "c"), sets=sets)


def test_a_path_that_is_refused_ends_no_look_at_the_next(tmp_path):
    empty(tmp_path / "none")
    table(tmp_path / "c")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "none"), str(tmp_path / "c")])
    assert result.exit_code == 2
    assert "none: looks like an empty folder" in result.stderr
    assert f"{tmp_path / 'c'} is table" in result.stdout.replace("\n", "")


@pytest.mark.parametrize(("there", "named"), [(0, True), (3, True), (5, False)])
def test_where_most_pictures_are_missing_the_setting_is_named(tmp_path, capsys, there, named):
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "t.csv").write_text("image,caption\n" + "".join(f"{i}.jpg,Fat.\n" for i in range(7)))
    write_images(folder, [f"{i}.jpg" for i in range(there)])
    show(examine(str(folder)), Terminal(width=200))
    said = capsys.readouterr().out
    assert f"7 pictures, {7 - there} of them missing" in said
    assert ("name their folder: --set corpora.table.image_paths=[FOLDER]" in said) == named


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(Refused, match="nowhere: no such file or folder"):
        examine(str(tmp_path / "nowhere"))


def test_plan_command(tmp_path):
    quilt(tmp_path / "c")
    (tmp_path / "c.yaml").write_text(f"corpora:\n- {{kind: quilt, path: {tmp_path / 'c'}}}\n")
    arguments = ["plan", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "plan" / "quilt.json").exists()


def test_a_damaged_zip_beside_the_table_is_named(tmp_path):
    quilt(tmp_path)
    (tmp_path / "images.zip").write_bytes(b"PK\5\6 nothing")
    with pytest.raises(Refused, match=r"images\.zip: not a whole zip"):
        examine(str(tmp_path))


def test_a_damaged_parquet_file_is_no_corpus(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(image_table([{"image": {"bytes": b"x", "path": None}, "caption": "Fat."}]), file)
    data = file.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    file.write_bytes(data[:footer] + b"\xff" * 30 + data[footer + 30 :])
    with pytest.raises(Refused):
        examine(str(tmp_path))


def test_concepts_that_captions_name_and_segmenters_know(tmp_path):
    folder = tmp_path / "own"
    texts = [
        "Lymphocytes beside a blood vessel.",
        "Tumor cells in breast carcinoma; no necrosis.",
        "Blood vessels, possibly with plasma cells.",
    ]
    write_images(folder, [f"{i}.png" for i in range(len(texts))])
    for i, text in enumerate(texts):
        (folder / f"{i}.txt").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["inspect", str(folder), "--concepts", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)["concepts"]
    # Denied and doubtful structures are not asked for; a tumor cell is answered by its nucleus.
    assert found["named"] == {"blood vessel": 2, "lymphocyte": 1, "tumor cell": 1}
    assert found["known"] == {"blood vessel": 0, "lymphocyte": 1, "tumor cell": 1}
    assert found["share"] == 0.5
    shown = CliRunner().invoke(app, ["inspect", str(folder), "--concepts"]).output
    assert "4 mentions in them; for 50% a segmenter has an answer" in shown
    refused = CliRunner().invoke(app, ["inspect", str(folder), "--config", "mix.yaml"])
    assert isinstance(refused.exception, Refused)
