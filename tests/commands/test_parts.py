"""`parts=n`: a command that runs the parts, here, as jobs of Slurm or on Ray, and joins them."""

import signal
import sys

import psutil
import pytest

from fishnet.config import parting
from tests.support.drawing import draw_photo
from tests.support.processes import Command

BEST = "checkpoint=run/checkpoints/best.ckpt"


@pytest.fixture
def lake(trained, tmp_path):
    for number in range(11):
        draw_photo(tmp_path / "lake" / f"{number:02d}.jpg", number % 4, number)
    return [BEST, "images=lake", "batch_size=3"]


@pytest.fixture
def started(monkeypatch):
    """The names of the parts that were started; what is put in `failing` fails."""
    real, names, failing = parting.run_parts, [], set()

    def run(executor, parts, *rest):
        names.extend(part.name for part in parts)
        fails = [sys.executable, "-c", "print('fishnet: the disk is full.'); raise SystemExit(1)"]
        return real(executor, [p._replace(command=fails) if p.name in failing else p for p in parts], *rest)

    monkeypatch.setattr(parting, "run_parts", run)
    return names, failing


def test_a_table_made_in_parts_is_that_of_one_command(fishnet, lake, tmp_path, started):
    """Also where a part fails at first: only that one is made again."""
    names, failing = started
    assert fishnet("predict", *lake, "out=whole.csv").status == 0
    failing.add("2/3")
    ended = fishnet("predict", *lake, "out=deep/parted.csv", "parts=3")
    assert ended.status == 1 and "part 2/3 of 3 failed (the disk is full; its lines are in" in ended.err, ended.err
    assert not (tmp_path / "deep" / "parted.csv").exists()
    failing.clear()
    ended = fishnet("predict", *lake, "out=deep/parted.csv", "parts=3")
    assert ended.status == 0 and "3 parts" in ended.err, ended.err
    assert names == ["1/3", "2/3", "3/3", "2/3"]
    assert (tmp_path / "deep" / "parted.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["parted.csv"]


@pytest.mark.slow
def test_maps_made_in_parts_are_those_of_one_command(fishnet, lake, tmp_path):
    assert fishnet("explain", *lake, "out=whole", "pictures=1").status == 0
    ended = fishnet("explain", *lake, "out=parted", "pictures=1", "parts=2")
    assert ended.status == 0, ended.err
    for name in ("maps.npy", "logits.npy", "maps.csv"):
        assert (tmp_path / "parted" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "parted.parts").exists()


@pytest.mark.slow
def test_parts_of_another_command_are_refused_or_replaced(fishnet, lake, tmp_path, started):
    names, failing = started
    failing.update(("1/2", "2/2"))
    ended = fishnet("predict", *lake, "out=a.csv", "parts=2")
    assert ended.status == 1 and "2 parts (1/2, 2/2) of 2 failed" in ended.err, ended.err
    ended = fishnet("predict", *lake, "out=a.csv", "parts=2", "sure=0.5")
    assert ended.status == 2 and "a.csv.parts holds parts of another command" in ended.err, ended.err
    failing.clear()
    assert fishnet("predict", *lake, "out=a.csv", "parts=2", "sure=0.5", "overwrite=true").status == 0
    assert names == ["1/2", "2/2"] * 2
    (tmp_path / "b.csv.parts").mkdir()
    (tmp_path / "b.csv.parts" / "mine.txt").touch()
    ended = fishnet("predict", *lake, "out=b.csv", "parts=2", "overwrite=true")
    assert ended.status == 2 and "is in the way" in ended.err and (tmp_path / "b.csv.parts" / "mine.txt").exists()


def test_parts_of_photos_that_were_changed_are_refused_or_made_anew(fishnet, lake, tmp_path, started):
    _, failing = started
    failing.add("2/2")
    assert fishnet("predict", *lake, "out=a.csv", "parts=2").status == 1
    failing.clear()
    draw_photo(tmp_path / "lake" / "99.jpg", 1, 99)
    ended = fishnet("predict", *lake, "out=a.csv", "parts=2")
    assert ended.status == 2 and "of photos that were changed since: say overwrite=true" in ended.err, ended.err
    ended = fishnet("predict", *lake, "out=a.csv", "parts=2", "overwrite=true")
    assert ended.status == 0 and len((tmp_path / "a.csv").read_text().splitlines()) == 13, ended.err


def test_a_mistake_of_the_executor_is_not_in_the_way_of_the_next_command(fishnet, lake, started):
    wrong = ["parts=2", "executor=submitit", "executor_args={timeout_min: abc}"]
    ended = fishnet("predict", *lake, "out=a.csv", *wrong)
    assert ended.status == 2 and "timeout_min" in ended.err and ended.err.count("fishnet:") == 1, ended.err
    assert fishnet("predict", *lake, "out=a.csv", "parts=2").status == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["parts=2", "part=1/2"], "leave one out"),
        (["parts=0"], "1 or more"),
        (["parts=2", "format=camtrap_dp"], "leave part=, parts= and by= out"),
        (["executor=ray"], "say how many, as parts=8"),
        (["executor_args={gpus: [0]}"], "say how many, as parts=8"),
        (["parts=2", "executor=slurm"], "choose from local, submitit, ray"),
        (["parts=2", "executor_args=7"], "settings in braces"),
        (["parts=2", "executor_args={gpus: 0}"], "takes gpus alone"),
        (["parts=2", "executor=submitit", "executor_args={cluster: lokal}"], "executor_args"),
        (["parts=2", "images=nowhere"], "nowhere"),
        (["parts=12"], "holds 11 photos: take fewer"),
    ],
)
def test_keys_that_contradict_each_other(fishnet, lake, tmp_path, arguments, word):
    ended = fishnet("predict", *lake, "out=a.csv", *arguments)
    assert ended.status == 2 and word in ended.err and ended.err.count("fishnet:") == 1, ended.err
    assert not (tmp_path / "a.csv").exists() and not (tmp_path / "a.csv.parts").exists()


