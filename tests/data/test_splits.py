"""No group is cut, every photo has a part, folds partition the data, and errors name the class."""

import logging
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishnet.data.splits import PARTS, load_split, save_split, split, split_digest
from fishnet.errors import BadInput


def table_of(sizes, shared=0):
    """`sizes` maps a class to the sizes of its groups; `shared` groups hold two classes."""
    rows = []
    for name, groups in sizes.items():
        for number, size in enumerate(groups):
            rows += [(f"{name}/{number}_{photo}.jpg", name, f"{name}{number}") for photo in range(size)]
    table = pd.DataFrame(rows, columns=["path", "class", "group"])
    names = sorted(sizes)
    for number in range(shared):
        table.loc[table["group"] == f"{names[1]}{number}", "group"] = f"{names[0]}{number}"
    table["sha256"] = [f"{row:064x}" for row in range(len(table))]
    return table


tables = st.builds(
    table_of,
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(1, 12), min_size=8, max_size=30), min_size=2),
    st.integers(0, 2),
)


@settings(max_examples=60, deadline=None)
@given(table=tables, seed=st.integers(0, 9), val=st.floats(0.1, 0.3), test=st.floats(0.1, 0.3))
def test_fractions(table, seed, val, test):
    parts = split(table, val=val, test=test, seed=seed)
    assert set(parts) == set(PARTS)
    assert (parts.groupby(table["group"]).nunique() == 1).all()
    if (table.groupby("group")["class"].nunique() == 1).all():
        largest = table.groupby(["class", "group"]).size().groupby("class").max()
        for name, rows in table.groupby("class"):
            got = parts[rows.index].value_counts()
            for part, share in (("val", val), ("test", test)):
                assert abs(got[part] - share * len(rows)) <= largest[name]


def test_each_fold_validates_on_photos_of_its_own():
    """Where all validate on mostly the same ones, their scores agree more than chance allows for."""
    names = [f"{kind}{number}" for kind in "ab" for number in range(150)]
    table = pd.DataFrame([{"path": name, "class": name[0], "group": name, "sha256": name} for name in names])
    validated = [set(table.index[split(table, folds=5, fold=fold) == "val"]) for fold in range(5)]
    shared = [len(one & other) / len(one) for one, other in combinations(validated, 2)]
    assert sum(shared) / len(shared) < 0.2
    assert len(set().union(*validated)) > 120


@settings(max_examples=40, deadline=None)
@given(table=tables, seed=st.integers(0, 9), folds=st.integers(2, 6))
def test_folds_partition_the_photos(table, seed, folds):
    tested = pd.Series(0, table.index)
    for fold in range(folds):
        parts = split(table, folds=folds, fold=fold, seed=seed)
        assert (parts.groupby(table["group"]).nunique() == 1).all()
        assert set(parts) == set(PARTS)
        tested += parts == "test"
    assert (tested == 1).all()


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    table = table_of({"a": [2] * 30, "b": [1] * 50})
    parts = split(table, seed=1)
    mixed = table.sample(frac=1, random_state=0)
    assert split(mixed, seed=1).sort_index().equals(parts)
    assert split_digest(mixed, split(mixed, seed=1)) == split_digest(table, parts)
    assert not split(table, seed=2).equals(parts)


def test_a_rare_class_is_in_every_part():
    parts = split(table_of({"common": [1] * 400, "rare": [5, 5, 5]}))
    assert parts[400:].value_counts().to_dict() == {"train": 5, "val": 5, "test": 5}


def test_a_class_of_too_few_groups_is_named_with_its_counts():
    table = table_of({"chub": [4] * 10, "Klunzinger's ×": [9, 1]})
    with pytest.raises(BadInput, match=r"Klunzinger's ×.*10 photos in 2 groups.*at least 3"):
        split(table)
    with pytest.raises(BadInput, match=r"20 folds.*at least 20"):
        split(table_of({"a": [1] * 10, "b": [1] * 30}), folds=20, fold=0)


def test_groups_that_tie_classes_together_too_tightly():
    table = table_of({"a": [1] * 3, "b": [1] * 3})
    table["group"] = [0, 1, 2, 0, 0, 1]
    with pytest.raises(BadInput, match=r"'b'.*2 groups"):
        split(table)


@pytest.mark.parametrize(
    "wrong",
    [
        {"val": 0},
        {"test": 1},
        {"val": -0.1},
        {"val": 0.5, "test": 0.5},
        {"val": float("nan")},
        {"fold": 0},
        {"folds": 5},
        {"folds": 1, "fold": 0},
        {"folds": 5, "fold": 5},
        {"folds": 5, "fold": -1},
    ],
)
def test_impossible_numbers(wrong):
    with pytest.raises(BadInput, match=r"data\."):
        split(table_of({"a": [1] * 10, "b": [1] * 10}), **wrong)


@pytest.fixture
def saved(tmp_path):
    table = table_of({"a": [2] * 10, "b": [1] * 20})
    parts = split(table)
    save_split(table, parts, tmp_path / "split.csv")
    return table, parts, tmp_path / "split.csv"


def test_a_saved_split_comes_back(saved):
    table, parts, file = saved
    assert load_split(file, table.sample(frac=1, random_state=1)).sort_index().equals(parts)


def test_moved_photos_are_known_by_their_bytes(saved):
    table, parts, file = saved
    moved = table.assign(path="elsewhere/" + table["path"])
    assert load_split(file, moved).equals(parts)


def test_a_photo_without_a_part_is_an_error(saved):
    table, _, file = saved
    more = pd.concat([table, table.head(1).assign(path="a/new.jpg", sha256="f" * 64)], ignore_index=True)
    with pytest.raises(BadInput, match=r"1 of 41 photos.*a/new\.jpg"):
        load_split(file, more)


def test_a_part_without_its_photo_is_reported(saved, caplog):
    table, parts, file = saved
    with caplog.at_level(logging.WARNING):
        assert load_split(file, table.drop(index=[0, 1])).equals(parts.drop(index=[0, 1]))
    assert "2 photos" in caplog.text


def test_a_split_that_cuts_a_group_is_refused(saved):
    table, parts, file = saved
    joined = table.assign(group=np.where(np.arange(len(table)) < 8, "one", table["group"]))
    joined.loc[parts[parts == "test"].index[0], "group"] = "one"
    with pytest.raises(BadInput, match="cuts 1 groups"):
        load_split(file, joined)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\x00", b"path,part\na,b\n", b"path,split\na/0_0.jpg,dev\n", b'a,b\n"'])
def test_files_that_are_no_split(saved, tmp_path, text):
    (tmp_path / "bad.csv").write_bytes(text)
    with pytest.raises(BadInput, match="split"):
        load_split(tmp_path / "bad.csv", saved[0])
    with pytest.raises(BadInput, match="no split file"):
        load_split(tmp_path / "none.csv", saved[0])
