"""`fishnet serve`, ended at random moments by signals to its group: in its start, idle, and while photos are answered.

    python -m experiments.survival.service --repeats 10 --csv faults.csv

Before it listens a signal ends it as any verb (143, 130, 129); behind that the photos that it has taken are answered,
and it leaves with 0. No process that decodes may live on, no answer may be half, and no traceback may be shown.
"""

import os
import re
import signal
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from . import children
from .faults import finish, outliving, parser, tally
from .verbs import MODEL, SIGNALS, draw

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")
CLIENTS = 3


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--signals", nargs="*", choices=SIGNALS, default=list(SIGNALS))
    chosen = options.parse_args()
    children.prepare()
    chance, rows = np.random.default_rng(chosen.seed), []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        draw(home)
        seconds = [until_it_listens(home, name) for name in ("first", "second")][1]  # the first imports everything
        print(f"serve: {seconds:.1f} s until it listens", flush=True)
        for name in chosen.signals:
            number, status = SIGNALS[name]
            end = "no traceback" if number == signal.SIGKILL else "0 once it listens"
            goal = f"answers whole, no process left, {end}"
            command = f"kill -{signal.Signals(number).name.removeprefix('SIG')} -- -PGID"
            why = (once(home, number, status, seconds, chance) for _ in range(chosen.repeats))
            rows.append(tally(f"serve: {name}", command, goal, why))
    finish(rows, chosen.csv)


def begin(home: Path, name: str):
    log = home / f"{name}.log"
    log.touch()
    return children.begin("serve", home, MODEL, "port=0", "workers=2", temporary=home, log=log), log


def until_it_listens(home: Path, name: str) -> float:
    """Seconds of a start that nobody disturbs."""
    began = time.monotonic()
    process, log = begin(home, name)
    while not ADDRESS.search(log.read_text()):
        time.sleep(0.05)
    seconds = time.monotonic() - began
    os.killpg(process.pid, signal.SIGTERM)
    process.join()
    return seconds


def once(home: Path, number: int, status: int, seconds: float, chance: np.random.Generator) -> str:
    """Start it, ask as soon as it listens, strike somewhere; what did not hold, in words."""
    name = f"run{chance.integers(2**32):08x}"
    process, log = begin(home, name)
    trouble: list[str] = []
    clients = [threading.Thread(target=ask, args=(process, log, trouble), daemon=True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(chance.uniform(0.1, 2.0) * seconds)
    listened = "Ctrl-C ends it" in log.read_text()
    os.killpg(process.pid, number)
    process.join(60)
    for client in clients:
        client.join(30)
    code, lines = process.exitcode, log.read_text()
    if code is None:
        os.killpg(process.pid, signal.SIGKILL)
        return f"it did not end: {lines[-600:]}"
    code = 128 - code if code < 0 else code
    if left := outliving(name, process.pid):
        return f"left behind: {left}"
    # One that begins to listen just then may end either way.
    expected = {status} if number == signal.SIGKILL else {0} if listened else {status, 0}
    if code not in expected or "Traceback" in lines or "Error" in lines:
        return f"exit {code} (it {'listened' if listened else 'started'}): {lines[-600:]}"
    return "; ".join(trouble)


def ask(process, log: Path, trouble: list[str]) -> None:
    """Photo after photo until nobody answers any more; a connection that is refused or closed is an answer too."""
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (900, 1200, 3)).astype(np.uint8)).save(buffer, "PNG")
    while process.is_alive() and not (address := ADDRESS.search(log.read_text())):
        time.sleep(0.05)
    while process.is_alive():
        try:
            answer = requests.post(f"{address[0]}predict", files={"photos": buffer.getvalue()}, timeout=60)
        except requests.ConnectionError:
            return
        if answer.status_code == 200 and not answer.json()["photos"][0]["predicted"]:
            trouble.append(f"an answer without a class: {answer.text[:200]}")
        elif answer.status_code not in (200, 503):
            trouble.append(f"{answer.status_code}: {answer.text[:200]}")


if __name__ == "__main__":
    main()
