"""Plant cues into drawn folders, train on each, audit the model, and write what was found beside what is true.

    python -m experiments.planted_cues.bench tiny  --out bench.csv
    python -m experiments.planted_cues.bench small --out bench.csv --jobs 2
    python -m experiments.planted_cues.bench full  --out bench.csv --jobs 2 --hours 1.5    goes on where it stopped

A row a case, region and class. `rho` is the truth: how much the class's probability rises in unseen photos of other
classes when the cue is really drawn into them. By `usual` the audit's `region=auto` decides between the regions.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from fishnet.audit.exchange import Effects, choose_donors, choose_hosts, measure_effects
from fishnet.audit.kinds import Views
from fishnet.audit.middle import MOST, usual_share
from fishnet.audit.proxy import embedded
from fishnet.audit.regions import above, ellipse, learned_regions, own_evidence, widened
from fishnet.audit.significance import ClassTest, exchange_test
from fishnet.explain.maps import batch_maps
from fishnet.models.backbones import single_head

from .cases import GRIDS, PLANTED_CLASS, Case
from .model_rivals import suspicions
from .reefs import DrawnFolder, answers, as_images, draw_folder, reliance, views, with_shuffled_labels
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
    cases = missing(GRIDS[chosen.grid](), chosen.out)
    for number, rows in enumerate(run_cases(cases, partial(run_case, until=until), chosen.out, chosen.jobs), 1):
        for row in rows[:1]:
            print(f"{number}/{len(cases)} {row['case']}: accuracy {row['accuracy']}, {row['seconds']} s", flush=True)


def missing(cases: Iterable[Case], file: Path) -> list[Case]:
    """Those of which the table holds no row."""
    done = {row["case"] for row in read(file)}
    return [case for case in cases if case.name not in done]


def run_cases(
    cases: Sequence[Case], run_case: Callable[[Case], list[dict]], file: Path, jobs: int
) -> Iterator[list[dict]]:
    """The rows of each case, as it ends and is appended to the table; so many processes of one thread each."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        for future in as_completed([pool.submit(run_case, case) for case in cases]):
            append(file, rows := future.result())
            yield rows


def one_thread() -> None:
    torch.set_num_threads(1)


def run_case(case: Case, until: float = float("inf")) -> list[dict]:
    """A row a class; none where the time is up."""
    if time.monotonic() > until:
        return []
    started = time.monotonic()
    folder = draw_folder(case)
    learned_from = with_shuffled_labels(folder, case.seed) if case.control == "permuted" else folder
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = train(learned_from, epochs=case.epochs, seed=case.seed, device=device)
    unseen = np.flatnonzero(~folder.trained)
    accuracy = (answers(model, folder.pixels[unseen]).argmax(axis=1) == folder.labels[unseen]).mean()
    rho = reliance(model, folder, case.cue) if case.cue else np.zeros(case.species)
    hosts = choose_hosts(folder.labels, folder.keys, unseen)
    donors = choose_donors(folder.labels, folder.groups, folder.keys, unseen, DONORS)
    sample = np.union1d(hosts, donors)
    middle, likely = (region_of(region, model, folder, sample) for region in ("ellipse", "learned"))
    beyond = ((likely * (1 - middle)).sum(dim=(1, 2)) / likely.sum(dim=(1, 2)).clamp(min=1)).numpy()
    suspected = suspicions_of(model, folder, unseen)
    rows, usual, regions = [], "", [*case.regions]
    for region in regions:
        protected = region_of(region, model, folder, sample)
        effects = measured(model, folder, sample, protected, hosts, donors)
        tests = exchange_test(effects)
        if region == "ellipse":
            usual = round(usual_share(effects), 4)
            regions += {"ellipse" if usual <= MOST else "learned"} - {*regions}
        carrying = folder.carries(case.cue)[donors] if case.cue else np.zeros(len(donors), bool)
        fish = torch.from_numpy(folder.fish[sample]).float()
        covered = (protected * fish).sum(dim=(1, 2)) / fish.sum(dim=(1, 2)).clamp(min=1)
        common = {
            "case": case.name, "seed": case.seed, "cue": case.cue, "prevalence": case.share, "leak": case.leak,
            "control": case.control, "layout": case.layout, "accuracy": round(float(accuracy), 4), "region": region,
            "fish_covered": round(float(covered.mean()), 4), "protected": round(float(protected.mean()), 4),
            "usual": usual, "seconds": round(time.monotonic() - started),
        }  # fmt: skip
        rows += [
            {**common, "beyond": round(float(beyond[folder.labels[sample] == c].mean()), 4),
             **of_class(c, tests[c], effects, carrying, rho, case),
             **{name: round(float(values[c]), 4) for name, values in suspected.items()}}
            for c in range(case.species)
        ]  # fmt: skip
    return rows


