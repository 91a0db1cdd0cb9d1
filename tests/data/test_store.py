"""Arrays on disk: what was written down is whole, whatever killed the writer; what is not is made again."""

import errno
import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from fishnet.data.store import Store
from fishnet.errors import WorkFailed

KEYS = [f"{number:064x}" for number in range(40)]
SHAPES = np.array([[number % 5 + 1, 3, 2] for number in range(40)], np.int32)


def array(position: int) -> np.ndarray:
    return np.full(SHAPES[position], position, np.uint8)


def made(positions):
    for position in reversed(positions.tolist()):  # in any order
        yield position, array(position)


def fill(store: Store, keys=KEYS, make=made) -> None:
    store.fill(keys, SHAPES[: len(keys)], make, label="test", progress=False)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store", dtype="uint8", about={"side": 8})


def holds(store: Store, keys=KEYS) -> bool:
    stored = store.read(keys, SHAPES[[KEYS.index(key) for key in keys]])
    return all(np.array_equal(stored[place], array(KEYS.index(key))) for place, key in enumerate(keys))


def test_arrays_come_back_in_the_asked_order_and_through_a_pickle(store):
    fill(store)
    wanted = [KEYS[7], KEYS[0], KEYS[7], KEYS[39]]
    stored = pickle.loads(pickle.dumps(store.read(wanted, SHAPES[[7, 0, 7, 39]])))
    assert [int(stored[place].flat[0]) for place in range(4)] == [7, 0, 7, 39]


def test_only_what_is_missing_is_made(store):
    asked: list[int] = []

    def noting(positions):
        asked.extend(positions.tolist())
        yield from made(positions)

    fill(store, KEYS[:10], noting)
    fill(store, KEYS, noting)
    assert asked == list(range(40))
    assert holds(store)


def test_a_failure_in_the_middle_keeps_what_was_made(store):
    def failing(positions):
        for place, answer in enumerate(made(positions)):
            if place == 15:
                raise RuntimeError
            yield answer

    with pytest.raises(RuntimeError):
        fill(store, make=failing)
    assert len(store.missing(KEYS)) == 25
    fill(store)
    assert holds(store)


def test_a_full_disk_leaves_a_store_that_can_be_read(store, monkeypatch):
    write, written = os.pwrite, []

    def full(file, what, offset):
        written.append(offset)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, what, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        fill(store)
    monkeypatch.undo()
    assert len(store.missing(KEYS)) == 20
    fill(store)
    assert holds(store)


def test_a_disk_too_full_for_the_rows_gives_back_what_cannot_be_used(store, monkeypatch):
    fill(store, KEYS[:10])
    before = store.data.stat().st_size

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        fill(store)
    monkeypatch.undo()
    assert store.data.stat().st_size == before
    assert holds(store, KEYS[:10])
    fill(store)
    assert holds(store)


def test_a_store_that_is_made_anew_leaves_an_open_one_as_it_was(store):
    fill(store)
    opened = store.read(KEYS, SHAPES)
    store.made_by.write_text("{}")
    fill(store, KEYS[:1])
    assert all(np.array_equal(opened[place], array(place)) for place in range(40))


def test_rows_of_other_shapes_are_not_believed(store):
    fill(store)
    with pytest.raises(WorkFailed, match="damaged"):
        store.read(KEYS, SHAPES + 1)


def test_a_key_that_is_not_there_has_no_other_ones_bytes(store):
    fill(store, KEYS[:30])
    for stranger in ("0" * 64, "f" * 64):
        with pytest.raises(WorkFailed, match="damaged"):
            store.read([*KEYS[:4], stranger], SHAPES[:5])


def rewritten(store: Store, **changes) -> None:
    rows = np.load(store.rows)
    for name, value in changes.items():
        rows[name][3] = value
    np.save(store.rows, rows)


DAMAGES = {
    "cut": lambda store: os.truncate(store.data, store.data.stat().st_size - 1),
    "settings": lambda store: store.made_by.write_text("{}"),
    "rows": lambda store: store.rows.write_bytes(store.rows.read_bytes()[:-5]),
    "nonsense": lambda store: store.rows.write_bytes(b"nonsense"),
    "a zip": lambda store: store.rows.write_bytes(b"PK\x03\x04 no zip"),
    "an archive": lambda store: (np.savez(f"{store.rows}.npz", a=KEYS), os.replace(f"{store.rows}.npz", store.rows)),
    "objects": lambda store: store.rows.write_bytes(pickle.dumps(KEYS)),
    "one number": lambda store: np.save(store.rows, np.zeros((), np.load(store.rows).dtype)),
    "before the start": lambda store: rewritten(store, offset=-8),
    "no size": lambda store: rewritten(store, shape=0),
    "negative size": lambda store: rewritten(store, shape=-1),
    "no settings": lambda store: store.made_by.unlink(),
    "no data": lambda store: store.data.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_does_not_fit_together_is_made_again_and_said_once(store, damage, caplog):
    fill(store)
    DAMAGES[damage](store)
    assert len(store.missing(KEYS)) == 40
    fill(store)
    assert holds(store)
    assert [record.getMessage().count("made again") for record in caplog.records] == [1]


_FILL = """
import sys, time
import numpy as np
from pathlib import Path
from fishnet.data import store as room
room._WRITE_DOWN_EVERY = 0.02
folder, pause = Path(sys.argv[1]), float(sys.argv[2])
KEYS = [f"{number:064x}" for number in range(40)]
SHAPES = np.array([[number % 5 + 1, 3, 2] for number in range(40)], np.int32)
def made(positions):
    for position in positions.tolist():
        time.sleep(pause)
        print(position, flush=True)
        yield position, np.full(SHAPES[position], position, np.uint8)
room.Store(folder, dtype="uint8", about={"side": 8}).fill(KEYS, SHAPES, made, label="test", progress=False)
"""


def started(store: Store, pause: float) -> subprocess.Popen:
    command = [sys.executable, "-c", _FILL, str(store.folder), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_loses_only_what_it_had_not_written_down(store):
    process = started(store, 0.02)
    deadline = time.monotonic() + 60
    while not store.rows.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    missing = store.missing(KEYS)
    assert 0 < len(missing) < 40
    assert holds(store, [key for place, key in enumerate(KEYS) if place not in missing])
    fill(store)
    assert holds(store)


def test_of_two_processes_one_works_and_the_other_waits(store):
    both = [started(store, 0.01) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert sorted(map(len, said)) == [0, 40]
    assert holds(store)
