"""Blind probes on drawn folders: how often they name a class where nothing is planted, and where something is.

    python -m experiments.planted_cues.probes clean   --csv probes.csv --folders 100
    python -m experiments.planted_cues.probes planted --csv probes.csv --folders 24
    python -m experiments.planted_cues.probes planted --csv probes.csv --folders 8 --cues tint --photos 200
    python -m experiments.planted_cues.probes noise   --csv probes.csv --folders 60
    python -m experiments.planted_cues.probes fits    --csv probes.csv --folders 6

A folder is 6 species × 60 photos of 96 pixels, each of another seed from FIRST_SEED on; the alarm's rule was set on
seeds below 100. `planted` draws each cue into half of a class. `noise` is the certificate: labels of clean folders are
permuted between observations, and the rivals' formulas (`rivals.py`) are asked beside our probes. `fits` compares the
closed form with logistic regression and boosted trees, in bits and in seconds. A row for each folder and checker is
added to the table, and a summary is printed.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fishnet.audit.information import usable_information
from fishnet.audit.probes import LOOKS, Probe, standing_out
from fishnet.audit.surroundings import outside_ellipse
from fishnet.reef.drawing import drawn_photos
from fishnet.reef.make import JPEG
from fishnet.reef.settings import Settings

from . import rivals
from .cases import FIRST_SEED

SIDE, SHARE = 96, 0.5
CUES = ("border", "tint", "watermark", "vignette", "blur", "background", "jpeg", "angler", "float")
FITTED = ("none", "border", "watermark", "vignette")
SEES_NOTHING = [(probe, look) for probe, look in LOOKS if not probe.sees_animal]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--csv", type=Path, required=True, help="rows are added to this table")
    parser.add_argument("--folders", type=int, default=24)
    parser.add_argument("--photos", type=int, default=60, help="of each class")
    parser.add_argument("--cues", nargs="+", choices=CUES, default=CUES)
    chosen = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + chosen.folders)
    cues = chosen.cues if chosen.part == "planted" else FITTED if chosen.part == "fits" else ("none",)
    folders = (Drawn(seed, cue, chosen.photos) for seed in seeds for cue in cues)
    rows = pd.DataFrame([row for folder in folders for row in PARTS[chosen.part](folder)])
    rows.insert(0, "part", chosen.part)
    rows.insert(1, "photos", chosen.photos)
    rows.to_csv(chosen.csv, mode="a", header=not chosen.csv.exists(), index=False, float_format="%.4f")
    shown = [name for name in ("alarm", "right", "bits", "figure", "seconds") if rows[name].notna().any()]
    print(rows.groupby(["cue", "checker"], sort=False)[shown].mean().round(3).to_string())


class Drawn:
    """A folder in memory, as its files would be read: pixels, labels, observations and what its manifest says.

    A cue is drawn into SHARE of a class, each seed's own.
    """

    def __init__(self, seed: int, cue: str, photos: int) -> None:
        self.seed, self.cue = seed, cue
        self.names = [kind.name for kind in Settings().kinds]
        self.planted = None if cue == "none" else seed % len(self.names)
        plant = {"cue": cue, "class": self.names[self.planted or 0], "share": SHARE}
        settings = Settings(photos=photos, size=SIDE, seed=seed, plant=None if cue == "none" else plant)
        drawn = [*drawn_photos(settings)]
        entries = [entry for entry, _ in drawn]
        self.pixels = np.stack([packed(photo.pixels) for _, photo in drawn])
        self.label = np.array([self.names.index(entry.kind.name) for entry in entries])
        self.group = self.label + len(self.names) * np.array([entry.observation.number for entry in entries])
        seen = [entry.observation for entry in entries]
        self.words = {
            "observer": np.array([each.observer for each in seen], object),
            "place": np.array([f"{each.lat:.0f} {each.lon:.0f}" for each in seen], object),
            "month": np.array([each.taken_on[5:7] for each in seen], object),
        }

    def values(self, probes: list = SEES_NOTHING) -> Iterator[tuple[Probe, np.ndarray]]:
        free = outside_ellipse()
        for probe, look in probes:
            yield probe, np.stack([look(photo, free) for photo in self.pixels])
        yield from ((Probe(name, "B"), words) for name, words in self.words.items())

    def shuffled(self) -> np.ndarray:
        """Labels permuted between observations."""
        groups, number = np.unique(self.group, return_inverse=True)
        return np.random.default_rng(self.seed).permutation(groups % len(self.names))[number]

    def row(self, checker: str, **figures: object) -> dict:
        empty = dict.fromkeys(("alarm", "right", "bits", "likeness", "figure", "seconds"))
        return {"cue": self.cue, "seed": self.seed, "checker": checker, **empty, **figures}


def packed(pixels: np.ndarray) -> np.ndarray:
    """As the reef's JPEG files are read."""
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels[:, :, ::-1], JPEG)[1], cv2.IMREAD_COLOR))[:, :, ::-1]


