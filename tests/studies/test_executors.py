"""The same trainings under Slurm's code path and on a Ray cluster of two nodes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise

import psutil
import pytest

from fishnet.errors import BadInput
from fishnet.jobs.executors import executor_named

GRID = {"only": {"set": {"sleep": 1.0}, "search": {"space": {"x": [0.1, 0.2, 0.3]}}}}


def test_an_executor_that_cannot_be(tmp_path):
    def asked(name, **settings):
        executor_named(name, home=tmp_path, logs=tmp_path / "logs", limit=None, settings=settings)

    with pytest.raises(BadInput, match="executor=slurm: choose from local, submitit, ray"):
        asked("slurm")
    with pytest.raises(BadInput, match="takes gpus alone"):
        asked("local", cpus=2)
    with pytest.raises(BadInput, match="executor_args"):
        asked("submitit", cluster="lokal")
    with pytest.raises(BadInput, match="no Ray cluster answers"):
        asked("ray", address="127.0.0.1:9")


def test_trainings_that_run_together_have_a_gpu_each(study):
    tell = "open(os.environ['STARTS'], 'a').write(os.environ['CUDA_VISIBLE_DEVICES'] + chr(10))"
    stages = {"only": {"set": {"sleep": 0.5, "do": tell}, "search": {"space": {"x": [10, 20, 30, 40]}}}}
    study(settings={"gpus": [3, 5]}, **stages).run()
    assert {"3", "5"} <= set(study.starts())


@pytest.mark.slow
def test_submitit_runs_them_as_jobs(study):
    study(executor="submitit", settings={"cluster": "local"}, limit=600.0, **GRID).run()
    assert study.starts() == ["0.1", "0.2", "0.3"]
    assert study.selected()["only"]["kept"][0]["name"] == "x0.3"


SUBMITTED = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
from pathlib import Path
from fishnet.jobs.executors import executor_named
from fishnet.studies.supervisor import supervising
home = Path(sys.argv[1])
hands = executor_named("submitit", home=home, logs=home / "logs", limit=600.0, settings={"cluster": "local"})
running = hands.start(supervising(home / "training"), home / "errors")
while not (home / "training" / "pid").exists():
    time.sleep(0.1)
running.stop()
while running.status() is None:
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_submitted_training_ends_with_its_study(tmp_path):
    """Also where the study ignores the signal by which local jobs are cancelled."""
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    folder = tmp_path / "training"
    folder.mkdir()
    job = {"command": [sys.executable, "-c", code], "arguments": [], "cwd": str(folder), "out": str(folder / "run")}
    (folder / "job.json").write_text(json.dumps(job))
    subprocess.run([sys.executable, "-c", SUBMITTED, str(tmp_path)], check=True, timeout=90)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(int((folder / "pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.1)


# It is asked to stop, leaves what `resume=` needs, and finishes the second time.
STOPPED = (
    "signal.signal(signal.SIGTERM, lambda *a: os._exit(143));"
    "(run / 'config').mkdir(exist_ok=True); (run / 'split').mkdir(exist_ok=True); (run / 'checkpoints').mkdir();"
    "[(run / n).write_text('{}') for n in ('run.json', 'config/config.yaml', 'split/split.csv')];"
    "(run / 'checkpoints' / 'last.ckpt').write_text('all');"
    "import hashlib; digest = hashlib.sha256(b'all').hexdigest();"
    "(run / 'checkpoints' / 'last.ckpt.sha256').write_text(json.dumps([digest]));"
    "time.sleep(600)"
)


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_goes_on_from_its_checkpoint(study):
    stages = {"only": {"search": {"points": {"a": {"x": 0.1, "do": STOPPED}}}}}
    engine = study(executor="submitit", settings={"cluster": "local"}, limit=600.0, jobs=1, **stages)
    script = study.folder.parent / "training.py"
    text = script.read_text().replace(
        'exec(settings.get("do", ""))', 'settings.setdefault("seed", "0")\nexec(settings.get("do", ""))'
    )
    script.write_text(text.replace('float(settings["x"])', 'float(settings.get("x", 0.1))'))
    thread = threading.Thread(target=engine.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not list(study.folder.glob("trials/*/run/checkpoints/last.ckpt.sha256")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    jobs = [p for p in psutil.Process().children(recursive=True) if "submitit.core._submit" in " ".join(p.cmdline())]
    assert jobs
    for job in jobs:
        os.kill(job.pid, signal.SIGUSR2)
    thread.join(90)
    assert not thread.is_alive()
    assert study.starts() == ["0.1", "resumed"]
    (result,) = study.results().values()
    assert (result["status"], result["attempts"]) == ("finished", 2)


CLUSTER = """
import sys, time
from ray.cluster_utils import Cluster
cluster = Cluster()
quiet = dict(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False)
cluster.add_node(**quiet)
cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("ray_at_home")
def test_ray_runs_them_on_two_nodes(study):
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        address = ""
        while ":" not in address or " " in address.strip():
            address = cluster.stdout.readline()
            assert address, "the cluster did not start"
        stages = {"only": {"set": {"sleep": 6.0}, "search": {"space": {"x": [0.1, 0.2, 0.3, 0.4]}}}}
        study(executor="ray", settings={"address": address.strip(), "num_cpus": 1}, **stages).run()
    finally:
        cluster.stdin.close()
        try:
            cluster.wait(60)
        except subprocess.TimeoutExpired:
            cluster.kill()
    assert study.starts() == ["0.1", "0.2", "0.3", "0.4"]
    times = sorted((r["started"], r["ended"]) for r in study.results().values())
    assert any(a[1] > b[0] for a, b in pairwise(times)), "two at a time, one a node"
