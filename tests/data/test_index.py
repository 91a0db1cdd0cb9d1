"""Folders as people have them: hostile names, broken photos, links, odd manifests, workers that die."""

import hashlib
import os
import subprocess
import sys
import time
import unicodedata
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fishnet.data import index as seen
from fishnet.data import scan
from fishnet.data.index import build_index
from fishnet.data.listing import FolderSource
from fishnet.errors import BadInput, WorkFailed


def photo(seed, quality=90):
    spots = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(spots).resize((80, 60), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def write(root, name, data):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def make(root, classes=("chub", "perch"), count=6):
    for number, name in enumerate(classes):
        for row in range(count):
            write(root, f"{name}/{row}.jpg", photo(100 * number + row))
    return root


@pytest.fixture
def lake(tmp_path):
    return make(tmp_path / "lake")


def index(root, **options):
    return build_index(root, progress=False, **options)


def said(found):
    return "\n".join(found.warnings)


def test_a_plain_folder(lake):
    found = index(lake)
    assert found.classes == ["chub", "perch"]
    assert found.table["path"].tolist() == sorted(found.table["path"])
    row = found.table.iloc[0]
    assert (row["path"], row["label"], row["class"]) == ("chub/0.jpg", 0, "chub")
    assert (row["width"], row["height"]) == (80, 60)
    assert row["sha256"] == hashlib.sha256(photo(0)).hexdigest()
    assert found.table["group"].tolist() == list(range(12))
    assert not len(found.refused)
    assert not found.warnings


def test_the_digest_follows_bytes_and_labels(lake):
    before = index(lake).digest
    assert index(lake).digest == before
    assert index(lake, positive="perch").digest == before  # chub 0, perch 1 as before
    assert index(lake, positive="chub").digest != before
    write(lake, "chub/0.jpg", photo(77))
    assert index(lake).digest != before


def test_hostile_class_names_survive(tmp_path):
    names = [
        "${oc.env:HOME}",
        "Klunzinger's wrasse",
        "Xiphophorus × hellerii",
        "a,b = c",
        "鲈鱼",
        '"q" [0]',
        "~",
        "É",
    ]
    found = index(make(tmp_path / "zoo", [*names, unicodedata.normalize("NFD", "Ü")], 2))
    assert found.classes == sorted([*names, unicodedata.normalize("NFD", "Ü")])
    assert set(found.table["class"]) == set(found.classes)
    with_typed = index(tmp_path / "zoo", classes=["Ü", "鲈鱼"])
    assert with_typed.classes == [unicodedata.normalize("NFD", "Ü"), "鲈鱼"]


def test_folders_that_look_alike_are_reported(tmp_path):
    assert "differ only in case" in said(index(make(tmp_path / "twins", ["perch", "Perch", "chub"], 2)))


def test_a_subset_and_one_against_the_rest(tmp_path):
    root = make(tmp_path / "lake", ["chub", "fox", "perch"], 3)
    assert index(root, classes=["perch", "chub"]).classes == ["chub", "perch"]
    found = index(root, positive="fox")
    assert found.classes == ["not fox", "fox"]
    assert found.table["label"].tolist() == [0] * 3 + [1] * 3 + [0] * 3
    assert set(found.table["class"]) == {"not fox", "fox"}
    for wrong in ({"positive": "foxx"}, {"classes": ["chub", "foxx"]}):
        with pytest.raises(BadInput, match="did you mean 'fox'"):
            index(root, **wrong)


def test_what_is_not_a_photo_is_left_out_and_counted(lake):
    for name in (
        "chub/.hidden.jpg",
        "chub/Thumbs.db",
        "chub/notes.txt",
        "chub/scan.xcf",
        "stray.jpg",
        ".git/a/b.jpg",
    ):
        write(lake, name, b"x")
    found = index(lake)
    assert len(found.table) == 12
    assert not len(found.refused)
    assert "1 .xcf" in said(found)
    assert "1 photos outside any class folder" in said(found)


def test_links_do_not_lead_out_or_round(lake, tmp_path):
    secret = write(tmp_path, "secret/s.jpg", photo(9))
    (lake / "chub" / "out.jpg").symlink_to(secret)
    (lake / "chub" / "outside").symlink_to(secret.parent)
    (lake / "chub" / "loop").symlink_to(lake)
    (lake / "chub" / "nowhere.jpg").symlink_to(lake / "none.jpg")
    (lake / "perch" / "twin.jpg").symlink_to(lake / "perch" / "0.jpg")
    (lake / "linked class").symlink_to(secret.parent)
    found = index(lake)
    assert found.classes == ["chub", "perch"]
    assert len(found.table) == 13  # the link that stays inside is a copy of its target
    groups = found.table.set_index("path")["group"]
    assert groups["perch/twin.jpg"] == groups["perch/0.jpg"]
    assert "links" in said(found)


def test_broken_photos_are_listed_with_the_reason(lake):
    write(lake, "chub/cut.jpg", photo(1)[:300])
    found = index(lake)
    assert found.refused.to_numpy().tolist() == [["chub/cut.jpg", "a JPEG file that is cut short"]]
    assert "chub/cut.jpg" in (lake.with_name(f".{lake.name}.fishnet") / "refused.csv").read_text()


def test_too_many_broken_photos_stop_the_work(lake):
    for number in range(2):
        write(lake, f"chub/page{number}.jpg", b"<html>")
    with pytest.raises(WorkFailed, match=r"2 of 14 photos .*a web page.*page0\.jpg.*refused\.csv"):
        index(lake)
    assert len(index(lake, max_refused=0.2).refused) == 2


def test_a_name_that_is_not_unicode_is_refused(lake):
    name = os.path.join(os.fsencode(lake), b"chub", b"bad\xff.jpg")
    with open(name, "wb") as file:
        file.write(photo(1))
    assert index(lake).refused["path"].tolist() == ["chub/bad\\udcff.jpg"]


def bad_folders(root):
    yield root / "none", "no folder"
    yield write(root, "file.txt", b""), "is a file"
    (root / "empty").mkdir()
    yield root / "empty", "no class folders"
    (root / "hollow" / "chub").mkdir(parents=True)
    yield root / "hollow", "no JPEG, PNG"
    yield make(root / "one", ["chub"]), "only the class 'chub'"
    make(root / "half", ["chub"])
    (root / "half" / "pike").mkdir()
    yield root / "half", "class folder 'pike' holds no usable photo"
    write(root, "parts/train/chub/a.jpg", photo(0))
    write(root, "parts/val/chub/a.jpg", photo(1))
    yield root / "parts", "already split"


def test_folders_that_cannot_be_indexed(tmp_path):
    for folder, message in bad_folders(tmp_path):
        with pytest.raises(BadInput, match=message):
            index(folder)
    assert not list((tmp_path / "one").glob(".*"))


def test_copies_share_a_group_even_across_classes(lake):
    write(lake, "chub/copy.jpg", photo(0))
    write(lake, "perch/worse.jpg", photo(1, quality=60))
    groups = index(lake).table.set_index("path")["group"]
    assert groups["chub/copy.jpg"] == groups["chub/0.jpg"]
    assert groups["perch/worse.jpg"] == groups["chub/1.jpg"]
    assert groups.nunique() == 12


def test_dropping_copies(lake):
    write(lake, "chub/copy.jpg", photo(0))
    write(lake, "chub/worse.jpg", photo(1, quality=60))
    write(lake, "perch/other name.jpg", photo(2))  # under both classes: nobody knows which is right
    found = index(lake, duplicates="drop")
    left = set(found.table["path"])
    assert {"chub/0.jpg", "chub/1.jpg"} <= left
    assert not left & {"chub/copy.jpg", "chub/worse.jpg", "chub/2.jpg", "perch/other name.jpg"}
    assert "2 copies" in said(found)
    assert "two classes" in said(found)


def test_ignoring_copies_warns_of_what_may_straddle(lake):
    write(lake, "chub/copy.jpg", photo(0))
    found = index(lake, duplicates="ignore")
    assert found.table["group"].nunique() == 13
    assert "2 photos form 1 cluster of" in said(found)
    assert "straddle" not in said(index(lake))
    with pytest.raises(BadInput, match="group, drop, ignore"):
        index(lake, duplicates="keep")


def test_groups_by_file_name(tmp_path):
    for fish in range(8):
        for frame in range(3):
            write(
                tmp_path,
                f"{'chub' if fish < 4 else 'perch'}/fish{fish}_frame{frame}.jpg",
                photo(10 * fish + frame),
            )
    write(tmp_path, "chub/other.jpg", photo(99))
    found = index(tmp_path, group="(.+)_frame")
    assert found.table["group"].nunique() == 9
    assert "1 of 25 photos" in said(found)
    assert index(tmp_path, group=r"fish\d").table["group"].nunique() == 9
    for wrong, message in (("(.+", "not a regular expression"), ("(.+)_video", "neither a filled column")):
        with pytest.raises(BadInput, match=message):
            index(tmp_path, group=wrong)


def manifest(root, **columns):
    found = sorted(file.relative_to(root).as_posix() for file in root.glob("*/*.jpg"))
    table = pd.DataFrame({"path": found, **columns})
    table.to_csv(root / "manifest.csv", index=False)
    return table


def test_observations_are_groups_and_columns_come_along(lake):
    manifest(lake, observation_id=[7, 7, 8, "", "", 9] * 2, observer=["ann"] * 6 + ["bob"] * 6)
    found = index(lake)
    assert found.table["observation_id"].tolist() == ["7", "7", "8", "", "", "9"] * 2
    assert found.table["group"].tolist() == [0, 0, 1, 2, 3, 4, 0, 0, 1, 5, 6, 4]
    assert index(lake, group="observer").table["group"].nunique() == 2
    with pytest.raises(BadInput, match="observation_id, observer"):
        index(lake, group="obsever")


def test_a_manifest_that_disagrees_is_reported(lake):
    table = manifest(lake, **{"class": "chub", "sha256": "0" * 64})
    table = pd.concat([table[1:], table[1:2], table[:1].assign(path="chub/gone.jpg")])
    table.to_csv(lake / "manifest.csv", index=False)
    found = index(lake)
    for part in ("1 row repeats", "1 row names a photo that is not there", "1 photo has no row"):
        assert part in said(found)
    assert "6 photos lie in another class's folder" in said(found)
    assert "11 photos have other bytes" in said(found)
    assert len(found.table) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"path;class\nchub/0.jpg;chub\n", "no column 'path'"),
        ("path,class\nchub/0.jpg,é\n".encode("latin-1"), "not UTF-8"),
        (b'path,class\n"chub/0.jpg,chub\n', "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_read(lake, text, message):
    (lake / "manifest.csv").write_bytes(text)
    with pytest.raises(BadInput, match=message):
        index(lake)


def test_a_missing_manifest_that_was_asked_for(lake):
    with pytest.raises(BadInput, match="no manifest"):
        index(lake, manifest=lake / "other.csv")


def counting(monkeypatch):
    asked = []

    def counted(paths, **options):
        asked.extend(paths)
        return scan.scan(paths, **options)

    monkeypatch.setattr(seen, "scan", counted)
    return asked


def test_photos_are_read_once(lake, monkeypatch):
    asked = counting(monkeypatch)
    index(lake, classes=["chub", "perch"])
    assert len(asked) == 12
    first = index(lake)
    assert len(asked) == 12
    write(lake, "perch/new.jpg", photo(55))
    (lake / "chub" / "5.jpg").unlink()
    second = index(lake)
    assert [os.path.basename(path) for path in asked[12:]] == ["new.jpg"]
    assert len(second.table) == len(first.table)


@pytest.mark.parametrize("damage", [b"", b"PAR1 nonsense PAR1", None])
def test_a_damaged_index_is_made_again(lake, damage):
    before = index(lake).digest
    file = lake.with_name(f".{lake.name}.fishnet") / "index.parquet"
    file.write_bytes(file.read_bytes()[:-200] if damage is None else damage)
    assert index(lake).digest == before
    assert index(lake).digest == before


def test_a_folder_that_cannot_be_written(lake, tmp_path, monkeypatch):
    (lake.with_name(f".{lake.name}.fishnet")).write_text("in the way, as root may write anywhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = counting(monkeypatch)
    index(lake)
    index(lake)
    assert len(asked) == 12
    assert list((tmp_path / "cache").rglob("index.parquet"))


_FAULTY = """
import os, signal, time
from fishnet import expendable
from fishnet.data import scan as photo_worker
good = photo_worker.read_photo
expendable.CPU_SECONDS = 0
def faulty(path):
    if path.endswith("crash.jpg"):
        os.kill(os.getpid(), signal.SIGSEGV)
    while path.endswith("endless.jpg"):
        pass
    return good(path)
photo_worker.read_photo = faulty
photo_worker.main()
"""


def test_a_worker_that_dies_costs_one_photo(tmp_path, monkeypatch):
    root = make(tmp_path / "lake", count=20)
    for name in ("crash.jpg", "endless.jpg"):
        write(root, f"chub/{name}", photo(500))
    monkeypatch.setattr(scan, "_CHILD", _FAULTY)
    found = index(root, workers=2)
    assert len(found.table) == 40
    assert dict(found.refused.to_numpy().tolist()) == {
        "chub/crash.jpg": "the decoder died (SIGSEGV)",
        "chub/endless.jpg": "decoding took too long",
    }


def test_a_worker_that_cannot_start_is_a_failure(lake, monkeypatch, capfd):
    monkeypatch.setattr(scan, "_CHILD", "raise SystemExit('no numpy')")
    with pytest.raises(WorkFailed, match="could be started"):
        index(lake)


_BUILD = """
import sys
from fishnet.data.index import build_index
print(build_index(sys.argv[1], progress=False).digest)
"""


def building(root):
    return subprocess.Popen([sys.executable, "-c", _BUILD, str(root)], stdout=subprocess.PIPE, text=True)


def test_two_at_once_agree(tmp_path):
    root = make(tmp_path / "lake", count=100)
    pair = [building(root) for _ in range(2)]
    digests = {process.communicate(timeout=120)[0] for process in pair}
    assert digests == {index(root).digest + "\n"}


@pytest.mark.slow
def test_a_killed_build_loses_no_photo_that_was_read(tmp_path, monkeypatch):
    root = make(tmp_path / "lake", count=300)
    journal = root.with_name(f".{root.name}.fishnet") / "index.journal"

    def lines():
        return journal.read_text().split("\n")[1:-1] if journal.exists() else []

    killed = []
    for _ in range(2):  # the second one begins with the first one's journal, and a journal of its own
        process, deadline = building(root), time.monotonic() + 60
        while len(now := lines()) < 30 or now[0] in killed:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.communicate()
        killed += lines()
    asked = counting(monkeypatch)
    assert len(index(root).table) == 600
    assert len(set(killed)) == len(killed) == 600 - len(asked)
    assert not journal.exists()


def test_a_reading_process_whose_parent_was_killed_ends_without_a_word():
    """What its parent no longer reads is a broken pipe, and no traceback on the user's terminal."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", scan._CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout.readline() == b"ready\n"
    child.stdout.close()
    assert child.communicate(b'"missing.png"\n' * 3, timeout=60)[1] == b""


@pytest.mark.parametrize("damage", [b"", b"2\n[]\n", b"3\n[1, 2]\n", b"3\nno JSON\n", b"\xff\n"])
def test_a_damaged_journal_costs_nothing_but_time(lake, damage):
    digest = index(lake).digest
    folder = lake.with_name(f".{lake.name}.fishnet")
    (folder / "index.journal").write_bytes(damage)
    (folder / "index.parquet").unlink()
    assert index(lake).digest == digest


def test_the_light_things_import_neither_torch_nor_the_web(tmp_path):
    code = "import sys, fishnet.data.index, fishnet.data.splits\nprint({'torch', 'mlflow', 'hydra'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


_SOURCES = """
import sys
from fishnet.data.sources import source_of
reef = {"root": "nowhere", "species": 3, "photos": 4, "plant": None, "draw_size": 64, "draw_seed": 0}
source = source_of({"_target_": "fishnet.data.reef.ReefData", **reef})
source.check()
print(sum(source.counts().values()), source.root.exists(), source.users_own)
source = source_of({"_target_": "fishnet.data.datamodule.ImageFolderData", "root": sys.argv[1]})
source.check()
print(source.counts(), source.users_own)
print(source_of({"_target_": "my.own.Data"}), {"torch", "numpy"} & set(sys.modules))
"""


def test_a_source_knows_its_counts_before_anything_heavy_is_imported(lake):
    done = subprocess.run([sys.executable, "-c", _SOURCES, str(lake)], capture_output=True, text=True)
    assert done.stdout == "12 False False\n{'chub': 6, 'perch': 6} True\nNone set()\n", done.stderr
    with pytest.raises(BadInput, match=r"data\.root=gone does not exist"):
        FolderSource("gone").check()


def test_a_reading_that_is_ended_before_its_first_photo_leaves_nothing_behind(tmp_path, monkeypatch):
    root = make(tmp_path / "photos")

    def ended(*_, **__):
        raise KeyboardInterrupt
        yield

    with monkeypatch.context() as patch:
        patch.setattr(seen, "scan", ended)
        with pytest.raises(KeyboardInterrupt):
            build_index(root, progress=False)
    assert len(build_index(root, progress=False).table) == 12


def test_an_index_of_no_photos_is_as_good_as_none(tmp_path):
    root = make(tmp_path / "photos")
    build_index(root, progress=False)
    file = tmp_path / ".photos.fishnet/index.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    assert len(build_index(root, progress=False).table) == 12


# ---- large photos, and those that were closed too early


def test_the_limit_of_pixels_is_asked_each_time(lake, monkeypatch):
    buffer = BytesIO()
    Image.new("RGB", (2000, 1000), "teal").save(buffer, "PNG")
    write(lake, "perch/large.png", buffer.getvalue())
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "1")
    refused = build_index(lake, progress=False).refused
    assert refused["reason"].tolist() == ["2000 x 1000 pixels are too many (most_megapixels=1)"]
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "3")
    assert "perch/large.png" in build_index(lake, progress=False).table["path"].tolist()
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "1")
    assert build_index(lake, progress=False).refused["path"].tolist() == ["perch/large.png"]


def test_a_jpeg_with_a_grey_rest_is_used_and_warned_about(lake):
    buffer = BytesIO()
    spots = np.random.default_rng(5).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(spots).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    write(lake, "perch/cut.jpg", data[: len(data) // 2] + b"\xff\xd9")
    index = build_index(lake, progress=False)
    assert "perch/cut.jpg" in index.table["path"].tolist()
    (sentence,) = [text for text in index.warnings if "grey rest" in text]
    assert sentence.startswith("1 JPEG ends in a grey rest, such as perch/cut.jpg")


@pytest.mark.parametrize("most", [50, 100])
def test_who_decodes_has_a_bound_of_memory_by_the_largest_photo(most):
    code = "import resource; from fishnet import expendable; from fishnet.data import scan; "
    code += "before = expendable.address_space(); scan.main(); "
    code += "print(resource.getrlimit(resource.RLIMIT_AS)[0] - before)"
    environment = os.environ | {"FISHNET_MOST_MEGAPIXELS": str(most)}
    ended = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, env=environment, capture_output=True, text=True
    )
    bound = int(ended.stdout.split()[-1])
    assert most * 13e6 < bound < most * 13e6 + 400e6


@pytest.mark.slow
def test_the_largest_photo_of_the_costliest_kind_fits_into_that_memory(lake):
    buffer = BytesIO()
    Image.new("RGBA", (11648, 8585), (200, 30, 30, 90)).save(buffer, "PNG", compress_level=1)
    file = write(lake, "perch/large.png", buffer.getvalue())
    ((_, facts),) = scan.scan([str(file)])
    assert (facts["reason"], facts["width"]) == ("", 11648)
