"""What work shows of itself, on a pseudo-terminal and elsewhere."""

import logging
import os
import pty
import subprocess
import sys
import threading
import time

import pyte
import pytest

from fishnet import progress

WORK = """
import logging, time
from fishnet.progress import Lines, with_progress, working
logging.getLogger("fishnet").addHandler(Lines())
logging.getLogger("fishnet").setLevel("INFO")
with working("training", 6) as work:
    for step in range(6):
        work.advance(note=f"epoch {step // 3 + 1}/2 · loss 0.5")
        time.sleep(0.12)
        if step == 2:
            logging.getLogger("fishnet").info("epoch 1/2  a line longer than the terminal is wide, and by a few words")
            list(with_progress(range(3), 3, "decoding"))
    time.sleep(0.3)
    print(flush=True, end="SNAPSHOT")
    input()
"""


class Terminal:
    """A pseudo-terminal whose screen can be read; its other end is `theirs`."""

    def __init__(self, columns: int, lines: int) -> None:
        self._ours, self.theirs = pty.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while chunk := os.read(self._ours, 4096):
            self._stream.feed(chunk)

    def lines(self) -> list[str]:
        time.sleep(0.3)  # until what was written has been read
        return [line.rstrip() for line in self._screen.display if line.strip()]


def test_bars_and_lines_are_never_glued_together():
    """One display: finished bars leave nothing behind, and log lines stand above, broken between words."""
    terminal = Terminal(60, 20)
    environment = {**os.environ, "COLUMNS": "60", "LINES": "20", "TERM": "xterm-256color"}
    with subprocess.Popen([sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=terminal.theirs, env=environment) as process:  # fmt: skip
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.read(8) == b"SNAPSHOT"
        lines = terminal.lines()
        assert lines[:2] == ["epoch 1/2  a line longer than the terminal is wide, and by a", "few words"]
        assert len(lines) == 3 and lines[2].startswith("training ━") and "6/6" in lines[2]
        assert lines[2].endswith("epoch 2/2 · loss 0.5")
        process.stdin.write(b"\n")
        process.stdin.close()
        process.wait(20)
        assert "training" not in "".join(terminal.lines())  # nothing is left of the bar


def test_off_a_terminal_a_line_every_half_minute(caplog, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with caplog.at_level(logging.INFO, "fishnet"), progress.working("training", 100) as work:
        work.begin_at(40)
        for step in range(41, 101):
            clock[0] += 4.0
            work.update(step, "epoch 2/3")
    lines = [record.message for record in caplog.records]
    assert len(lines) == 7  # 240 seconds, each line the first step beyond half a minute
    assert lines[0] == "training: 48 of 100, 3 min left, epoch 2/3"


def test_hidden_work_writes_nothing(caplog, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with caplog.at_level(logging.INFO, "fishnet"):
        assert list(progress.with_progress("abc", 3, "reading", shown=False)) == ["a", "b", "c"]
    assert not caplog.records


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h"), (12000, "3 h 20 min")]
)
def test_durations_as_people_say_them(seconds, text):
    assert progress.duration(seconds) == text


def test_processes_that_share_a_terminal_write_lines_and_draw_no_bars():
    terminal = Terminal(40, 20)
    work = """
from fishnet import progress
from fishnet.progress import Lines, for_terminal, shared_terminal, with_progress
import logging, sys, time
logging.basicConfig(level="INFO", format="%(message)s", handlers=[Lines()])
progress.EVERY_SHARED = 0.1
with shared_terminal("Job 1"):
    for _ in with_progress(range(3), 3, "decoding"):
        time.sleep(0.12)
    time.sleep(0.4)  # imports of what is large
time.sleep(0.3)  # it waits for its next job, and is not at work
text = "  labels  three photos lie among another class of this folder"
print(for_terminal(text, sys.stderr, indent=10), file=sys.stderr)
"""
    subprocess.run(
        [sys.executable, "-c", work], stderr=terminal.theirs, check=True, env={**os.environ, "COLUMNS": "40"}
    )
    lines = terminal.lines()
    spoken = [line for line in lines if line.startswith("Job 1: at work for ")]
    assert 3 <= len(spoken) <= 8
    assert [line.split(",")[0] for line in lines[:-2] if line not in spoken] == [
        f"decoding: {step} of 3" for step in (1, 2, 3)
    ]
    assert lines[-2:] == ["  labels  three photos lie among another", "          class of this folder"]
