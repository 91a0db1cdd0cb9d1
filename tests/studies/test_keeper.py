"""One training under supervision: every way to die has its cause, and the others finish."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from omegaconf import OmegaConf

from fishnet.studies.causes import cause_of
from fishnet.studies.keeper import BUSY, _limit_memory, busy
from fishnet.tracking.process import start_time

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


def kept(folder, code: str, *flags: str, **job):
    folder.mkdir(parents=True)
    told = {"command": [sys.executable, "-c", code], "arguments": [], "out": str(folder / "run"), "cwd": str(folder)}
    (folder / "job.json").write_text(json.dumps({**told, **job}))
    return subprocess.Popen(
        [sys.executable, "-m", "fishnet.studies.keeper", str(folder), *flags], stdin=subprocess.PIPE
    )


def test_the_whole_group_ends_when_the_time_is_over(tmp_path):
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        "open('child', 'w').write(str(child.pid)); time.sleep(600)"
    )
    keeper = kept(tmp_path / "one", code, limit=2)
    assert keeper.wait(30) == 0
    child = int((tmp_path / "one" / "child").read_text())
    deadline = time.monotonic() + 10
    while start_time(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not start_time(child)


def test_a_dead_study_ends_its_trainings_and_leaves_no_result(tmp_path):
    code = "import time; open('begun', 'w').close(); time.sleep(600)"
    keeper = kept(tmp_path / "one", code, "--lifeline")
    while not (tmp_path / "one" / "begun").exists():
        time.sleep(0.05)
    assert busy(tmp_path / "one")
    keeper.stdin.close()
    keeper.wait(30)
    assert not busy(tmp_path / "one")
    assert not (tmp_path / "one" / "result.json").exists()


def test_a_training_that_outlives_its_keeper_is_not_started_twice(tmp_path):
    code = "import os, time; open('begun', 'w').write(str(os.getpid())); time.sleep(600)"
    keeper = kept(tmp_path / "one", code)
    while not (tmp_path / "one" / "begun").exists() or not (tmp_path / "one" / "begun").read_text():
        time.sleep(0.05)
    keeper.kill()
    keeper.wait()
    again = subprocess.run([sys.executable, "-m", "fishnet.studies.keeper", str(tmp_path / "one")], check=False)
    assert again.returncode == BUSY
    os.kill(int((tmp_path / "one" / "begun").read_text()), signal.SIGKILL)


def test_memory_has_a_limit(tmp_path):
    keeper = kept(tmp_path / "one", "import time; time.sleep(0.5); data = bytearray(3_000_000_000)", memory=0.5)
    keeper.wait(60)
    assert json.loads((tmp_path / "one" / "result.json").read_text())["status"] == "memory"


@pytest.mark.parametrize("name", ["Müller (2)", "é [x]={y}, 'z' ~#&;$"])
def test_a_training_finds_its_folder_whatever_it_is_called(tmp_path, name):
    command = [sys.executable, "-m", "fishnet", "train"]
    keeper = kept(tmp_path / name / "one", "", command=command, arguments=["--cfg", "job"])
    assert keeper.wait(60) == 0
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
            _limit_memory(process.pid, gigabytes)
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
