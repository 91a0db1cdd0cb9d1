"""A file is the old one or the new one, never a part of either."""

import subprocess
import sys
from contextlib import suppress

import pytest

from fishnet.files import replacing, write_whole


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