def test_explain_refuses_them_too(fishnet, lake):
    for arguments, word in (
        (["parts=2", "part=1/2"], "leave one out"),
        (["executor=ray"], "as parts=8"),
        (["parts=12"], "holds 11 photos: take fewer"),
    ):
        ended = fishnet("explain", *lake, *arguments)
        assert ended.status == 2 and word in ended.err, ended.err


def test_joining_takes_what_is_there(fishnet, lake):
    ended = fishnet("predict", "join=.", "parts=2")
    assert ended.status == 2 and "leave part=, parts=" in ended.err, ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "executor",
    [["executor=submitit", "executor_args={cluster: local}"], ["executor=ray", "executor_args={num_cpus: 1}"]],
)
@pytest.mark.usefixtures("ray_at_home")
def test_jobs_of_slurm_and_tasks_of_ray(fishnet, lake, tmp_path, executor):
    assert fishnet("predict", *lake, "out=whole.csv").status == 0
    ended = fishnet("predict", *lake, "out=parted.csv", "parts=2", *executor)
    assert ended.status == 0, ended.err
    assert (tmp_path / "parted.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert fishnet("explain", *lake, "out=whole", "pictures=0").status == 0
    ended = fishnet("explain", *lake, "out=parted", "pictures=0", "parts=2", *executor)
    assert ended.status == 0, ended.err
    assert (tmp_path / "parted" / "maps.npy").read_bytes() == (tmp_path / "whole" / "maps.npy").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_parts_end_with_their_command(lake, tmp_path, number):
    command = Command(tmp_path, "predict", *lake, "out=a.csv", "parts=2")

    def at_work() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [p for p in found if str(tmp_path) in " ".join(p.info["cmdline"] or []) and p.pid != command.pid]

    command.wait_for(lambda: len(at_work()) >= 2)
    parts = at_work()
    command.signal(number)
    assert command.wait() == 128 + number
    assert not psutil.wait_procs(parts, timeout=60)[1]
    again = Command(tmp_path, "predict", *lake, "out=a.csv", "parts=2")
    assert again.wait() == 0, again.said
