"""What people call classes: read from a collection, typed in place of folders' names, kept by a checkpoint."""

import shutil

import pytest

from fishnet import ImageClassifier, ImageFolderData
from fishnet.data.class_names import ClassNames, read_class_names
from fishnet.errors import BadInput
from tests.support.drawing import draw_photo

TABLE = """class,taxon_id,name,rank,common_name
1-perca-fluviatilis,1,Perca fluviatilis,species,European perch
2-esox-lucius,2,Esox lucius,species,northern pike
3-esox,3,Esox,genus,
"""
PERCH, PIKE, ESOX = "1-perca-fluviatilis", "2-esox-lucius", "3-esox"


@pytest.fixture
def pond(tmp_path):
    for number, name in enumerate((PERCH, PIKE, ESOX)):
        for photo in range(6):
            draw_photo(tmp_path / "pond" / name / f"{photo}.jpg", number, photo)
    (tmp_path / "pond" / "classes.csv").write_text(TABLE)
    return tmp_path / "pond"


def test_names_are_read_and_short_where_there_is_no_common_one(pond):
    names = read_class_names(pond)
    assert [names.full(each) for each in (PERCH, ESOX, "roach")] == [
        "Perca fluviatilis, European perch",
        "Esox",
        "roach",
    ]
    assert names.short(PERCH) == "Perca fluviatilis"
    assert names.full(f"not {PERCH}") == "not Perca fluviatilis, European perch"
    assert ClassNames.from_state(names.state()) == names


def test_a_table_of_something_else_gives_no_names(tmp_path):
    assert not read_class_names(tmp_path)
    (tmp_path / "classes.csv").write_text("species;count\nperch;3\n")
    assert not read_class_names(tmp_path)
    (tmp_path / "classes.csv").write_bytes(b"class,name\n\xff\xfe,x\n")
    assert not read_class_names(tmp_path)


def test_two_classes_of_one_name_stay_two():
    names = ClassNames({"1-perch": ("Perca", "perch"), "2-perch": ("Perca", "perch")})
    assert names.full("1-perch") == "Perca (1-perch), perch" != names.full("2-perch")
    assert names.among("perch", ["1-perch", "2-perch"]) is None
    assert names.among("perca (2-perch)", ["1-perch", "2-perch"]) == "2-perch"


@pytest.mark.parametrize("typed", [PERCH, "Perca fluviatilis", "european  PERCH", "Perca fluviatilis, European perch"])
def test_classes_are_chosen_by_any_of_their_names(pond, typed):
    data = ImageFolderData(root=str(pond), classes=[typed, "Esox"], image_size=32)
    assert data.classes == [PERCH, ESOX] == sorted(set(data.table["class"]))
    assert ImageFolderData(root=str(pond), positive=typed, image_size=32).classes == [f"not {PERCH}", PERCH]


def test_a_name_that_is_none_is_refused_with_a_proposal(pond):
    with pytest.raises(BadInput, match="There is no class 'Perca fluvialis'; did you mean '1-perca"):
        _ = ImageFolderData(root=str(pond), classes=["Perca fluvialis", "Esox"], image_size=32).classes


def test_a_model_knows_folders_that_are_called_as_its_classes_are(pond, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(pond, lake, ignore=shutil.ignore_patterns("3-*", "classes.csv"))
    for before, now in ((PERCH, "Perca fluviatilis"), (PIKE, "Northern pike")):
        (lake / before).rename(lake / now)
    names = read_class_names(pond)
    data = ImageFolderData(root=str(lake), image_size=32).for_model(
        classes=[ESOX, PERCH, PIKE], names=names, part="all"
    )
    assert data.classes == [ESOX, PERCH, PIKE]
    assert data.table.groupby("class")["label"].unique().map(list).to_dict() == {PERCH: [1], PIKE: [2]}
    with pytest.raises(BadInput, match="the folder also holds"):
        _ = ImageFolderData(root=str(lake), image_size=32).for_model(classes=[ESOX, PERCH], names=names).classes
    plain = ["Esox", "Perca fluviatilis", "Esox lucius"]  # and a collection, for a model of folders that people named
    other = ImageFolderData(root=str(pond), image_size=32).for_model(classes=plain, part="all")
    assert set(other.table["class"]) == set(plain)


def test_a_checkpoint_of_before_has_none():
    model = ImageClassifier(classes=[PERCH, PIKE], backbone="cnn", image_size=32)
    model.on_load_checkpoint({"class_names": {PERCH: ["Perca fluviatilis", ""]}})
    assert model.names.full(PERCH) == "Perca fluviatilis"
    model.on_load_checkpoint({})
    assert not model.names and model.names.full(PERCH) == PERCH
