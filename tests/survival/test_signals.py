"""Real processes, real signals: the exit status says which, a checkpoint is on disk, the run is KILLED or goes on."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fishnet.models.checkpoint import read_checkpoint, verified
from fishnet.tracking.store import open_store
from tests.support.processes import SMALL, Command, environment

pytestmark = pytest.mark.slow

ENDLESS = [*SMALL, "test=false", "trainer.max_epochs=5000"]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("signals")
    open_store(None, home=folder)
    return folder


def runs(home: Path) -> dict[str, object]:
    client = open_store(None, home=home).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {Path(run.data.tags["fishnet.folder"]).name: run for run in client.search_runs(experiments)}


def status(home: Path, name: str) -> str:
    return runs(home)[name].info.status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_it_with_a_checkpoint(home, shapes, number):
    last = home / number.name / "checkpoints" / "last.ckpt"
    command = Command(home, "train", f"data.root={shapes}", *ENDLESS, f"out={number.name}")
    command.wait_for(last.exists)
    before = read_checkpoint(last)["global_step"]
    command.signal(number)
    assert command.wait(30) == 128 + number, command.said
    assert "Traceback" not in command.said
    assert verified(last) and read_checkpoint(last)["global_step"] >= before
    assert status(home, number.name) == "KILLED"


@pytest.mark.parametrize(
    ("numbers", "ended"),
    [([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGHUP], 129)],
    ids=["SIGTERM", "Ctrl-C twice", "SIGHUP"],
)
def test_signals_to_the_loading_processes_too_leave_a_checkpoint(home, shapes, numbers, ended):
    name = f"group-{ended}"
    last = home / name / "checkpoints" / "last.ckpt"
    command = Command(home, "train", f"data.root={shapes}", *ENDLESS, "data.workers=2", f"out={name}")
    command.wait_for(lambda: verified(last))
    before = read_checkpoint(last)["global_step"]
    for number in numbers:
        command.signal_group(number)
    assert command.wait(60) == ended, command.said
    assert "Traceback" not in command.said and "Go on with" in command.said
    assert verified(last) and read_checkpoint(last)["global_step"] >= before
    assert status(home, name) == "KILLED"


def test_the_installed_command_ends_alike(home, shapes):
    """No fork here: the whole way from `fishnet train` on, of which a user's terminal or Slurm knows the process."""
    last = home / "command" / "checkpoints" / "last.ckpt"
    line = [sys.executable, "-m", "fishnet", "train", f"data.root={shapes}", *ENDLESS, "out=command"]
    with (
        (home / "command.txt").open("wb") as said,
        subprocess.Popen(line, cwd=home, stdout=said, stderr=said, env=environment()) as process,
    ):
        try:
            wait_for(process, last)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 143, (home / "command.txt").read_text()
        finally:
            process.kill()
    assert verified(last)
    assert status(home, "command") == "KILLED"


def wait_for(process: subprocess.Popen, file: Path, patience: float = 180.0) -> None:
    deadline = time.monotonic() + patience
    while not file.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


def killed(home: Path, *arguments: str) -> str:
    """Train, kill -9 once epochs have gone by since the start, and the run is left RUNNING."""
    last = home / "run" / "checkpoints" / "last.ckpt"
    begun = epoch(last)
    command = Command(home, "train", *arguments)
    command.wait_for(lambda: epoch(last) > begun + 2)
    command.signal(signal.SIGKILL)
    assert command.wait() == 128 + signal.SIGKILL
    run = runs(home)["run"]
    assert run.info.status == "RUNNING"
    return run.info.run_id


def epoch(last: Path) -> int:
    return read_checkpoint(last)["epoch"] if verified(last) else 0


def test_what_a_kill_left_is_closed_by_the_next_command_and_goes_on_by_its_run_id(tmp_path, shapes):
    open_store(None, home=tmp_path)
    settings = [f"data.root={shapes}", *ENDLESS]
    run_id = killed(tmp_path, *settings, "out=run")
    compare = Command(tmp_path, "compare")
    assert compare.wait() == 0
    assert "left by a dead process: now KILLED" in compare.said
    assert status(tmp_path, "run") == "KILLED"

    assert killed(tmp_path, f"resume={run_id}") == run_id
    other = Command(tmp_path, "train", *settings, "out=other", "trainer.max_epochs=1")
    assert other.wait() == 0, other.said
    assert "left by a dead process: now KILLED" in other.said
    assert (status(tmp_path, "run"), status(tmp_path, "other")) == ("KILLED", "FINISHED")

    end = epoch(tmp_path / "run" / "checkpoints" / "last.ckpt") + 3
    again = Command(tmp_path, "train", f"resume={run_id}", f"trainer.max_epochs={end}")
    assert again.wait() == 0, again.said
    run = runs(tmp_path)["run"]
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    client = open_store(None, home=tmp_path).client()
    for metric in ("train/loss", "val/loss", "optim/lr"):
        steps = [entry.step for entry in client.get_metric_history(run_id, metric)]
        assert sorted(steps) == list(range(end)), metric  # each once, though epochs were trained again


MEMORY = Path("/dev/shm")  # another file system than any disk


@pytest.mark.parametrize(("kills", "elsewhere"), [(2, False), (1, True)])
def test_kills_break_nothing(tmp_path, kills, elsewhere):
    """A tenth of the experiment, which also compares the end with a run that nobody disturbed."""
    line = [sys.executable, "-m", "experiments.survival", "--kills", str(kills), "--dense", "4096"]
    line += ["--home", str(tmp_path)]
    if elsewhere:
        if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("this machine has no second file system to put TMPDIR on")
        line += ["--tmpdir", str(MEMORY / f"fishnet-{tmp_path.name}")]
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(
            line, cwd=root, env=environment(), capture_output=True, text=True, timeout=400, check=False
        )
    finally:
        shutil.rmtree(MEMORY / f"fishnet-{tmp_path.name}", ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "broken files under a final name: 0" in done.stdout
    assert "DIFFERENT" not in done.stdout
