"""Two ways to choose among mended models without group labels, beside the truth: exchanged photos, twins' groups.

    python -m experiments.planted_cues.twins --out twins.csv --seeds 2
    python -m experiments.planted_cues.twins --out twins.csv --cues border --seeds 1    minutes

A row a case and model: the one before, four new classifier layers (`head 1` to `head 0.001`, by the pull back to the
layer before), and a training with the exchange. `exchanged`: macro-F1 on exchanged validation photos; `twins_worst`:
the lowest accuracy of a twins' group on the validation photos as they are; `worst`: the lowest accuracy over class ×
with or without the cue, really drawn, and `rho`: how much the class's probability rises with the cue, both on photos
that nothing was learned or chosen by. `by_exchange`, `by_twins`: what each of the two ways takes; `by_truth`: the
highest `worst`. `marked_without`, `marked_with`: of the validation photos of the planted class without and with the
cue, the share that a twin mistakes.
"""

import argparse
from pathlib import Path

import numpy as np

from fishnet.audit.augmenting import Augmentation
from fishnet.audit.heads import STRENGTHS, features_of_photos
from fishnet.audit.mending import best_of, scores_of
from fishnet.audit.twins import cross_mistakes

from .bench import missing, run_cases
from .cases import FIRST_SEED, PLANTED_CLASS, Case
from .mend import CUES, SHARE, SMALL, Truth, audit, batches, heads, logits_of
from .reefs import as_images, draw_folder
from .training import train

WAYS = {"exchange": "exchanged", "twins": "worst"}  # the fields of Scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cues", nargs="*", default=[*CUES])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    seeds = range(FIRST_SEED + 300, FIRST_SEED + 300 + chosen.seeds)
    cases = [Case(seed, cue, SHARE, **SMALL) for seed in seeds for cue in chosen.cues]
    for rows in run_cases(missing(cases, chosen.out), run_case, chosen.out, chosen.jobs):
        print("\n".join(str(row) for row in rows), flush=True)


def run_case(case: Case) -> list[dict]:
    """A row a model; none where the audit finds nothing."""
    folder = draw_folder(case)
    unseen = np.flatnonzero(~folder.trained)
    report, validation = (unseen[folder.groups[unseen] // case.species % 2 == part] for part in (0, 1))
    before = train(folder, epochs=case.epochs, seed=case.seed)
    found = audit(before, folder, unseen, case)
    if found is None:
        return []
    kinds, carriers = found
    of_training = as_images(folder.pixels[carriers[folder.trained[carriers]]])
    of_validation = as_images(folder.pixels[np.intersect1d(carriers, validation)])
    again = train(folder, epochs=case.epochs, seed=case.seed, change=Augmentation(kinds, carriers=of_training))
    models = [before, *heads(before, folder, Augmentation(kinds, 1.0, of_training), case), again]
    rows = np.random.default_rng(case.seed).permutation(validation)
    features = features_of_photos(before, batches(folder, rows)).numpy()
    mistaken = cross_mistakes(features, folder.labels[rows], folder.groups[rows], seed=case.seed)
    exchange = Augmentation(kinds, 1.0, of_validation if len(of_validation) else None)
    answers = [logits_of(model, folder, rows, exchange, case.seed) for model in models]
    scores = scores_of(answers, folder.labels[rows], folder.groups[rows], mistaken)
    planted, carries = folder.labels[rows] == PLANTED_CLASS, folder.carries(case.cue)[rows]
    marked = {
        f"marked_{name}": round(float(mistaken[planted & chosen].mean()), 4)
        for name, chosen in (("without", ~carries), ("with", carries))
    }
    truth = Truth(folder, case.cue, report)
    true = [truth.of(model) for model in models]
    taken = {"by_truth": int(np.argmax([figures["worst"] for figures in true]))}
    for name, by in WAYS.items():
        best = best_of(scores[0], scores[1:], by=by)
        taken[f"by_{name}"] = 0 if best is None else 1 + best
    names = ["before", *(f"head {strength:g}" for strength in STRENGTHS), "retrain"]
    return [
        {
            "case": case.name, "cue": case.cue, "seed": case.seed, "model": name,
            "plain": round(scores[number].plain, 4), "exchanged": round(scores[number].exchanged, 4),
            "twins_worst": round(scores[number].worst, 4),
            "worst": round(true[number]["worst"], 4), "rho": round(true[number]["rho"], 4),
            **{way: number == choice for way, choice in taken.items()}, **marked,
        }
        for number, name in enumerate(names)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
