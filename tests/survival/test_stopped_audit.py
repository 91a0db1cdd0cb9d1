"""An audit that is stopped while a training that it has started runs: both end, and the same command goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import psutil
import pytest

from fishnet.config import retraining
from tests.support.drawing import draw_folder
from tests.support.processes import SMALL, Command, environment

pytestmark = pytest.mark.slow

# The verb, with a note of each donor that is measured, and short trainings of so many epochs.
AUDIT = """
import sys
from fishnet.audit.exchange import Exchange
from fishnet.config import references

plain, notes, references.EPOCHS = Exchange.effects, sys.argv.pop(1), int(sys.argv.pop(1))

def noted(self, donors):
    with open(notes, "a") as file:
        file.write("donor\\n" * len(donors))
    return plain(self, donors)

Exchange.effects = noted
from fishnet.commands.audit import audit
from fishnet.config.entry import start
start(audit, "audit")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run, and its photos beside it."""
    folder = tmp_path_factory.mktemp("stopped")
    draw_folder(folder / "photos", photos=16)
    trained = Command(folder, "train", "data.root=photos", *SMALL, "trainer.max_epochs=1", "out=run", "test=false")
    assert trained.wait() == 0, trained.said
    return folder


def audit(home, notes, epochs):
    arguments = ["checkpoint=run/checkpoints/best.ckpt", "data.root=photos", "region=ellipse", "spread=1"]
    command = [sys.executable, "-c", AUDIT, str(home / notes), str(epochs), *arguments]
    # a group of its own, as a shell gives each command
    return subprocess.Popen(
        command, cwd=home, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def wait_for_training(home, process):
    """The processes of the training, once an epoch of it has ended."""
    begun, deadline = time.time(), time.monotonic() + 240
    best = "early-0-*.unfinished/checkpoints/best.ckpt"
    while not any(file.stat().st_mtime > begun for file in (home / ".photos.fishnet" / "trainings").glob(best)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.1)
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(("number", "by_terminal"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_signal_ends_the_audit_and_its_training(home, number, by_terminal):
    """The second audit measures nothing that the first one has measured."""
    first = not (home / ".photos.fishnet" / "effects").exists()
    process = audit(home, f"{number.name}.txt", 50_000)
    children = wait_for_training(home, process)
    assert children
    (os.killpg if by_terminal else os.kill)(process.pid, number)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, said
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert "Traceback" not in said
    sentences = [line for line in said.splitlines() if "audit: stopped" in line]
    assert len(sentences) == 1 and ".photos.fishnet" in sentences[0] and "the same command goes on" in sentences[0]
    assert (home / f"{number.name}.txt").exists() == first


@pytest.mark.parametrize(("patience", "second"), [(0.2, False), (300.0, True)])
def test_a_training_that_does_not_stop_is_ended_with_all_that_it_has_started(monkeypatch, patience, second):
    """After PATIENCE, or at once where a second Ctrl-C comes."""
    deaf = "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    deaf += "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']); print(flush=True);"
    process = subprocess.Popen(
        [sys.executable, "-c", deaf + "time.sleep(300)"], start_new_session=True, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    children = psutil.Process(process.pid).children()
    assert len(children) == 1
    monkeypatch.setattr(retraining, "PATIENCE", patience)
    if second:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt) if second else nullcontext():
        retraining.stop_training(process)
    assert process.returncode == -signal.SIGKILL
    assert psutil.wait_procs(children, timeout=10)[1] == []
