"""Whether a checkpoint answers as the training that made it said, and what measuring on training photos is worth:

    python -m experiments.honest.answers --root DOGCAT --home WORK [--fishnet OTHER/.venv/bin/fishnet]

Nine small trainings in bfloat16 (three networks from drawn weights, three seeds), each measured by `fishnet train` on
its test part and then by `fishnet evaluate part=test` and `part=all`. A row each: on how many test photos the two
answers differ, the largest difference of a probability, and the accuracies.
"""

import argparse
import csv
import json
import subprocess
from pathlib import Path

import pandas as pd

BACKBONES = ("cnn", "test_resnet", "mobilenetv3_small_050")
SETTINGS = ["trainer.max_epochs=5", "trainer.precision=bf16-mixed", "callbacks.heatmaps=null", "model.lr=0.03"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for the runs")
    parser.add_argument("--fishnet", default="fishnet", help="the program, to compare versions")
    parser.add_argument("--name", default="now", help="of the program, in the table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("answers.csv"))
    chosen = parser.parse_args()
    chosen.home.mkdir(parents=True, exist_ok=True)
    for backbone in BACKBONES:
        for seed in range(chosen.seeds):
            row = {"program": chosen.name, "backbone": backbone, "seed": seed, **compared(chosen, backbone, seed)}
            print(row, flush=True)
            new = not chosen.csv.exists()
            with open(chosen.csv, "a", newline="") as file:
                table = csv.DictWriter(file, row)
                if new:
                    table.writeheader()
                table.writerow(row)


def compared(chosen: argparse.Namespace, backbone: str, seed: int) -> dict[str, object]:
    """The figures of one training."""
    run = chosen.home / f"{backbone}-{seed}"
    data = [f"data.root={chosen.root.absolute()}", f"seed={seed}", "data.image_size=64"]
    call(chosen, "train", "data=folder", *data, *SETTINGS, f"model.backbone={backbone}", f"out={run}")
    for part in ("test", "all"):
        measuring = [f"part={part}", f"out={run}-{part}", "callbacks.heatmaps=null"]
        split = [f"data.split_file={run}/split/split.csv"] if part == "test" else []
        call(chosen, "evaluate", f"checkpoint={run}/checkpoints/best.ckpt", *data, *measuring, *split)
    photos, different, largest = disagreement(run, Path(f"{run}-test"))
    return {
        "test_photos": photos,
        "different_answers": different,
        "largest_difference": largest,
        "train_says": accuracy(run),
        "evaluate_test": accuracy(Path(f"{run}-test")),
        "evaluate_all": accuracy(Path(f"{run}-all")),
    }


def disagreement(run: Path, again: Path) -> tuple[int, int, float]:
    """Photos that both measured, those answered differently, and the largest difference of a probability of others."""
    first, second = (pd.read_csv(folder / "report" / "predictions.csv").set_index("path") for folder in (run, again))
    second = second.loc[first.index]
    same = first["predicted"] == second["predicted"]
    difference = (first["probability"] - second["probability"]).abs()[same].max()
    return len(first), int((~same).sum()), round(float(difference), 6)


def call(chosen: argparse.Namespace, *arguments: str) -> None:
    subprocess.run([chosen.fishnet, *arguments], cwd=chosen.home, check=True, capture_output=True)


def accuracy(run: Path) -> float:
    return round(json.loads((run / "report" / "metrics.json").read_text())["figures"]["accuracy"]["value"], 4)


if __name__ == "__main__":
    main()