def suspicions_of(model, folder: DrawnFolder, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What other ways than the audit say of each class, from the same unseen photos."""
    images, labels = (
        as_images(folder.pixels[rows]).to(model.device).split(32),
        torch.from_numpy(folder.labels[rows]).split(32),
    )
    maps = torch.cat([own_evidence(model, *batch) for batch in zip(images, labels, strict=True)])
    features = torch.cat([embedded(model, batch) for batch in images])
    return suspicions(
        folder.pixels[rows], folder.fish[rows], folder.labels[rows], maps.numpy(), features.numpy(),
        single_head(model.network).weight.detach().cpu().numpy(), answers(model, folder.pixels[rows]),
    )  # fmt: skip


def measured(model, folder: DrawnFolder, sample: np.ndarray, protected: torch.Tensor, hosts, donors) -> Effects:
    """The effects of donors on hosts, under regions of the sample's photos."""
    by_row = {row: number for number, row in enumerate(sample.tolist())}

    def views_of(rows: Sequence[int]) -> Views:
        return views(folder, np.asarray(rows), protected[[by_row[row] for row in rows]], model.device)

    with tempfile.TemporaryDirectory() as home:
        return measure_effects(
            model, views_of, folder.labels, folder.groups, folder.keys, hosts=hosts, donors=donors, folder=Path(home),
            about={}, progress=False,
        )  # fmt: skip


def region_of(name: str, model, folder: DrawnFolder, sample: np.ndarray) -> torch.Tensor:
    """Where the fish may be in each photo of the sample: estimated, or as it was drawn."""
    fish = torch.from_numpy(folder.fish[sample]).float()
    side, images = fish.shape[-1], as_images(folder.pixels[sample]).to(model.device)
    batches = [images[start : start + 32] for start in range(0, len(images), 32)]
    if name == "ellipse":
        return ellipse(side)[None].expand(len(sample), side, side)
    if name == "learned":
        return learned_regions(model, lambda: batches, folder.labels[sample]).protected
    if name == "evidence":  # the model's own, for any class
        maps = torch.cat([batch_maps(model, batch, all_classes=True)[0] for batch in batches])
        return above(maps.clamp(min=0).amax(dim=1), 0.5, side, boxed=False)
    if name == "box":
        return above(fish, 0.5, side, margin=2)
    return widened(fish, 2)


def of_class(c: int, test: ClassTest, effects: Effects, carrying: np.ndarray, rho: np.ndarray, case: Case) -> dict:
    """What was found of a class, beside what is true of it."""
    own = effects.labels == c
    values = effects.logits[effects.kinds.index(test.kind), own, c]
    known = 0 < carrying[own].sum() < own.sum()
    truth = {"planted": bool(case.cue and not case.control and c == PLANTED_CLASS), "rho": round(float(rho[c]), 4)}
    auroc = round(float(roc_auc_score(carrying[own], values)), 4) if known else ""
    found = {"donors": test.donors, "p": f"{test.p:.3g}", "kind": test.kind, "flagged": test.flagged}
    found |= {
        "effect": round(test.effect[0], 4),
        "effect_low": round(test.effect[1], 4),
        "share": round(test.share[0], 4),
        "share_low": round(test.share[1], 4),
        "carriers_auroc": auroc,
    }
    return {"class": c, **truth, **found, **{f"p_{kind}": f"{p:.4g}" for kind, p in test.by_kind.items()}}


def read(file: Path) -> Iterator[dict]:
    if file.exists():
        with open(file, newline="") as opened:
            yield from csv.DictReader(opened)


def append(file: Path, rows: list[dict]) -> None:
    """Rows at the end of the table, below a header where it is new; a case may have none."""
    if not rows:
        return
    new = not file.exists()
    with open(file, "a", newline="") as opened:
        table = csv.DictWriter(opened, rows[0].keys(), lineterminator="\n")
        if new:
            table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
