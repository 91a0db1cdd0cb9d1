"""`python -m fishnet.studies.supervisor FOLDER`: one training under supervision, and its result file.

The keeper, not the study, starts the training, ends its whole process group when its time is over, and writes
`result.json`. It holds a lock which the training inherits: whoever comes second, also after a kill -9 of keeper or
study, finds the training taken for as long as any part of it lives. When the study dies, its end of the pipe closes:
the training is asked to stop, leaves a checkpoint, and goes on from there the next time.

Only the standard library is imported before the training runs.
"""

import contextlib
import fcntl
import itertools
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from fishnet.environment import OF_A_RUN
from fishnet.files import write_whole

from .causes import Death, cause_of, system_kills

JOB, RESULT, LOG, LOCK, RUN, PRUNE = "job.json", "result.json", "log.txt", "lock", "run", "prune"
TRAINING = "training.json"  # which process it is, and which one keeps it
TOLD = {"status", "cause", "seconds", "started", "ended", "figures"}  # what every result has
SAID = "keeper.txt"  # empty, unless a keeper has a defect
BUSY, STOPPED = 75, 76  # exit statuses: another keeper has it; asked to stop before it had ended
PATIENCE = 60.0  # seconds to leave a checkpoint in
POLL = 0.1


class Keeper:
    def __init__(self, folder: Path, lifeline: int | None = None) -> None:
        self.folder, self.lifeline = folder, lifeline
        self.stopping = False
        self._process: subprocess.Popen | None = None
        self._score: str | None = None
        self._begun = time.monotonic()

    def run(self) -> int:
        """0 when there is a result; BUSY or STOPPED when there is none yet."""
        with (self.folder / LOCK).open("a") as lock:
            if not _taken(lock) and not self._taken_over(lock):
                return BUSY
            if read_result(self.folder) is not None:
                return 0
            (self.folder / PRUNE).unlink(missing_ok=True)
            job = json.loads((self.folder / JOB).read_text())
            return self._keep(job, lock)

    def _taken_over(self, lock: IO) -> bool:
        """From a keeper that was killed. Nobody watches its training any more: it is ended, which leaves a checkpoint,
        and goes on from there under this one."""
        pid = orphan(self.folder)
        if pid is None:
            return False
        note = (self.folder / TRAINING).read_bytes()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if _taken(lock):
                    return True
                if self.stopping or self._abandoned() or (self.folder / TRAINING).read_bytes() != note:
                    return False  # another keeper was quicker
                time.sleep(POLL)
        return False

    def _keep(self, job: dict[str, Any], lock: IO) -> int:
        started, self._begun = time.time(), time.monotonic()
        self._score = job.get("score")
        attempts = _attempt(self.folder)
        command = job["command"] + self._arguments(job)
        if command == job["command"]:  # it had ended, and only the result was not written any more
            return self._write("finished", "", 0, started, attempts)
        kills = system_kills()
        with (self.folder / LOG).open("ab") as log:
            log.write(f"--- attempt {attempts}: {shlex.join(command)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                command,
                cwd=job["cwd"],
                env=_environment(job),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        self._note()
        _limit_memory(self._process.pid, job.get("memory"))
        ended = self._watch(job.get("limit"))
        self._end_group(signal.SIGKILL)
        if ended == "stopped" and self._process.returncode != 0:
            return STOPPED
        if ended == "pruned":
            return self._write("pruned", (self.folder / PRUNE).read_text(), self._process.returncode, started, attempts)
        if ended == "limit":
            cause = f"it took longer than {_duration(job['limit'])} and was ended"
            return self._write("timeout", cause, self._process.returncode, started, attempts)
        death = cause_of(self._process.returncode, self.folder / LOG)
        if death.status == "killed" and system_kills() > kills:
            death = Death("memory", "the system ended it because memory had run out")
        return self._write(death.status, death.cause, self._process.returncode, started, attempts)

    def _note(self) -> None:
        from fishnet.tracking.process import start_time, this_process

        assert self._process is not None
        mine, pid = asdict(this_process()), self._process.pid
        told = {"keeper": mine, "training": {**mine, "pid": pid, "started": start_time(pid)}}
        write_whole(self.folder / TRAINING, json.dumps(told, indent=1))

    def _arguments(self, job: dict[str, Any]) -> list[str]:
        """On from the last checkpoint where there is a whole one; none where the training has ended; else anew."""
        from fishnet.models.checkpoint import newest

        from .outcome import read_outcome

        run = self.folder / RUN
        if not run.exists():
            return [*job["arguments"], f"out={job['out']}"]
        if read_outcome(run).status == "FINISHED":
            return []
        whole = all((run / name).is_file() for name in ("run.json", "config/config.yaml", "split/split.csv"))
        if whole and newest(run / "checkpoints") is not None:
            return [f"resume={job['out']}"]
        shutil.rmtree(run)
        return [*job["arguments"], f"out={job['out']}"]

    def _watch(self, limit: float | None) -> str:
        """Until the training has ended: by itself (``), or because it was ended."""
        assert self._process is not None
        deadline = time.monotonic() + limit if limit else float("inf")
        while True:
            if self._ended_within(POLL):
                return "stopped" if self.stopping else ""
            if self.stopping or self._abandoned():
                self.stopping = True
                self._ask_to_end()
                return "stopped"
            if (self.folder / PRUNE).is_file():
                self._ask_to_end()
                return "pruned"
            if time.monotonic() > deadline:
                self._end_group(signal.SIGKILL)
                self._process.wait()
                return "limit"

    def _ended_within(self, seconds: float) -> bool:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def _ask_to_end(self) -> None:
        """A checkpoint at the end of the step; whoever does not hear it is killed."""
        assert self._process is not None
        self._end_group(signal.SIGTERM)
        if not self._ended_within(PATIENCE):
            self._end_group(signal.SIGKILL)
            self._process.wait()

    def _end_group(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _abandoned(self) -> bool:
        """Whether the study at the other end of the pipe is gone."""
        if self.lifeline is None:
            return False
        readable, _, _ = select.select([self.lifeline], [], [], 0)
        return bool(readable) and os.read(self.lifeline, 1) == b""

    def _write(self, status: str, cause: str, code: int, started: float, attempts: int) -> int:
        from .outcome import read_outcome

        found = read_outcome(self.folder / RUN, self._score)
        now = time.time()
        earlier = _seconds_before(self.folder)
        result = {
            "status": status,
            "cause": cause,
            "exit": code,
            "seconds": round(time.monotonic() - self._begun + earlier, 3),
            "started": started,
            "ended": now,
            "attempts": attempts,
            "host": socket.gethostname(),
            "figures": found.figures,
            "best_epoch": found.best_epoch,
            "epochs": found.epochs,
            "parameters": found.parameters,
            "trained": found.trained,
            "lr": found.lr,
            "photos": found.photos,
        }
        write_whole(self.folder / RESULT, json.dumps(result, indent=1))
        if status in ("finished", "pruned"):  # it never goes on: model/ holds the weights, these the optimiser's state
            shutil.rmtree(self.folder / RUN / "checkpoints", ignore_errors=True)
        return 0


def _taken(lock: IO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def busy(folder: Path) -> bool:
    """Whether any process holds this training at the moment; one that only its dead keeper's training holds is free to
    be taken over."""
    if not (folder / LOCK).exists():
        return False
    with (folder / LOCK).open("a") as lock:
        return not _taken(lock) and orphan(folder) is None


def orphan(folder: Path) -> int | None:
    """The process of a training whose keeper died before it. A number alone proves nothing: host, boot and start time
    must fit, of both."""
    from fishnet.tracking.process import Writer

    try:
        told = json.loads((folder / TRAINING).read_text())
        keeper, training = Writer(**told["keeper"]), Writer(**told["training"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return training.pid if training.alive() and keeper.alive() is False else None


def end_orphan(folder: Path, number: int) -> None:
    pid = orphan(folder)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)


def read_result(folder: Path) -> dict[str, Any] | None:
    """What is damaged is as good as absent: it can be made again from what the training has left."""
    try:
        told = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(told, dict) and set(told) >= TOLD and isinstance(told["figures"], dict)
    return told if whole else None


def _attempt(folder: Path) -> int:
    """One more line in `attempts`: which one this is, and since when."""
    with (folder / "attempts").open("a+") as file:
        file.write(f"{time.time():.1f} {os.getpid()}\n")
        file.flush()
        file.seek(0)
        return len(file.readlines())


def _seconds_before(folder: Path) -> float:
    """What earlier attempts took, as far as the journal of the run tells."""
    from fishnet.tracking.journal import offline_records

    starts = []
    for line in (folder / "attempts").read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError, IndexError):
            starts.append(float(line.split()[0]))
    told = sorted(record["time"] / 1000 for record in offline_records(folder / RUN, "metrics", "status"))
    total = 0.0
    for begin, end in itertools.pairwise(starts):
        last = [moment for moment in told if begin <= moment < end]
        total += max(0.0, last[-1] - begin) if last else 0.0
    return total


def _environment(job: dict[str, Any]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in OF_A_RUN}
    return {**inherited, "PYTHONUNBUFFERED": "1", **job.get("environment", {})}


def _limit_memory(pid: int, gigabytes: float | None) -> None:
    """Of what the process itself asks for; files it maps do not count.

    A limit that cannot be set (the machine's own is lower, the number is out of all bounds) must not leave a training
    without a keeper: it then runs under the machine's.
    """
    import resource

    if gigabytes and hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError, OverflowError):
            _, most = resource.prlimit(pid, resource.RLIMIT_DATA)
            size = int(gigabytes * 2**30)
            size = size if most == resource.RLIM_INFINITY else min(size, most)
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def main() -> int:
    keeper = Keeper(Path(sys.argv[1]), lifeline=0 if "--lifeline" in sys.argv else None)

    def stop(number: int, frame: object) -> None:
        keeper.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, stop)
    return keeper.run()


if __name__ == "__main__":
    raise SystemExit(main())
