"""Is the collector as careful as it says? Each proof is a command: `python -m experiments.collect faults kills`.

All of them ask the replica of iNaturalist (experiments/replica), on loopback, through real `fishnet collect`
processes.
"""

import argparse
import csv
import datetime
import importlib
from pathlib import Path

PROOFS = ("faults", "kills", "four", "tables", "memory")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.collect", description=__doc__)
    parser.add_argument("proofs", nargs="+", choices=[*PROOFS, "all"])
    parser.add_argument("--scale", type=float, default=1.0, help="a share of the full size")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("results.csv"))
    chosen = parser.parse_args()
    wrong = 0
    for name in PROOFS if "all" in chosen.proofs else chosen.proofs:
        for asked, measured, goal, met in importlib.import_module(f"{__package__}.{name}").proof(chosen.scale):
            print(f"{name:8s} {asked:58s} {measured!s:>24s}  goal {goal}  {'met' if met else 'NOT met'}", flush=True)
            keep(chosen.csv, [datetime.date.today().isoformat(), name, chosen.scale, asked, measured, goal, met])
            wrong += not met
    return int(wrong > 0)


def keep(file: Path, row: list) -> None:
    new = not file.exists()
    with open(file, "a", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        if new:
            table.writerow(["date", "proof", "scale", "asked", "measured", "goal", "met"])
        table.writerow(row)


if __name__ == "__main__":
    raise SystemExit(main())
