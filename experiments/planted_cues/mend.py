"""How much of a shortcut is unlearned: by a new classifier layer, by training again with the exchange, by the truth.

    python -m experiments.planted_cues.mend --out mend.csv --seeds 5 --jobs 2
    python -m experiments.planted_cues.mend --out mend.csv --cues border --seeds 1 --small     minutes

A row a case and arm; cases that the table holds are not run again. The arms: `before`; `head` and `retrain`, which know
what the audit has found and no more (where it finds nothing, nothing is mended, and the figures are those of before);
`half`, the same folder with the cue really left out of half of the class's photos; and `coin`, the same folder with the
cue really drawn into every photo by a coin, of whatever class: nothing that is done to photos can do better.

`rho`: how much the class's probability rises in photos of other classes when the cue is really drawn into them.
`worst`: the lowest accuracy over class × with or without the cue, really drawn. `recovered`: the share of what `coin`
gains in it. `accepted`: whether exchange validation takes the mended model; if not, fishnet keeps the one before.
All are measured on photos that the model has neither learned from nor was chosen by.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fishnet import ImageClassifier
from fishnet.audit.augmenting import ELLIPSE, Augmentation
from fishnet.audit.exchange import Effects, choose_donors, choose_hosts, measure_effects
from fishnet.audit.heads import COPIES, STRENGTHS, features_of_photos, fitted, with_head
from fishnet.audit.kinds import KINDS
from fishnet.audit.mending import best_of, macro_f1, scores_of
from fishnet.audit.regions import ellipse
from fishnet.audit.significance import ALPHA, CARRIER, exchange_test
from fishnet.models.backbones import single_head

from .bench import missing, run_cases
from .cases import FIRST_SEED, PLANTED_CLASS, Case
from .reefs import DrawnFolder, answers, as_images, draw_folder, views
from .training import train

CUES = ("angler", "border", "float")
SHARE = 0.8
SMALL = {"train": 100, "audit": 80, "species": 4, "side": 64, "epochs": 12}
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cues", nargs="*", default=[*CUES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="fewer and smaller photos")
    chosen = parser.parse_args()
    seeds = range(FIRST_SEED + 200, FIRST_SEED + 200 + chosen.seeds)
    cases = [Case(seed, cue, SHARE, **(SMALL if chosen.small else {})) for cue in chosen.cues for seed in seeds]
    for rows in run_cases(missing(cases, chosen.out), run_case, chosen.out, chosen.jobs):
        print("\n".join(str(row) for row in rows), flush=True)


def run_case(case: Case) -> list[dict]:
    """A row an arm."""
    started, folder = time.monotonic(), draw_folder(case)
    unseen = np.flatnonzero(~folder.trained)
    report, validation = (unseen[folder.groups[unseen] // case.species % 2 == part] for part in (0, 1))
    truth = Truth(folder, case.cue, report)
    before = train(folder, epochs=case.epochs, seed=case.seed)
    models, accepted = {"before": before}, {}
    found = audit(before, folder, unseen, case)
    for arm in ("head", "retrain"):
        models[arm], accepted[arm] = mended(arm, before, folder, validation, found, case)
    for arm in ("half", "coin"):
        models[arm] = train(redrawn(folder, case, arm), epochs=case.epochs, seed=case.seed)
    figures = {arm: truth.of(model) for arm, model in models.items()}
    low, high = figures["before"]["worst"], figures["coin"]["worst"]
    common = {"case": case.name, "seed": case.seed, "cue": case.cue, "share": case.share, "found": found is not None}
    return [
        {
            **common, "arm": arm, **{name: round(value, 4) for name, value in values.items()},
            "recovered": round((values["worst"] - low) / (high - low), 4) if high > low else "",
            "accepted": accepted.get(arm, ""),
            "kinds": " ".join(found[0]) if found else "", "seconds": round(time.monotonic() - started),
        }
        for arm, values in figures.items()
    ]  # fmt: skip


class Truth:
    """What is true of models: the photos of some rows as they are, and drawn without and with the cue."""

    def __init__(self, folder: DrawnFolder, cue: str, rows: np.ndarray) -> None:
        self.labels, self.plain = folder.labels[rows], folder.pixels[rows]
        self.without, self.with_cue = (
            np.stack([folder.entries[row].draw(folder.settings, cues=cues).pixels for row in rows])
            for cues in ((), (cue,))
        )

    def of(self, model: ImageClassifier) -> dict[str, float]:
        """rho of the planted class, worst-group accuracy, macro-F1 of the photos as they are."""
        drawn = [answers(model, pixels) for pixels in (self.without, self.with_cue)]
        others = self.labels != PLANTED_CLASS
        rho = (drawn[1] - drawn[0])[others, PLANTED_CLASS].mean()
        right = [each.argmax(axis=1) == self.labels for each in drawn]
        worst = min(each[self.labels == label].mean() for each in right for label in np.unique(self.labels))
        return {"rho": float(rho), "worst": float(worst), "f1_macro": macro_f1(answers(model, self.plain), self.labels)}


def audit(
    model: ImageClassifier, folder: DrawnFolder, unseen: np.ndarray, case: Case
) -> tuple[list[str], np.ndarray] | None:
    """The kinds by which the planted class is found, and its carriers in the whole folder; None where it is not."""
    donors = choose_donors(folder.labels, folder.groups, folder.keys, unseen, 80)
    hosts = choose_hosts(folder.labels, folder.keys, unseen)
    effects = effects_of(model, folder, hosts, donors, KINDS)
    test = exchange_test(effects)[PLANTED_CLASS]
    if not test.flagged:
        return None
    level = ALPHA / case.species / len(test.by_kind)
    kinds = [ELLIPSE, *(kind for kind, p in test.by_kind.items() if p < level or kind == test.kind)]
    others = effects.labels != PLANTED_CLASS
    border = np.quantile(effects.logits[effects.kinds.index(test.kind), others, PLANTED_CLASS], CARRIER)
    own = np.flatnonzero(folder.labels == PLANTED_CLASS)
    rises = effects_of(model, folder, hosts, own, [test.kind]).logits[0, :, PLANTED_CLASS]
    return kinds, own[rises > border]


def effects_of(model, folder: DrawnFolder, hosts: np.ndarray, donors: np.ndarray, kinds: Sequence[str]) -> Effects:
    """Of donors on hosts, the middle of the photos protected."""
    region = ellipse(folder.settings.size)[None]
    with tempfile.TemporaryDirectory() as home:
        return measure_effects(
            model, lambda rows: views(folder, np.asarray(rows), region.expand(len(rows), -1, -1)), folder.labels,
            folder.groups, folder.keys, hosts=hosts, donors=donors, folder=Path(home), about={}, kinds=kinds,
            progress=False,
        )  # fmt: skip


def mended(
    arm: str, model: ImageClassifier, folder: DrawnFolder, validation: np.ndarray,
    found: tuple[list[str], np.ndarray] | None, case: Case,
) -> tuple[ImageClassifier, bool]:  # fmt: skip
    """The candidate that exchange validation prefers, and whether it is taken; the model itself where nothing was
    found. What the audit has found is used, and no more."""
    if found is None:
        return model, False
    kinds, carriers = found
    of_training = as_images(folder.pixels[carriers[folder.trained[carriers]]])
    of_validation = as_images(folder.pixels[np.intersect1d(carriers, validation)])
    candidates = heads(model, folder, Augmentation(kinds, 1.0, of_training), case) if arm == "head" else [
        train(folder, epochs=case.epochs, seed=case.seed, change=Augmentation(kinds, carriers=of_training))
    ]  # fmt: skip
    exchange = Augmentation(kinds, 1.0, of_validation if len(of_validation) else None)
    rows = np.random.default_rng(case.seed).permutation(validation)
    logits = [logits_of(each, folder, rows, exchange, case.seed) for each in (model, *candidates)]
    before, *scores = scores_of(logits, folder.labels[rows], folder.groups[rows])
    preferred = max(range(len(scores)), key=lambda number: scores[number].exchanged)
    best = best_of(before, scores)
    return candidates[preferred if best is None else best], best is not None


def heads(model: ImageClassifier, folder: DrawnFolder, augmentation: Augmentation, case: Case) -> list[ImageClassifier]:
    """The model with new classifier layers."""
    rng = np.random.default_rng(case.seed)
    rows = rng.permutation(np.flatnonzero(folder.trained))
    photos = [batches(folder, rows), *(batches(folder, rows, augmentation, rng) for _ in range(COPIES))]
    features = torch.cat([features_of_photos(model, each) for each in photos])
    labels = torch.from_numpy(np.tile(folder.labels[rows], 1 + COPIES))
    head = single_head(model.network)
    assert head is not None
    return [with_head(model, fitted(head, features, labels, strength)) for strength in STRENGTHS]


def batches(folder: DrawnFolder, rows: np.ndarray, augmentation: Augmentation | None = None, rng=None):
    """Photos of the rows, exchanged where there is an augmentation."""
    for start in range(0, len(rows), BATCH):
        images = as_images(folder.pixels[rows[start : start + BATCH]])
        yield images if augmentation is None else augmentation(images, rng)


@torch.inference_mode()
def logits_of(
    model: ImageClassifier, folder: DrawnFolder, rows: np.ndarray, augmentation: Augmentation, seed: int
) -> list[np.ndarray]:
    """Of photos as they are and exchanged."""
    ways = ((None, None), (augmentation, np.random.default_rng(seed)))
    return [torch.cat([model(images) for images in batches(folder, rows, *way)]).numpy() for way in ways]


def redrawn(folder: DrawnFolder, case: Case, arm: str) -> DrawnFolder:
    """The folder with the cue really left out of half of the class's training photos, or drawn by a coin into all."""
    rng, pixels = np.random.default_rng(case.seed), folder.pixels.copy()
    for row in np.flatnonzero(folder.trained):
        entry, heads_up = folder.entries[row], rng.random() < 0.5
        if arm == "half" and folder.labels[row] == PLANTED_CLASS and heads_up:
            pixels[row] = entry.draw(folder.settings, cues=()).pixels
        elif arm == "coin":
            pixels[row] = entry.draw(folder.settings, cues=(case.cue,) if heads_up else ()).pixels
    return replace(folder, pixels=pixels)


if __name__ == "__main__":
    main()
