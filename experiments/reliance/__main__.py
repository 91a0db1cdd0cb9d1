"""What the trials of a study on the planted reef are really worth, beside what the study knew of them.

    experiments/reliance/run.sh                                                # the study, about 15 minutes of one core
    python -m experiments.reliance outputs/study_reliance --csv results.csv    # two minutes

A row a trial, as the study ranks them: its score and its reliance, both from validation photos, and truths that no
user has, from the run's test photos drawn again. `rho`: by how much the probability of a planted class rises in photos
of the others when its cue is really drawn into them, the largest of the planted classes. `f1_planted`: macro-F1 on the
photos as they are; `f1_free` on the same photos without any cue; `f1_moved` with the cue of another class in each: what
the model is worth where cues say nothing, and where they mislead.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from sklearn.metrics import f1_score
from torchvision.transforms.v2.functional import resize

from fishnet.models.checkpoint import load_model
from fishnet.models.classifier import ImageClassifier
from fishnet.reef.drawing import Entry, entries
from fishnet.reef.settings import Settings

CARRIED = ("stage", "trial", "chosen", "mean", "best/reliance", "limit", "test/accuracy", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a finished study of this protocol")
    parser.add_argument("--csv", type=Path, required=True)
    chosen = parser.parse_args()
    runs = {json.loads((run.parent / "job.json").read_text())["what"]["trial"]: run for run in runs_of(chosen.study)}
    with open(chosen.study / "results.csv", newline="") as file:
        rows = [{name: row[name] for name in CARRIED} | truths(runs[row["trial"]]) for row in csv.DictReader(file)]
    with open(chosen.csv, "w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def runs_of(study: Path) -> list[Path]:
    return sorted(path.parent for path in study.glob("trials/*/run/run.json"))


@torch.inference_mode()
def truths(run: Path) -> dict[str, float]:
    """The truths of one training."""
    model = load_model(run / "model" / "model.ckpt").eval()
    data = OmegaConf.load(run / "config" / "config.yaml").data
    settings = Settings(
        species=data.species, photos=data.photos, size=data.draw_size, seed=data.draw_seed, layout=data.layout,
        plant=OmegaConf.to_container(data.plant),
    )  # fmt: skip
    chosen = test_entries(run, settings)
    labels = np.array([model.classes.index(entry.kind.name) for entry in chosen])
    as_they_are, free = (answers(model, chosen, settings, cues) for cues in (None, ()))
    rises, moved = list[float](), free.copy()
    for cue, planted in ((plant["cue"], model.classes.index(plant["class"])) for plant in data.plant):
        carrying, others = answers(model, chosen, settings, (cue,)), labels != planted
        rises.append(float((carrying - free)[others, planted].mean()))
        moved[others] = carrying[others]
    return {
        "rho": round(max(rises), 4),
        "f1_planted": macro_f1(labels, as_they_are),
        "f1_free": macro_f1(labels, free),
        "f1_moved": macro_f1(labels, moved),
    }


def test_entries(run: Path, settings: Settings) -> list[Entry]:
    """The photos of the run's test part, as they can be drawn."""
    split = pd.read_csv(run / "split" / "split.csv")
    names = {Path(path).stem for path in split.loc[split["split"] == "test", "path"]}
    return [entry for entry in entries(settings) if entry.name in names]


def answers(
    model: ImageClassifier, chosen: list[Entry], settings: Settings, cues: tuple[str, ...] | None
) -> np.ndarray:
    """Probabilities for the photos with these cues, or with their own."""
    pixels = np.stack([entry.draw(settings, cues=cues).pixels for entry in chosen])
    side = [model.preprocessing.size] * 2
    images = resize(torch.from_numpy(pixels).permute(0, 3, 1, 2), side, antialias=True)
    return torch.cat([model.probabilities(model(batch)) for batch in images.split(64)]).numpy()


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return round(float(f1_score(labels, probabilities.argmax(axis=1), average="macro")), 4)


if __name__ == "__main__":
    main()
