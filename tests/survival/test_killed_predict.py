"""A part of a prediction that is killed anywhere goes on, and answers each photo once."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fishnet.models.checkpoint import write_checkpoint
from fishnet.models.classifier import ImageClassifier
from tests.support.drawing import draw_photo
from tests.support.processes import environment

pytestmark = pytest.mark.slow

# The verb, with a note of each photo that is answered, and a pause in which it can be killed.
PREDICT = """
import sys, time
from fishnet.models import answer_table

plain, notes, pause = answer_table.answers, sys.argv.pop(1), float(sys.argv.pop(1))

def noted(model, files, *rest):
    for answer in plain(model, files, *rest):
        with open(notes, "a") as file:
            file.write(f"{answer.photo}\\n")
        yield answer
    time.sleep(pause)

answer_table.answers = noted
from fishnet.commands.predict import predict
from fishnet.config.entry import start
start(predict, "predict")
"""


def command(home, notes, pause, *arguments):
    given = ["checkpoint=model.ckpt", "images=lake", "batch_size=2", "out=answers.csv", *arguments]
    process = [sys.executable, "-c", PREDICT, str(home / notes), str(pause), *given]
    return subprocess.Popen(process, cwd=home, env=environment(), stderr=subprocess.PIPE, text=True)


def test_a_killed_part_goes_on_where_it_was(tmp_path):
    for number in range(48):
        draw_photo(tmp_path / "lake" / f"{number:02d}.jpg", number % 3, number)
    small = {"backbone": "cnn", "backbone_args": {"filters": [4]}, "image_size": 32}
    model = ImageClassifier(classes=["bar", "box", "disc"], **small)
    checkpoint = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
    write_checkpoint(checkpoint, tmp_path / "model.ckpt")
    journal = tmp_path / ".answers.1-of-2.csv.journal"
    for kills in range(2):
        process = command(tmp_path, "killed.txt", 0.3, "part=1/2")
        deadline = time.monotonic() + 120
        while not journal.exists() or journal.read_bytes().count(b"\n") < 3 + 2 * kills:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    before = journal.read_bytes().count(b"\n") - 1
    assert 4 <= before < 12 and not (tmp_path / "answers.1-of-2.csv").exists()
    first, second = command(tmp_path, "first.txt", 0.0, "part=1/2"), command(tmp_path, "second.txt", 0.0, "part=2/2")
    for process in (first, second):
        assert process.wait(120) == 0, process.communicate()[1]
    assert len((tmp_path / "first.txt").read_text().split()) == 24 - 2 * before
    assert command(tmp_path, "whole.txt", 0.0).wait(120) == 0
    joined = [sys.executable, "-m", "fishnet", "predict", "join=answers.*-of-2.csv", "out=joined.csv"]
    subprocess.run(joined, cwd=tmp_path, env=environment(), check=True, timeout=120)
    assert (tmp_path / "joined.csv").read_bytes() == (tmp_path / "answers.csv").read_bytes()
    assert not journal.exists()
