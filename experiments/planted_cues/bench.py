"""Plant cues into drawn folders, train on each, audit the model, and write what was found beside what is true.

    python -m experiments.planted_cues.bench tiny  --out bench.csv
    python -m experiments.planted_cues.bench small --out bench.csv --jobs 2
    python -m experiments.planted_cues.bench full  --out bench.csv --jobs 2 --hours 1.5    goes on where it stopped

A row a case and class. `rho` is the truth: how much the class's probability rises in unseen photos of other classes
when the cue is really drawn into them.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from fishnet.audit.exchange import choose_donors, choose_hosts, measure_effects
from fishnet.audit.regions import ellipse
from fishnet.audit.significance import exchange_test

from .cases import GRIDS, PLANTED_CLASS, Case
from .reefs import answers, draw_folder, reliance, views
from .training import train

DONORS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", choices=GRIDS)
    parser.add_argument("--out", type=Path, required=True, help="table; cases that it holds are not run again")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--hours", type=float, default=24.0, help="no case is begun after so many hours")
    chosen = parser.parse_args()
    until = time.monotonic() + 3600 * chosen.hours
    done = {row["case"] for row in read(chosen.out)}
    cases = [case for case in GRIDS[chosen.grid]() if case.name not in done]
    with ProcessPoolExecutor(chosen.jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        waiting = {pool.submit(run_case, case, until): case for case in cases}
        for number, future in enumerate(as_completed(waiting), 1):
            append(chosen.out, rows := future.result())
            for row in rows[:1]:
                print(
                    f"{number}/{len(cases)} {row['case']}: accuracy {row['accuracy']}, {row['seconds']} s", flush=True
                )


def one_thread() -> None:
    torch.set_num_threads(1)


def run_case(case: Case, until: float = float("inf")) -> list[dict]:
    """A row a class; none where the time is up."""
    if time.monotonic() > until:
        return []
    started = time.monotonic()
    folder = draw_folder(case)
    model = train(folder, epochs=case.epochs, seed=case.seed)
    unseen = np.flatnonzero(~folder.trained)
    accuracy = (answers(model, folder.pixels[unseen]).argmax(axis=1) == folder.labels[unseen]).mean()
    rho = reliance(model, folder, case.cue) if case.cue else np.zeros(case.species)
    with tempfile.TemporaryDirectory() as home:
        protected = ellipse(case.side)
        donors = choose_donors(folder.labels, folder.groups, folder.keys, unseen, DONORS)
        effects = measure_effects(
            model, lambda rows: views(folder, np.asarray(rows), protected), folder.labels, folder.groups, folder.keys,
            hosts=choose_hosts(folder.labels, folder.keys, unseen), donors=donors, folder=Path(home), about={},
            progress=False,
        )  # fmt: skip
    tests = exchange_test(effects)
    carrying = folder.carries(case.cue)[donors] if case.cue else np.zeros(len(donors), bool)
    common = {
        "case": case.name, "seed": case.seed, "cue": case.cue, "share": case.share, "leak": case.leak,
        "control": case.control, "layout": case.layout, "accuracy": round(float(accuracy), 4),
        "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    return [{**common, **of_class(c, tests[c], effects, carrying, rho, case)} for c in range(case.species)]


def of_class(c: int, test, effects, carrying: np.ndarray, rho: np.ndarray, case: Case) -> dict:
    own = effects.labels == c
    values = effects.logits[effects.kinds.index(test.kind), own, c]
    known = 0 < carrying[own].sum() < own.sum()
    return {
        "class": c, "planted": bool(case.cue and not case.control and c == PLANTED_CLASS), "rho": round(float(rho[c]), 4),
        "donors": test.donors, "p": f"{test.p:.3g}", "kind": test.kind, "flagged": test.flagged,
        "effect": round(test.effect[0], 4), "effect_low": round(test.effect[1], 4),
        "carriers_auroc": round(float(roc_auc_score(carrying[own], values)), 4) if known else "",
        **{f"p_{kind}": f"{p:.4g}" for kind, p in test.by_kind.items()},
    }  # fmt: skip


def read(file: Path) -> Iterator[dict]:
    if file.exists():
        with open(file, newline="") as opened:
            yield from csv.DictReader(opened)


def append(file: Path, rows: list[dict]) -> None:
    new = not file.exists()
    with open(file, "a", newline="") as opened:
        table = csv.DictWriter(opened, rows[0].keys() if rows else [], lineterminator="\n")
        if new:
            table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