def measured(folder: Drawn, label: np.ndarray, probes: list = SEES_NOTHING) -> Iterator[dict]:
    """A row a probe; `right` is whether the class that carries the cue is the first that is named."""
    for probe, values in folder.values(probes):
        information = usable_information(values, label, folder.group)
        named, likeness = standing_out(information), information.likeness.min()
        if folder.planted is None:
            yield folder.row(probe.name, alarm=named.any(), bits=information.bits, likeness=likeness)
        else:
            right = named.any() and np.where(named, information.class_bits, -np.inf).argmax() == folder.planted
            bits = information.class_bits[folder.planted]
            yield folder.row(probe.name, alarm=named.any(), right=right, bits=bits, likeness=likeness)


def as_it_is(folder: Drawn) -> Iterator[dict]:
    yield from measured(folder, folder.label, [*LOOKS] if folder.planted is None else SEES_NOTHING)


def noise(folder: Drawn) -> Iterator[dict]:
    """Permuted labels of six classes; for ShortKit-ML's probe the first class against the others, coded either way."""
    label = folder.shuffled()
    yield from measured(folder, label)
    thumbnails = np.stack([cv2.resize(photo, (8, 8), interpolation=cv2.INTER_AREA).ravel() for photo in folder.pixels])
    values = StandardScaler().fit_transform(thumbnails.astype(float))
    sure = cross_val_predict(LogisticRegression(max_iter=1000), values, label, cv=5, method="predict_proba")
    issues = int(rivals.is_label_issue(label, sure).sum())
    most = max(rivals.predictive_power(each, label) for each in rivals.properties(folder.pixels).values())
    yield folder.row("cleanlab, class imbalance", alarm=rivals.is_imbalanced(label))
    yield folder.row("cleanlab, label issues", alarm=issues > 0, figure=issues / len(label))
    for least in (0.1, 0.5):
        yield folder.row(f"deepchecks, any of 5 properties above {least}", alarm=most >= least, figure=most)
    for name, group in (("one class of six", label == 0), ("the five others", label != 0)):
        score = rivals.probe_f1(values, group)
        yield folder.row(f"ShortKit-ML, coded 1: {name}", alarm=score > 0.7, figure=score)


def fits(folder: Drawn) -> Iterator[dict]:
    """Bits and balanced accuracy (`figure`) of three classifiers on the same values, and their seconds."""
    for probe, values in folder.values([*LOOKS]):
        if values.dtype == object:
            continue
        begun = time.perf_counter()
        information = usable_information(values, folder.label, folder.group)
        spent = time.perf_counter() - begun
        yield folder.row(
            f"{probe.name}, ours and 199 copies", bits=information.bits, figure=information.accuracy, seconds=spent
        )
        for name, model in models().items():
            begun = time.perf_counter()
            bits, accuracy = fitted(model, values, folder)
            spent = time.perf_counter() - begun
            yield folder.row(f"{probe.name}, {name}", bits=bits, figure=accuracy, seconds=spent)


def models() -> dict[str, object]:
    linear = LogisticRegression(C=0.03, class_weight="balanced", max_iter=300)
    trees = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=6, learning_rate=0.05, l2_regularization=5, class_weight="balanced", random_state=0
    )
    return {"logistic regression": make_pipeline(StandardScaler(), linear), "boosted trees": trees}


def fitted(model: object, values: np.ndarray, folder: Drawn) -> tuple[float, float]:
    """Bits a photo and balanced accuracy; the classes are even."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    sure = cross_val_predict(model, values, folder.label, groups=folder.group, cv=folds, method="predict_proba")
    own = sure[np.arange(len(sure)), folder.label]
    bits = np.log2(np.maximum(own, 1e-6) * len(folder.names)).mean()
    return float(bits), float((sure.argmax(axis=1) == folder.label).mean())


PARTS = {"clean": as_it_is, "planted": as_it_is, "noise": noise, "fits": fits}

if __name__ == "__main__":
    main()
