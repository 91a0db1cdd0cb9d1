"""Names that are in use: shots of one subject are joined, photos that are merely numbered are not."""

import subprocess

import pandas as pd
import pytest

from experiments.honest.names import ALONE, GROUPED, WAYS, Way, result_of, table_of
from fishnet.config.compose import compose
from fishnet.config.quoting import quoted
from fishnet.data.naming import naming_of
from fishnet.data.subjects import _by_names, stated_groups, typed


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.title)
def test_a_way_of_naming(way):
    assert result_of(way)[0] == way.expected


def by_pattern():
    return [way for way in WAYS if (naming := naming_of(table_of(way))) and naming.sure]


@pytest.mark.parametrize("way", by_pattern(), ids=lambda way: way.title)
def test_what_is_printed_and_typed_in_a_shell_gives_the_same_groups(way):
    table = table_of(way)
    groups, _ = _by_names(table)
    printed = typed(naming_of(table).pattern)
    argument = subprocess.run(["bash", "-c", f"printf %s {printed}"], capture_output=True, text=True).stdout
    group = compose("train", ["data=folder", quoted(argument, "train")]).data.group
    assert stated_groups(table, group)[0].tolist() == groups.tolist()
    assert all(printed in " ".join(stated_groups(table, how)[1]) for how in ("auto", "none"))


def test_most_ways_have_a_pattern():
    assert len(by_pattern()) >= 15 and len(ALONE) >= 15 and len(GROUPED) >= 15


def test_hashes_decide_where_stems_are_large():
    near = Way("videos", lambda p: f"clip{p.s}_{p.n:03d}.jpg", subjects=8, shots=40)
    table = table_of(near)
    assert naming_of(table).sure
    mixed = table.assign(phash=table["phash"].sample(frac=1, random_state=0).to_numpy())
    assert not naming_of(mixed).sure
    assert stated_groups(mixed, "auto")[0].tolist() == list(range(len(mixed)))


def test_a_video_that_shows_two_classes_is_not_parted():
    table = table_of(Way("video", lambda p: f"clip{p.k}_frame{p.i:03d}.jpg"))
    groups = pd.Series(stated_groups(table, "auto")[0])
    assert groups.nunique() == 12  # not 24: frames of one clip, whatever they show
    again = table_of(Way("numbered in each folder", lambda p: f"fish{p.k}_frame{p.n}.jpg"))
    assert pd.Series(stated_groups(again, "auto")[0]).nunique() == 24


def test_a_copy_of_a_copy_belongs_to_the_shots():
    table = table_of(Way("both", lambda p: f"fish{p.s}_frame{p.n // 2}{('', '_flip')[p.n % 2]}.jpg"))
    assert pd.Series(stated_groups(table, "auto")[0]).nunique() == 24


def test_a_few_names_without_a_number_are_left_alone():
    table = table_of(Way("shots", lambda p: f"fish{p.s}_frame{p.n}.jpg"))
    odd = table.iloc[:3].assign(path=["perch/a.jpg", "perch/b c.jpg", "pike/20190812_142301.jpg"])
    groups = pd.Series(stated_groups(pd.concat([table, odd], ignore_index=True), "auto")[0])
    assert groups.nunique() == 24 + 3


def test_digits_of_a_time_are_not_taken_for_a_counter():
    table = table_of(Way("shots", lambda p: f"fish{p.s}_{p.n}.jpg"))
    times = [f"perch/IMG_20190812_14{minute}01.jpg" for minute in range(10, 30)]
    odd = table.iloc[:20].assign(path=times)
    groups = pd.Series(stated_groups(pd.concat([table, odd], ignore_index=True), "auto")[0])
    assert groups.nunique() == 24 + 20
