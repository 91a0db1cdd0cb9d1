"""The reef's folder is there whole or not at all, whoever asks, and whatever happens while it is drawn."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fishnet.errors import BadInput, WorkFailed
from fishnet.reef import reef_folder

SMALL = {"species": 2, "photos": 4, "size": 64, "progress": False}
CHILD = """
import sys
from fishnet.reef import reef_folder
print(reef_folder(sys.argv[1], species=3, photos=int(sys.argv[2]), size=64, progress=False))
"""


def start(parent: Path, photos: int) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, str(parent), str(photos)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def visible(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def test_drawn_once_and_found_again(tmp_path: Path) -> None:
    folder = reef_folder(tmp_path, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert reef_folder(tmp_path, **SMALL) == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert visible(tmp_path) == [folder.name]


def test_other_settings_another_folder_but_an_unsaid_default_the_same(tmp_path: Path) -> None:
    plain = reef_folder(tmp_path, **SMALL)
    planted = reef_folder(tmp_path, plant={"share": 0.5}, **SMALL)
    spelt = reef_folder(tmp_path, plant={"cue": "angler", "class": "bandfin_perch", "share": 0.5}, **SMALL)
    assert plain != planted
    assert planted == spelt


def test_bad_settings_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        reef_folder(tmp_path / "data", plant={"cue": "boat"}, **SMALL)
    assert not (tmp_path / "data").exists()


def test_a_place_where_nothing_can_be_drawn_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInput, match="cannot be drawn in"):
        reef_folder(tmp_path / "file", **SMALL)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WorkFailed, match="No space left"):
        reef_folder(tmp_path, **SMALL)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_reef_that_is_there_is_found_without_the_means_to_draw(tmp_path: Path) -> None:
    reef_folder(tmp_path, **SMALL)
    heavy = "import sys; from fishnet.reef import reef_folder; "
    heavy += f"reef_folder({str(tmp_path)!r}, **{SMALL!r}); print({{'cv2', 'scipy', 'numpy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_killed_drawing_leaves_no_half_folder_and_the_next_call_completes(tmp_path: Path) -> None:
    child = start(tmp_path, photos=150)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".reef-*/*/*.jpg")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert visible(tmp_path) == []

    again = start(tmp_path, photos=150)
    folder = Path(again.communicate(timeout=120)[0].strip())
    assert again.returncode == 0
    assert len(list(folder.rglob("*.jpg"))) == 450
    assert visible(tmp_path) == [folder.name]
    assert not list(tmp_path.glob(".reef-*.part"))


def test_two_processes_at_once_share_one_drawing(tmp_path: Path) -> None:
    children = [start(tmp_path, photos=60) for _ in range(2)]
    folders = {child.communicate(timeout=120)[0].strip() for child in children}
    assert [child.returncode for child in children] == [0, 0]
    assert len(folders) == 1
    assert len(list(Path(folders.pop()).rglob("*.jpg"))) == 180
