import dataclasses
import subprocess
import sys
import time

import pytest

from fishnet.tracking.names import HEARTBEAT, PROCESS
from fishnet.tracking.process import start_time, this_process
from fishnet.tracking.runs import close_stale_runs, tidy

DIES = """
import os, signal, sys
from pathlib import Path
from fishnet.tracking.session import start_run
from fishnet.tracking.store import open_store
home = Path(sys.argv[1])
run = start_run(open_store(str(home), home=home), experiment="reef", run_name="killed", folder=home / "run", every=60)
run.log_metrics({"val/loss": 0.5})
print(run.run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def status_of(store, run_id):
    return store.client().get_run(run_id).info.status


def test_a_killed_process_leaves_a_run_that_the_next_command_delivers_and_closes(store, tmp_path):
    home = tmp_path / "home"
    done = subprocess.run([sys.executable, "-c", DIES, str(home)], capture_output=True, text=True, check=False)
    run_id = done.stdout.strip()
    assert status_of(store, run_id) == "RUNNING"
    delivered, closed = tidy(store, home)
    assert "1 metric value delivered" in delivered
    assert "killed" in closed
    run = store.client().get_run(run_id)
    assert run.info.status == "KILLED"
    assert run.info.end_time >= run.info.start_time - 1000
    assert run.data.metrics == {"val/loss": 0.5}
    assert "was dead" in run.data.tags["fishnet.closed_by"]
    assert tidy(store, home) == []


def test_living_runs_and_runs_of_others_are_left_alone(store, session):
    foreign = store.client().create_run(session.experiment_id)
    assert close_stale_runs(store) == []
    assert status_of(store, session.run_id) == status_of(store, foreign.info.run_id) == "RUNNING"


def test_a_reused_process_number_does_not_keep_a_run_alive(store, session):
    reused = dataclasses.replace(this_process(), pid=1, started=start_time(1) + "0")
    store.client().set_tag(session.run_id, PROCESS, reused.to_tag())
    assert close_stale_runs(store) == ["one"]
    assert status_of(store, session.run_id) == "KILLED"


@pytest.mark.parametrize(("silent", "closed"), [(300, []), (900, ["one"])])
def test_another_host_counts_as_dead_after_ten_silent_minutes(store, session, silent, closed):
    elsewhere = dataclasses.replace(this_process(), host="elsewhere")
    store.client().set_tag(session.run_id, PROCESS, elsewhere.to_tag())
    store.client().set_tag(session.run_id, HEARTBEAT, str(int(time.time()) - silent))
    assert close_stale_runs(store) == closed
