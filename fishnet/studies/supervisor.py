"""`python -m fishnet.studies.supervisor FOLDER`: one training under supervision, and its result file.

The supervisor, not the study, starts the training, ends its whole process group when its time is over, and writes
`result.json`. It holds a lock which the training inherits: whoever comes second, also after a kill -9 of supervisor or
study, sees the training taken for as long as any part of it lives; other hosts see its claim. (`filelock` hides the
descriptor that is inherited; so this lock, unlike all others, is `fcntl.flock` itself.) When the study dies, its end of
the pipe closes: the training is asked to stop, leaves a checkpoint, and goes on from there the next time.

Only light modules are imported before the training runs.
"""

import fcntl
import itertools
import json
import math
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from fishnet.environment import OF_A_RUN
from fishnet.files import write_whole
from fishnet.jobs.cause import Death, cause_of, system_kills
from fishnet.jobs.tied import PATIENCE, Lifeline, ended_within, signal_group
from fishnet.tracking.process import Writer, start_time, this_process

from .claim import Claim, claimed_elsewhere
from .outcome import read_outcome

JOB, RESULT, LOG, LOCK, RUN, PRUNE = "job.json", "result.json", "log.txt", "lock", "run", "prune"
ATTEMPTS = "attempts"  # a line for each: when it began, and the supervisor's process number
TRAINING = "training.json"  # which process it is, and which one supervises it
OUTPUT = "keeper.txt"  # of the supervisor itself: empty, unless it has a defect
REQUIRED = {"status", "cause", "seconds", "started", "ended", "figures"}  # what every result has
BUSY, STOPPED = 75, 76  # exit statuses: another supervisor has it; asked to stop before it had ended
POLL = 0.1


