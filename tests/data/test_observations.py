"""Photos that are answered together, and who answers them: every photo once, whatever the number of parts."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishnet.data.observations import (
    Observation,
    Part,
    blocks_of,
    blocks_of_part,
    loose_photos,
    observations,
    part_of,
)
from fishnet.errors import BadInput
from tests.support.drawing import draw_photo


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 8), st.integers(1, 12))
def test_parts_are_disjoint_and_take_in_everything(sizes, batch, of):
    found, row = [], 0
    for size in sizes:
        found.append(Observation(str(row), list(range(row, row + size))))
        row += size
    blocks = blocks_of(found, batch)
    assert [each for block in blocks for each in block] == found
    assert all(sum(len(each.photos) for each in block) <= batch or len(block) == 1 for block in blocks)
    own = [number for part in range(1, of + 1) for number in blocks_of_part(blocks, Part(part, of))]
    assert own == list(range(len(blocks)))


def test_parts_are_about_equally_large():
    blocks = blocks_of([Observation(str(row), [row]) for row in range(103)], 4)
    sizes = [sum(len(blocks[number]) for number in blocks_of_part(blocks, Part(part, 4))) for part in range(1, 5)]
    assert sum(sizes) == 103 and max(sizes) - min(sizes) <= 8


def test_a_column_or_a_pattern_joins_photos_and_the_others_stand_alone():
    table = pd.DataFrame({"path": ["a_1.jpg", "b/a_2.jpg", "c_1.jpg", "d.jpg"], "visit": ["x", "", "x", ""]})
    assert observations(table, "visit") == [
        Observation("x", [0, 2]),
        Observation("b/a_2.jpg", [1]),
        Observation("d.jpg", [3]),
    ]
    assert [each.photos for each in observations(table, r"(.+)_\d")] == [[0, 1], [2], [3]]
    assert [each.name for each in observations(table, None)] == table["path"].tolist()


@pytest.mark.parametrize(
    ("by", "word"), [("nothing_(.+)", "neither a filled column"), ("(", "by='(' is not a regular expression")]
)
def test_a_grouping_that_does_nothing_is_refused(by, word):
    with pytest.raises(BadInput, match=r"by=") as refused:
        observations(pd.DataFrame({"path": ["a.jpg"], "visit": [""]}), by)
    assert word in str(refused.value) and "auto" not in str(refused.value)


def test_a_manifest_beside_the_photos_is_read(tmp_path):
    for number in range(3):
        draw_photo(tmp_path / "lake" / f"{number}.jpg", 0, number)
    (tmp_path / "manifest.csv").write_text("path,visit\nlake/1.jpg,x\n../lake/0.jpg,y\n/etc/passwd,z\nlake/1.jpg,w\n")
    table = loose_photos(tmp_path).table
    assert table["path"].tolist() == ["lake/0.jpg", "lake/1.jpg", "lake/2.jpg"]
    assert table["visit"].tolist() == ["", "x", ""]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "-1/3", "1/0", "1/2/3", ""])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(BadInput, match="such as part=2/4"):
        part_of(text)


def test_photos_of_a_list_are_named_from_the_folder_that_holds_them_all(tmp_path, monkeypatch):
    for name in ("here/a.jpg", "there/b.jpg"):
        (tmp_path / name).parent.mkdir()
        draw_photo(tmp_path / name, 0, 0)
    (tmp_path / "manifest.csv").write_text("path,visit\nthere/b.jpg,2\nhere/a.jpg,1\n")
    monkeypatch.chdir(tmp_path / "here")
    for images in ("[a.jpg,../there/b.jpg]", f"[a.jpg,{tmp_path}/there/b.jpg]"):
        found = loose_photos(images)
        assert [file.read_bytes() for file in found.files] == [
            (tmp_path / name).read_bytes() for name in ("here/a.jpg", "there/b.jpg")
        ]
    monkeypatch.chdir(tmp_path)
    found = loose_photos("*/*.jpg")
    assert found.table.to_dict("list") == {"path": ["here/a.jpg", "there/b.jpg"], "visit": ["1", "2"]}
