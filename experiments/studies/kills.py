"""kill -9 of a study's parent again and again; the final table must equal that of an undisturbed study."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TRAINING = ["trainer.max_epochs=3", "trainer.precision=32-true", "callbacks.report.resamples=50", "jobs=2"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    rng = random.Random(0)
    quiet, disturbed = (options.home / name for name in ("quiet", "disturbed"))
    begin = time.monotonic()
    assert started(quiet).wait() == 0
    took = time.monotonic() - begin
    kills, ended_before = 0, 0
    while kills < options.kills:
        process = started(disturbed)
        moment = rng.uniform(1.5, took / 4.5)  # now and then a training ends, and the study lives through many
        try:
            process.wait(moment)
            ended_before += 1
            break  # there is nothing left to kill
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            print(f"kill {kills} after {moment:.1f} s, {len(results(disturbed))} trainings have a result", flush=True)
    assert started(disturbed).wait() == 0
    equal = chosen(quiet) == chosen(disturbed)
    attempts = [int(result["attempts"]) for result in results(disturbed)]
    same = figures(quiet) == figures(disturbed)
    row = f"{kills},{len(attempts)},{sum(attempts)},{max(attempts)},{equal},{same}"
    print("kills,trainings,attempts,most attempts of one,selected.json equal,figures of every training equal")
    print(row)
    if options.csv:
        options.csv.write_text(
            "kills,trainings,attempts,most_attempts_of_one,selected_equal,figures_equal\n" + row + "\n"
        )


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The options that each of these scripts takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--home", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--csv", type=Path)
    return parser


def started(home: Path) -> subprocess.Popen:
    home.mkdir(parents=True, exist_ok=True)
    words = ["study=kills", "--config-dir", str(home / "conf"), *TRAINING]
    (home / "conf" / "study").mkdir(parents=True, exist_ok=True)
    (home / "conf" / "study" / "kills.yaml").write_text((HERE / "kills.yaml").read_text())
    with (home / "said.txt").open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "fishnet", "study", *words], cwd=home, stdout=output, stderr=output
        )


def results(home: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(home.glob("outputs/study_kills/trials/*/result.json"))]


def figures(home: Path) -> dict[str, dict]:
    return {p.parent.name: json.loads(p.read_text())["figures"] for p in home.glob("outputs/*/trials/*/result.json")}


def chosen(home: Path) -> bytes:
    return (home / "outputs" / "study_kills" / "selected.json").read_bytes()


if __name__ == "__main__":
    main()