class Supervisor:
    """Runs the training of one folder, by its job.json, until it has a result, or the supervisor is asked to stop. The
    descriptor `lifeline` is at its end when the study is gone."""

    def __init__(self, folder: Path, lifeline: int | None = None) -> None:
        self.folder, self._lifeline = folder, Lifeline(lifeline)
        self._claim = Claim(folder)
        self.stopping = False

    def run(self) -> int:
        """0 when there is a result; BUSY or STOPPED when there is none yet."""
        with (self.folder / LOCK).open("a") as lock:
            if not _locked(lock) and not self._taken_over(lock):
                return BUSY
            if not self._claim.take():
                return BUSY
            try:
                if read_result(self.folder) is not None:
                    return 0
                return self._supervise(json.loads((self.folder / JOB).read_text()), lock)
            finally:
                self._claim.give_back()

    def _taken_over(self, lock: IO) -> bool:
        """Take the training over from a supervisor that was killed: end it, which leaves a checkpoint to go on from."""
        if (pid := orphan(self.folder)) is None:
            return False
        note = (self.folder / TRAINING).read_bytes()
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal_group(pid, number)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if _locked(lock):
                    return True
                if self.stopping or self._lifeline.cut() or (self.folder / TRAINING).read_bytes() != note:
                    return False  # another supervisor was quicker
                time.sleep(POLL)
        return False

    def _supervise(self, job: dict[str, Any], lock: IO) -> int:
        (self.folder / PRUNE).unlink(missing_ok=True)
        started, begun = time.time(), time.monotonic()
        with (self.folder / ATTEMPTS).open("a+") as file:
            file.write(f"{started:.1f} {os.getpid()}\n")
            file.flush()
            file.seek(0)
            attempts = len(file.readlines())
        death, code = Death("finished", ""), 0
        if arguments := self._arguments(job):  # else it had ended, and only the result was not written any more
            kills = system_kills()
            process = self._start([*job["command"], *arguments], job, attempts, lock)
            end = self._wait(process, job.get("limit"))
            signal_group(process.pid, signal.SIGKILL)
            code = process.returncode
            if end == "stopped" and code != 0:
                return STOPPED
            if end == "pruned":
                death = Death("pruned", (self.folder / PRUNE).read_text())
            elif end == "limit":
                seconds = job["limit"]
                units = {120: f"{seconds:.0f} s", 7200: f"{seconds / 60:.0f} min", math.inf: f"{seconds / 3600:.1f} h"}
                limit = next(text for below, text in units.items() if seconds < below)
                death = Death("timeout", f"it took longer than {limit} and was ended")
            else:
                death = cause_of(code, self.folder / LOG)
                if death.status == "killed" and system_kills() > kills:
                    death = Death("memory", "the system ended it because memory had run out")
        self._write(death, code, started, time.monotonic() - begun, attempts, job.get("score"))
        return 0

    def _write(self, death: Death, code: int, started: float, seconds: float, attempts: int, score: str | None) -> None:
        outcome = read_outcome(self.folder / RUN, score)
        seconds = round(seconds + self._seconds_before(), 3)
        result = {**death._asdict(), "exit": code, "seconds": seconds, "started": started, "ended": time.time()}
        result |= {"attempts": attempts, "host": socket.gethostname()}
        kept = ("figures", "best_epoch", "epochs", "parameters", "trained", "lr", "photos")
        result |= {name: getattr(outcome, name) for name in kept}
        write_whole(self.folder / RESULT, json.dumps(result, indent=1))
        if death.status in ("finished", "pruned"):  # it never goes on; its weights are in model/
            shutil.rmtree(self.folder / RUN / "checkpoints", ignore_errors=True)

    def _arguments(self, job: dict[str, Any]) -> list[str]:
        """Arguments that resume from the last whole checkpoint, or else start anew; none if the training has ended."""
        run = self.folder / RUN
        if run.exists():
            from fishnet.models.checkpoint import newest

            if read_outcome(run).status == "FINISHED":
                return []
            whole = all((run / name).is_file() for name in ("run.json", "config/config.yaml", "split/split.csv"))
            if whole and newest(run / "checkpoints") is not None:
                allowed = [text for text in job["arguments"] if text.startswith("packages=")]
                return [f"resume={job['out']}", *allowed]
            shutil.rmtree(run)
        return [*job["arguments"], f"out={job['out']}"]

    def _start(self, command: list[str], job: dict[str, Any], attempts: int, lock: IO) -> subprocess.Popen:
        inherited = {key: value for key, value in os.environ.items() if key not in OF_A_RUN}
        own = asdict(this_process())

        def note_itself() -> None:
            """In the new process, before it becomes the command: nothing of the training precedes the note of it, so
            a kill of the supervisor at any moment leaves a training that can be taken over."""
            training = {**own, "pid": os.getpid(), "started": start_time(os.getpid())}
            write_whole(self.folder / TRAINING, json.dumps({"keeper": own, "training": training}, indent=1))
            limit_memory(os.getpid(), job.get("memory"))

        with (self.folder / LOG).open("ab") as log:
            log.write(f"--- attempt {attempts}: {shlex.join(command)}\n".encode())
            log.flush()
            return subprocess.Popen(
                command,
                cwd=job["cwd"],
                env={**inherited, "PYTHONUNBUFFERED": "1", **job.get("environment", {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
                preexec_fn=note_itself,  # the supervisor has one thread
            )

    def _wait(self, process: subprocess.Popen, limit: float | None) -> str:
        """Wait for the end of the training and return its reason: by itself (``), stopped, pruned or limit."""
        deadline = time.monotonic() + limit if limit else float("inf")
        while True:
            if ended_within(process, POLL):
                return "stopped" if self.stopping else ""
            self._claim.renew()
            end = "stopped" if self.stopping or self._lifeline.cut() else ""
            if end or (self.folder / PRUNE).is_file():
                end = end or "pruned"
                signal_group(process.pid, signal.SIGTERM)  # it leaves a checkpoint at the end of the step
            elif time.monotonic() > deadline:
                end = "limit"
            if end:
                if end == "limit" or not ended_within(process, PATIENCE):
                    signal_group(process.pid, signal.SIGKILL)
                    process.wait()
                return end

    def _seconds_before(self) -> float:
        """How long earlier attempts took, as far as the journal of the run shows it."""
        from fishnet.tracking.journal import offline_records

        starts = []
        for line in (self.folder / ATTEMPTS).read_text(errors="replace").splitlines():
            with suppress(ValueError, IndexError):
                starts.append(float(line.split()[0]))
        moments = [record["time"] / 1000 for record in offline_records(self.folder / RUN, "metrics", "status")]
        pairs = list(itertools.pairwise(starts))
        last = (max((moment for moment in moments if begin <= moment < end), default=begin) for begin, end in pairs)
        return sum(moment - begin for moment, (begin, _) in zip(last, pairs, strict=True))


def _locked(lock: IO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def supervising(folder: Path) -> list[str]:
    """The command that supervises the training of this folder, and ends with its starter."""
    return [sys.executable, "-m", "fishnet.studies.supervisor", str(folder), "--lifeline"]


def busy(folder: Path) -> bool:
    """Whether any process holds it; one whose supervisor has died holds itself, and is free to be taken over."""
    if claimed_elsewhere(folder):
        return True
    if not (folder / LOCK).exists():
        return False
    with (folder / LOCK).open("a") as lock:
        return not _locked(lock) and orphan(folder) is None


def orphan(folder: Path) -> int | None:
    """The process of a training whose supervisor died before it. A number alone proves nothing: host, boot and start
    time must fit, of both."""
    try:
        note = json.loads((folder / TRAINING).read_text())
        supervisor, training = Writer(**note["keeper"]), Writer(**note["training"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return training.pid if training.alive() and supervisor.alive() is False else None


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result; None where it is absent or damaged, for it can be made again from what the training has left."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(result, dict) and set(result) >= REQUIRED and isinstance(result["figures"], dict)
    return result if whole else None


def limit_memory(pid: int, gigabytes: float | None) -> None:
    """Limit the memory that the process itself asks for; files it maps do not count. Where the limit cannot be set (the
    machine's own is lower, the number is out of all bounds), the training runs under the machine's."""
    if gigabytes and hasattr(resource, "prlimit"):  # Linux
        with suppress(OSError, ValueError, OverflowError):
            _, most = resource.prlimit(pid, resource.RLIMIT_DATA)
            size = int(gigabytes * 2**30)
            size = size if most == resource.RLIM_INFINITY else min(size, most)
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))


def main() -> int:
    """Supervise the training in the folder of the command line; a polite signal ends it with a checkpoint."""
    supervisor = Supervisor(Path(sys.argv[1]), lifeline=0 if "--lifeline" in sys.argv else None)

    def stop(number: int, frame: object) -> None:
        supervisor.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, stop)
    return supervisor.run()


if __name__ == "__main__":
    raise SystemExit(main())
