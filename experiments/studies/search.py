"""Random, then a grid around the winner, against random alone at the same number of trials: five seeds on the reef."""

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

from scipy import stats

from .kills import arguments

COMMON = """
title: {title}
score: val/f1_macro
stages:
  random:
    set:
      model: {{backbone: cnn, backbone_args: {{filters: [16, 32, 64]}}, scheduler: none}}
      data: {{image_size: 48, photos: 80, batch_size: 16, augment: none}}
      trainer: {{max_epochs: 8}}
      callbacks: {{heatmaps: null, views: null, early_stopping: null}}
    search:
      kind: random
      trials: {trials}
      seed: {seed}
      space:
        model:
          optimizer: [sgd, adam, rmsprop]
          lr: {{low: 1.0e-4, high: 1.0e-1, log: true}}
"""
GRID = """
  grid:
    search:
      space: {model: {lr: {times: [0.5, 1, 2]}}}
"""
LAST = """
  last:
    test: true
"""


def main() -> None:
    options = arguments(__doc__).parse_args()
    conf = options.home / "conf" / "study"
    conf.mkdir(parents=True, exist_ok=True)
    rows = ["seed,arm,val_f1_macro,test_f1_macro"]
    differences: dict[str, list[float]] = {"val": [], "test": []}
    for seed in range(5):
        reached = {}
        # the grid holds the winner itself, which is not trained again: 4 + 2 trainings against 6
        for arm, trials, more in (("random_grid", 4, GRID), ("random", 6, "")):
            name = f"{arm}_{seed}"
            (conf / f"{name}.yaml").write_text(COMMON.format(title=name, trials=trials, seed=seed) + more + LAST)
            command = [sys.executable, "-m", "fishnet", "study", f"study={name}", "--config-dir", "conf", "jobs=2"]
            folder = Path("outputs") / f"seed_{seed}"  # the same for both: what they have in common is trained once
            words = [f"out={folder}", "trainer.precision=32-true"]
            subprocess.run([*command, *words], cwd=options.home, check=True)
            reached[arm] = figures(options.home / folder)
            rows.append(f"{seed},{arm},{reached[arm]['val']:.4f},{reached[arm]['test']:.4f}")
        for part, values in differences.items():
            values.append(reached["random_grid"][part] - reached["random"][part])
    for part, values in differences.items():
        half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
        mean = statistics.fmean(values)
        print(f"{part}: random then grid minus random: {mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]")
    if options.csv:
        options.csv.write_text("\n".join(rows) + "\n")


def figures(folder: Path) -> dict[str, float]:
    """Of the trial that was chosen, and tested."""
    (kept,) = json.loads((folder / "selected.json").read_text())["last"]["kept"]
    wanted = {f"model.lr={kept['settings']['model.lr']!r}", f"model.optimizer={kept['settings']['model.optimizer']}"}
    for path in folder.glob("trials/*/job.json"):
        metrics = json.loads((path.parent / "result.json").read_text())["figures"]
        if wanted <= set(json.loads(path.read_text())["arguments"]) and "test/f1_macro" in metrics:
            return {"val": kept["val/f1_macro"], "test": metrics["test/f1_macro"]}
    raise SystemExit(f"{folder} has no tested trial")


if __name__ == "__main__":
    main()
