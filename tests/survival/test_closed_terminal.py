"""A terminal that is closed ends a verb as a signal does: what it would write there is no error of its own."""

import fcntl
import os
import pty
import subprocess
import sys
import termios
import threading
import time

import pytest

from fishnet.models.checkpoint import write_checkpoint
from fishnet.models.classifier import ImageClassifier
from tests.support.drawing import draw_folder
from tests.support.processes import environment

pytestmark = pytest.mark.slow

# The verb, which leaves its exit status in a file: nobody sees what it writes to the terminal that is gone.
VERB = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from fishnet.__main__ import main
main()
"""
SMALL = {"backbone": "cnn", "backbone_args": {"filters": [4]}, "image_size": 32}
VERBS = {
    "serve": (["model=model.ckpt", "port=0", "workers=1"], b"Ctrl-C ends it", 0),
    "audit": (["checkpoint=model.ckpt", "data.root=photos", "region=ellipse", "tracking.offline=true"], b"photos", 129),
}


@pytest.mark.parametrize("verb", list(VERBS))
def test_a_closed_terminal_ends_it_in_good_order(tmp_path, verb):
    arguments, sign, status = VERBS[verb]
    draw_folder(tmp_path / "photos", photos=40)
    model = ImageClassifier(classes=["bar", "box", "disc"], **SMALL)
    write_checkpoint(
        {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}, tmp_path / "model.ckpt"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", VERB, verb, *arguments], cwd=tmp_path, env=environment(), start_new_session=True,
        stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    seen, patience = b"", threading.Timer(240, process.kill)
    patience.start()
    try:
        while sign not in seen:
            seen += os.read(ours, 65536)  # an error where the last process with this terminal has ended
        os.close(ours)
        began = time.monotonic()
        assert process.wait(60) == status, (seen, time.monotonic() - began)
    finally:
        patience.cancel()
        process.kill()
        process.wait()
