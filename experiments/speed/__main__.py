"""How fast each stage is beside what people run today: `python -m experiments.speed decode loader --rounds 15`.

One file a stage. Ours and the usual way run in turn in one process on the same photos; what counts is the median of
the paired ratios. A ratio is only shown when both gave the same result.
"""

import argparse
import importlib
import logging
from pathlib import Path

from .pairing import Options, measure
from .table import append, machine, show


def stages() -> list[str]:
    """Every file here that has cases."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef cases(" in path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.speed", description=__doc__)
    parser.add_argument("stages", nargs="+", choices=[*stages(), "all"])
    parser.add_argument("--rounds", type=int, default=15, help="pairs after the warm-up")
    parser.add_argument("--root", type=Path, help="class folders of real photos; drawn ones without it")
    parser.add_argument("--weights", type=Path, help="MobileNetV2 weights: decoding has to give the same answers")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("results.csv"))
    chosen = parser.parse_args()
    if chosen.rounds < 1:
        parser.error(f"--rounds {chosen.rounds}: one pair is the least")
    for key in ("root", "weights"):
        if (path := getattr(chosen, key)) is not None and not path.exists():
            parser.error(f"--{key} {path} does not exist")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    where = machine()
    print(where)
    measured = 0
    for stage in stages() if "all" in chosen.stages else chosen.stages:
        options = Options(rounds=chosen.rounds, root=chosen.root, weights=chosen.weights)
        for case in importlib.import_module(f"{__package__}.{stage}").cases(options):
            if chosen.only in case.name:
                row = measure(case, options.rounds)
                show(stage, row)
                append(chosen.csv, stage, row, where)
                measured += 1
    if not measured:
        parser.error(f"--only {chosen.only}: no case of {', '.join(chosen.stages)} has that in its name")


if __name__ == "__main__":
    main()
