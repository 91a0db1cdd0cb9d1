"""One training under supervision: every way to die has its cause, and the others finish."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fishnet.jobs.cause import cause_of
from fishnet.studies.claim import CLAIM, SILENT_FOR
from fishnet.studies.supervisor import BUSY, busy, limit_memory
from fishnet.tracking.process import Writer, start_time, this_process

WAYS = {
    "well": ("", "finished", ""),
    "raises": ("raise ValueError('no such colour')", "raised", "no such colour"),
    "exits": ("os._exit(3)", "exited", "status 3"),
    "refused": ("print('fishnet: model.lr=0: this is above 0.'); sys.exit(2)", "refused", "model.lr=0"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "SIGKILL"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "killed", "SIGSEGV"),
    "hangs": ("time.sleep(600)", "timeout", "longer than 4 s"),
    "memory": ("raise MemoryError('too much')", "memory", "memory ran out"),
}


def test_of_twenty_trials_seven_die_in_seven_ways_and_thirteen_finish(study):
    points = {name: {"x": number, "do": do} for number, (name, (do, _, _)) in enumerate(WAYS.items())}
    points |= {f"w{number}": {"x": -number} for number in range(1, 13)}
    engine = study(jobs=8, limit=4, only={"search": {"points": points}})
    engine.run()
    results = study.results()
    assert len(results) == 20
    assert sum(result["status"] == "finished" for result in results.values()) == 13
    for name, (_, status, words) in WAYS.items():
        assert results[name]["status"] == status, (name, results[name])
        assert words in results[name]["cause"]
    verdict = engine.verdict()
    assert verdict is not None and "7 of 20 trials failed" in str(verdict)
    assert study.selected()["only"]["kept"][0]["name"] == "well"


def test_failed_ones_run_again_when_asked(study):
    stages = {"only": {"search": {"points": {"a": {"x": 1}, "b": {"x": 2, "do": "Path('mended').read_text()"}}}}}
    assert study(**stages).run() and study.results()["b"]["status"] == "raised"
    (study.folder.parent / "mended").write_text("yes")
    study(**stages).run()
    assert study.results()["b"]["status"] == "raised"
    engine = study(retry=True, **stages)
    engine.run()
    assert study.results()["b"]["status"] == "finished" and engine.verdict() is None
    assert study.starts() == ["1", "2", "2"]


def supervised(folder, code: str, *flags: str, **job):
    folder.mkdir(parents=True, exist_ok=True)
    told = {"command": [sys.executable, "-c", code], "arguments": [], "out": str(folder / "run"), "cwd": str(folder)}
    (folder / "job.json").write_text(json.dumps({**told, **job}))
    return subprocess.Popen(
        [sys.executable, "-m", "fishnet.studies.supervisor", str(folder), *flags], stdin=subprocess.PIPE
    )


def test_the_whole_group_ends_when_the_time_is_over(tmp_path):
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        "open('child', 'w').write(str(child.pid)); time.sleep(600)"
    )
    process = supervised(tmp_path / "one", code, limit=2)
    assert process.wait(30) == 0
    child = int((tmp_path / "one" / "child").read_text())
    deadline = time.monotonic() + 10
    while start_time(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not start_time(child)


def test_a_dead_study_ends_its_trainings_and_leaves_no_result(tmp_path):
    code = "import time; open('begun', 'w').close(); time.sleep(600)"
    process = supervised(tmp_path / "one", code, "--lifeline")
    while not (tmp_path / "one" / "begun").exists():
        time.sleep(0.05)
    assert busy(tmp_path / "one")
    process.stdin.close()
    process.wait(30)
    assert not busy(tmp_path / "one")
    assert not (tmp_path / "one" / "result.json").exists()


LIVES_ON = """
import os, signal, sys, time
if os.path.exists("pid"):
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *a: (open("asked", "w").close(), time.sleep(0.5), os._exit(143)))
open("pid.part", "w").write(str(os.getpid()))
os.rename("pid.part", "pid")
time.sleep(600)
"""


def orphaned(folder) -> int:
    """A training whose supervisor has been killed; its process."""
    process = supervised(folder, LIVES_ON)
    deadline = time.monotonic() + 30
    while not ((folder / "pid").exists() and (folder / "training.json").exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    return int((folder / "pid").read_text())


def again(folder) -> int:
    return subprocess.run([sys.executable, "-m", "fishnet.studies.supervisor", str(folder)], timeout=30).returncode


def test_a_training_that_outlives_its_supervisor_is_ended_and_goes_on_under_the_next(tmp_path):
    """Never two at a time: the first is asked to leave a checkpoint, and has ended before the second begins."""
    training = orphaned(tmp_path / "one")
    assert start_time(training) and not busy(tmp_path / "one")
    assert again(tmp_path / "one") == 0
    assert not start_time(training) and (tmp_path / "one" / "asked").exists()
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert (result["status"], result["attempts"]) == ("finished", 2)


def test_a_training_can_be_taken_over_however_early_its_supervisor_is_killed(tmp_path):
    """Its first act is to kill it: by then the note that tells the next one which process to end is on the disk."""
    once = "[ -e again ] && exit 0; : > again; kill -KILL $PPID; exec sleep 600"
    process = supervised(tmp_path / "one", "", command=["sh", "-c", once])
    assert process.wait(30) == -signal.SIGKILL
    assert again(tmp_path / "one") == 0
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert (result["status"], result["attempts"]) == ("finished", 2)


def test_a_process_that_only_has_the_number_of_a_training_is_left_alone(tmp_path):
    training = orphaned(tmp_path / "one")
    note = tmp_path / "one" / "training.json"
    told = json.loads(note.read_text())
    told["training"]["started"] = "1"
    note.write_text(json.dumps(told))
    try:
        assert busy(tmp_path / "one") and again(tmp_path / "one") == BUSY
        assert start_time(training) and not (tmp_path / "one" / "asked").exists()
    finally:
        os.kill(training, signal.SIGKILL)


def test_a_killed_supervisor_stops_no_study(study, tmp_path):
    """The training would hang for ever: its supervisor is gone, and with it the limit."""
    do = (
        "first = not Path('again').exists(); Path('again').touch();"
        "pid = os.getppid(); [os.kill(pid, signal.SIGKILL), time.sleep(600)] if first else None"
    )
    study(only={"search": {"points": {"a": {"x": 1, "do": do}}}}).run()
    assert study.starts() == ["1", "1"]
    (result,) = study.results().values()
    assert (result["status"], result["attempts"]) == ("finished", 2)


def test_a_damaged_result_is_made_again_from_what_the_training_left(study):
    stages = {"only": {"search": {"points": {"best": {"x": 0.9}, "other": {"x": 0.2}}}}}
    study(**stages).run()
    before = study.selected()
    for damage in ("{}", "gar", '{"status": "finished", "figures": 3}', ""):
        (path,) = [p for p in study.folder.glob("trials/*/result.json") if "0.9" in p.read_text()]
        path.write_text(damage)
        (path.parent / "attempts").write_text("no number\n")
        engine = study(**stages)
        engine.run()
        assert study.selected() == before and engine.verdict() is None
    assert study.starts() == ["0.2", "0.9"]


def test_memory_has_a_limit(tmp_path):
    process = supervised(tmp_path / "one", "import time; time.sleep(0.5); data = bytearray(3_000_000_000)", memory=0.5)
    process.wait(60)
    assert json.loads((tmp_path / "one" / "result.json").read_text())["status"] == "memory"


@pytest.mark.parametrize("name", ["Müller (2)", "é [x]={y}, 'z' ~#&;$"])
def test_a_training_finds_its_folder_whatever_it_is_called(tmp_path, name):
    command = [sys.executable, "-m", "fishnet", "train"]
    process = supervised(tmp_path / name / "one", "", command=command, arguments=["--cfg", "job"])
    assert process.wait(60) == 0
    said = (tmp_path / name / "one" / "log.txt").read_text()
    assert json.loads((tmp_path / name / "one" / "result.json").read_text())["status"] == "finished", said
    told = OmegaConf.create(said[said.index("data:") :])
    assert OmegaConf.to_container(told)["out"] == str(tmp_path / name / "one" / "run")


@pytest.mark.parametrize("gigabytes", [4, 1e12, 1e300])
def test_a_limit_beyond_the_machines_own_is_the_machines_own(gigabytes):
    resource = pytest.importorskip("resource")
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (2**30, 2**30))
            limit_memory(process.pid, gigabytes)
            assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (2**30, 2**30)
        finally:
            process.kill()


def test_the_last_sentence_is_the_cause(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("Traceback\nfishnet: the loss became nan at step 3.\n")
    assert cause_of(1, log) == ("raised", "the loss became nan at step 3.")
    log.write_text("")
    assert "gave no reason" in cause_of(4, log).cause


def test_only_what_may_go_on_keeps_its_checkpoints(study):
    """With optimiser and all they are three times the weights, which stay in `model/`."""
    leave = "(run / 'checkpoints').mkdir()"
    points = {"well": {"x": 1, "do": leave}, "dies": {"x": 2, "do": f"{leave}; 1/0"}}
    study(only={"search": {"points": points}}).run()
    left = [path.parent.parent.name for path in study.folder.glob("trials/*/run/checkpoints")]
    (dead,) = [p.parent.name for p in study.folder.glob("trials/*/result.json") if '"raised"' in p.read_text()]
    assert left == [dead]


@pytest.mark.parametrize(("silent", "runs"), [(0, False), (2 * SILENT_FOR, True)])
def test_a_training_of_another_host_is_left_to_it_while_it_gives_signs_of_life(tmp_path, silent, runs):
    claim = claimed(tmp_path / "one", replace(this_process(), host="elsewhere"))
    moment = time.time() - silent
    os.utime(claim, (moment, moment))
    assert busy(tmp_path / "one") is not runs
    assert supervised(tmp_path / "one", "pass").wait(30) == (0 if runs else BUSY)
    assert (tmp_path / "one" / "result.json").exists() is runs and claim.exists() is not runs


def test_what_a_killed_supervisor_of_this_host_has_claimed_is_free(tmp_path):
    claimed(tmp_path / "one", replace(this_process(), pid=1, started="0"))
    assert not busy(tmp_path / "one") and supervised(tmp_path / "one", "pass").wait(30) == 0


def claimed(folder, by: Writer) -> Path:
    folder.mkdir()
    (folder / CLAIM).write_text(by.to_tag())
    return folder / CLAIM
