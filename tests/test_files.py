"""A file is the old one or the new one, never a part of either."""

import logging
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from fishnet.files import LockHeld, locked, remove_leftovers, replacing, write_whole


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "table.csv"
    write_whole(target, "old")
    with suppress(KeyError), replacing(target) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_what_a_kill_leaves_of_a_lone_writer_is_written_over(tmp_path):
    target = tmp_path / "table.csv"
    write_whole(target, "old", alone=True)
    code = (
        "import os, pathlib, sys; from fishnet.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1]), alone=True) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -9
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    write_whole(target, "new", alone=True)
    assert target.read_text() == "new" and list(tmp_path.iterdir()) == [target]


def test_what_kills_leave_of_several_writers_is_taken_away_and_a_writer_that_lives_keeps_its_file(tmp_path):
    target = tmp_path / "table.csv"
    code = (
        "import os, pathlib, sys; from fishnet.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    (left,) = tmp_path.iterdir()
    elsewhere = tmp_path / left.name.replace("table.csv.", "table.csv.0", 1)  # another machine's
    other = tmp_path / left.name.replace("table", "tables")
    for file in (elsewhere, other):
        file.touch()
    with replacing(target) as temporary:
        temporary.write_text("new")
        remove_leftovers(target)
    assert {*tmp_path.iterdir()} == {target, elsewhere, other} and target.read_text() == "new"


def test_two_writers_do_not_meet_in_one_temporary_file(tmp_path):
    target = tmp_path / "table.csv"
    with replacing(target) as first:
        first.write_text("first")
        code = "import pathlib, sys, fishnet.files as w; w.write_whole(pathlib.Path(sys.argv[1]), 'second')"
        subprocess.run([sys.executable, "-c", code, str(target)], check=True)
        assert target.read_text() == "second" and first.read_text() == "first"
    assert target.read_text() == "first" and list(tmp_path.iterdir()) == [target]


def test_where_no_folder_is_the_reason_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write_whole(tmp_path / "file" / "table.csv", "")


def test_a_lock_keeps_others_out_and_its_file_stays(tmp_path):
    file = tmp_path / "a.lock"
    with locked(file):
        for timeout in (0, 0.1):
            with pytest.raises(LockHeld, match=r"a\.lock"), locked(file, timeout=timeout):
                raise AssertionError("two hold one lock")
    with locked(file, timeout=0):
        assert file.exists()
    assert list(tmp_path.iterdir()) == [file]


def test_whoever_waits_says_so_once_and_gets_the_lock(tmp_path, caplog):
    file, held, released = tmp_path / "a.lock", threading.Event(), []

    def hold() -> None:
        with locked(file):
            held.set()
            time.sleep(0.3)
            released.append(True)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    with caplog.at_level(logging.INFO), locked(file, waiting="waiting for the other"):
        assert released
    other.join()
    assert [record.getMessage() for record in caplog.records] == ["waiting for the other"]


def test_a_killed_process_gives_its_lock_back(tmp_path):
    code = (
        "import os, pathlib, sys; from fishnet.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.lock")], check=False).returncode == -9
    with locked(tmp_path / "a.lock", timeout=0):
        pass
