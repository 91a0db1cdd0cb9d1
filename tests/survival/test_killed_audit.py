"""An audit that is killed in the middle goes on, and measures each donor once."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.support.processes import SMALL, Command, environment

pytestmark = pytest.mark.slow

# The verb, with a note of each donor that is measured, and a pause in which it can be killed.
AUDIT = """
import sys, time
from fishnet.audit.exchange import Exchange
from fishnet.data import store

store._WRITE_DOWN_EVERY = 0.0
plain, notes, pause = Exchange.effects, sys.argv.pop(1), float(sys.argv.pop(1))

def noted(self, donors):
    with open(notes, "a") as file:
        file.write("donor\\n" * len(donors))
    time.sleep(pause)
    return plain(self, donors)

Exchange.effects = noted
from fishnet.commands.audit import audit
from fishnet.config.entry import start
start(audit, "audit")
"""


def audit(home, shapes, notes, pause, out):
    photos = [f"data.root={shapes}", "part=all", "region=learned"]  # which no trial with the middle comes before
    arguments = ["checkpoint=run/checkpoints/best.ckpt", *photos, f"out={out}"]
    command = [sys.executable, "-c", AUDIT, str(notes), str(pause), *arguments]
    return subprocess.Popen(command, cwd=home, env=environment(), stderr=subprocess.PIPE, text=True)


def kept(shapes) -> int:
    files = list((shapes.parent / f".{shapes.name}.fishnet" / "effects").glob("*/rows.npy"))
    return sum(len(np.load(file)) for file in files)


def test_a_killed_audit_goes_on_where_it_was(tmp_path):
    from tests.support.drawing import draw_folder

    shapes = draw_folder(tmp_path / "shapes", photos=16)
    trained = Command(tmp_path, "train", f"data.root={shapes}", *SMALL, "trainer.max_epochs=1", "out=run", "test=false")
    assert trained.wait() == 0, trained.said
    process = audit(tmp_path, shapes, tmp_path / "first.txt", 0.5, "killed")
    deadline = time.monotonic() + 300
    while kept(shapes) < 9:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = kept(shapes)
    assert 9 <= before < 48
    process = audit(tmp_path, shapes, tmp_path / "second.txt", 0.0, "after")
    assert process.wait(300) == 0, process.communicate()[1]
    assert len((tmp_path / "second.txt").read_text().split()) == 48 - before
    assert kept(shapes) == 48 and (tmp_path / "after" / "audit" / "report.html").is_file()
