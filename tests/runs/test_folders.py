"""Folders of runs: two commands that start at once never share one, and a refused one leaves none behind."""

import threading

import pytest

from fishnet.environment import RUN_FOLDER
from fishnet.errors import BadInput
from fishnet.runs.folders import claim_folder, make_folder, run_folder


def at_once(reserve, count: int = 8) -> list:
    """What each of several threads that start together gets: a folder, or the refusal."""
    gate, leave = threading.Barrier(count), threading.Barrier(count)
    got: list = []

    def take() -> None:
        gate.wait()
        try:
            with reserve() as folder:
                got.append(folder)
                leave.wait()
                (folder / "work").touch()
        except BadInput as refusal:
            got.append(refusal)
            leave.wait()

    threads = [threading.Thread(target=take) for _ in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return got


def test_commands_of_the_same_second_get_a_folder_each(tmp_path):
    got = at_once(lambda: make_folder(tmp_path / "outputs" / "now_cnn"))
    assert sorted(folder.name for folder in got) == ["now_cnn", *(f"now_cnn-{number}" for number in range(2, 9))]
    assert all((folder / "work").exists() for folder in got)


def test_a_named_folder_is_given_to_one_of_them(tmp_path):
    got = at_once(lambda: claim_folder(tmp_path / "deep" / "run"))
    assert len([one for one in got if not isinstance(one, BadInput)]) == 1
    assert all("reserved by another command" in str(one) or isinstance(one, type(tmp_path)) for one in got)
    assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == ["work"]
    with pytest.raises(BadInput, match="in use"), claim_folder(tmp_path / "deep" / "run"):
        pass


@pytest.mark.parametrize("reserve", [make_folder, claim_folder])
def test_nothing_is_left_of_a_run_that_was_refused(tmp_path, reserve):
    with pytest.raises(BadInput, match="no"), reserve(tmp_path / "outputs" / "run"):
        raise BadInput("no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reserve", [make_folder, claim_folder])
def test_a_place_where_nothing_can_be_written(tmp_path, reserve):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"), reserve(tmp_path / "file" / "run"):
        pass


def test_a_process_that_lightning_started_takes_the_folder_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_FOLDER, str(tmp_path / "run"))
    monkeypatch.setenv("LOCAL_RANK", "1")
    with run_folder(None, name="cnn") as folder:
        assert folder == tmp_path / "run"
    assert list(tmp_path.iterdir()) == []
