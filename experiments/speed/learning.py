"""Does bfloat16 learn the same? `python -m experiments.speed.learning`: the demo, three seeds, two arithmetics.

Every run is a `fishnet train` of its own. Compared are the mean training loss of the first hundred steps and, at the
end, the accuracy on the test set, seed by seed.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

SEEDS = (0, 1, 2)
SETTINGS = {"float32": ("32-true", "false"), "bfloat16": ("bf16-mixed", "true")}
STEPS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for runs and data")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("learning.csv"))
    chosen = parser.parse_args()
    chosen.home.mkdir(parents=True, exist_ok=True)
    found = {(name, seed): run(chosen.home, name, seed) for seed in SEEDS for name in SETTINGS}
    with open(chosen.csv, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["arithmetic", "seed", f"loss of {STEPS} steps", "test accuracy"])
        table.writerows([*key, f"{loss:.5f}", f"{accuracy:.5f}"] for key, (loss, accuracy) in found.items())
    for place, what in ((0, f"loss of {STEPS} steps"), (1, "test accuracy")):
        plain, brief = ([found[name, seed][place] for seed in SEEDS] for name in SETTINGS)
        print(f"{what}: float32 {mean(plain):.4f} {plain}, bfloat16 {mean(brief):.4f} {brief}")


def run(home: Path, name: str, seed: int) -> tuple[float, float]:
    precision, channels_last = SETTINGS[name]
    out = home / f"{name}-{seed}"
    settings = [f"seed={seed}", f"trainer.precision={precision}", f"trainer.channels_last={channels_last}"]
    more = [f"out={out}", f"name={out.name}", "callbacks.heatmaps=null", "trainer.log_every_n_steps=1"]
    if not (out / "report" / "metrics.json").exists():
        command = [sys.executable, "-m", "fishnet", "train", "experiment=demo", *settings, *more]
        subprocess.run(command, cwd=home, check=True)
    return first_losses(home, out), json.loads((out / "report" / "metrics.json").read_text())["figures"]["accuracy"][
        "value"
    ]


def first_losses(home: Path, out: Path) -> float:
    """The mean of the training loss over the first epochs that make up the steps."""
    from fishnet.tracking.store import open_store

    run_id = json.loads((out / "run.json").read_text())["run_id"]
    history = open_store(None, home=home).client().get_metric_history(run_id, "train/loss")
    epochs = sorted(history, key=lambda entry: entry.step)
    per_epoch = 32  # 1008 photos in batches of 32
    return mean(entry.value for entry in epochs[: -(-STEPS // per_epoch)])


if __name__ == "__main__":
    main()
