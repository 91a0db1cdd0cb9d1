"""A command as several at a time."""

import os
import sys

import psutil
import pytest

from fishnet.errors import WorkFailed
from fishnet.jobs.executors import executor_named
from fishnet.jobs.parts import Part, run_parts


@pytest.fixture
def local(tmp_path):
    return executor_named("local", home=tmp_path, logs=tmp_path, limit=None, settings={})


def part(folder, name: str, code: str) -> Part:
    return Part(f"{name}/3", [sys.executable, "-c", code], folder / f"{name}.log")


def test_parts_are_made_so_many_at_a_time(local, tmp_path):
    code = "import time; begin = time.time(); time.sleep(0.7); open('spans', 'a').write(f'{begin} {time.time()}\\n')"
    run_parts(local, [part(tmp_path, name, code) for name in "123"], 2, "working")
    spans = [tuple(map(float, line.split())) for line in (tmp_path / "spans").read_text().splitlines()]
    assert len(spans) == 3
    assert max(sum(begin <= moment <= end for begin, end in spans) for moment, _ in spans) == 2


def test_a_part_that_fails_is_named_with_its_reason_and_the_others_are_made(local, tmp_path):
    codes = {
        "1": "open('1', 'w')",
        "2": "print('fishnet: the disk is full.'); raise SystemExit(1)",
        "3": "open('3', 'w')",
    }
    with pytest.raises(WorkFailed) as failed:
        run_parts(local, [part(tmp_path, name, code) for name, code in codes.items()], 1, "working")
    assert "part 2/3 of 3 failed (the disk is full; its lines are in" in str(failed.value)
    assert (tmp_path / "1").exists() and (tmp_path / "3").exists()


def test_several_that_fail_are_counted(local, tmp_path):
    dies = "import os, sys; print('reading'); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    codes = {"1": dies, "2": "pass", "3": dies}
    with pytest.raises(
        WorkFailed, match=r"2 parts \(1/3, 3/3\) of 3 failed \(part 1/3: it was ended by signal 9"
    ) as failed:
        run_parts(local, [part(tmp_path, name, code) for name, code in codes.items()], 3, "working")
    assert "its last line: reading" in str(failed.value)


def test_an_interrupted_command_ends_its_parts(local, tmp_path, monkeypatch):
    """As Ctrl-C would, once the part is at work."""
    pid, start = tmp_path / "pid", local.start

    def started(*what):
        running = start(*what)

        def status():
            if not ended and pid.exists() and pid.read_text():
                ended.append(True)
                raise KeyboardInterrupt
            return running.status()

        return running._replace(status=status)

    ended: list[bool] = []
    monkeypatch.setattr(local, "start", started)
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        run_parts(local, [part(tmp_path, "1", code)], 1, "working")
    assert not psutil.pid_exists(int(pid.read_text()))


def test_slurm_gets_all_parts_as_a_single_array(tmp_path, monkeypatch):
    """As far as its `sbatch` sees it: there is no Slurm here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"srun": "exit 0", "sbatch": 'cat "$1" >> "$CALLS"; echo Submitted batch job 12'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    settings = {"slurm_partition": "gpu", "gpus_per_node": 1}
    executor = executor_named("submitit", home=tmp_path, logs=tmp_path / "logs", limit=None, settings=settings)
    with executor.together():
        for number in range(3):
            executor.start([sys.executable, "-c", f"print({number})"], tmp_path / "errors")
    lines = (tmp_path / "calls").read_text().splitlines()
    assert len([line for line in lines if line.startswith("#!")]) == 1
    assert "#SBATCH --array=0-2%3" in lines and "#SBATCH --partition=gpu" in lines
