"""The figures of one version of the program on one folder, to be laid beside another version's:

    python -m experiments.honest.folders --root REEF --weights FILE --home WORK [--fishnet OTHER/.venv/bin/fishnet]
        [--name before] [--fresh OTHER_REEF] [--study]

Five seeds. Each trains a frozen MobileNetV2 at 96 pixels, and measures, explains and checks it by the program's verbs,
as typed by somebody who types nothing more than the folder. A row a seed:

- `measured`, `trained_on`, `accuracy`: photos that `evaluate checkpoint=… data.root=…` measures, those among them that
  the training has used, and the figure; `test_accuracy` is the training's own, of its test part;
- `different`, `largest`: test photos on which `train` and `evaluate` of the same checkpoint disagree, trained in
  bfloat16, and the largest difference of a probability;
- `few`, `few_marked`: classes with fewer than five groups in the test part, and those that the report marks;
- `low`, `high`, `fresh`, `held`: the interval of the test part's accuracy, the accuracy on `--fresh` (the same species
  drawn anew: the truth), and whether the interval holds it;
- `shown`, `shown_trained`, `shown_classes`: photos that `explain` draws, those trained on, the classes among them;
- of a spoilt copy of the folder (three photos copied into another class, three compressed again into another class,
  five crops of 60 %, and a BMP, a TIFF, a HEIC and a pipe): `conflicts` that are called labels in two classes, `alike`
  that are said to look alike, `crops` that are found, `left_out` files that are named;
- `tied` (`--study`): whether a study over three folds says that 96 and 80 pixels cannot be told apart, `would_show`,
  the difference that it says would have shown, and `gap`, that of the two mean accuracies.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from experiments.honest.answers import disagreement

NETWORK = ["model.backbone=mobilenetv2_100", "model.backbone_args.pad_type=same", "model.freeze=backbone"]
AS_TYPED = ["data=folder", "data.image_size=96", "data.augment=none", "callbacks.heatmaps=null"]
FEW = 5  # groups
SUBJECT = re.compile(r"(.+)_frame")
STUDY = """
title: Two sizes of photo
claim: The larger photos are better.
score: val/accuracy
stages:
  sizes:
    title: Both, on the same folds
    folds: 3
    search: {kind: list, points: {large: {data: {image_size: 96}}, small: {data: {image_size: 80}}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--weights", type=Path, required=True, help="of MobileNetV2, a local file")
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for the runs")
    parser.add_argument("--fishnet", default="fishnet", help="the program, to compare versions")
    parser.add_argument("--name", default="now", help="of the program, in the table")
    parser.add_argument("--fresh", type=Path, help="another folder of the same classes")
    parser.add_argument("--study", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("folders.csv"))
    chosen = parser.parse_args()
    chosen.home.mkdir(parents=True, exist_ok=True)
    for seed in range(chosen.seeds):
        run = trained(chosen, seed)
        figures = of_run(chosen, run) | of_maps(chosen, run) | of_check(chosen, seed)
        if chosen.study:
            figures |= of_study(chosen, seed)
        row = {"folder": re.sub(r"-.*", "", chosen.root.name), "program": chosen.name, "seed": seed, **figures}
        print(row, flush=True)
        new = not chosen.csv.exists()
        with open(chosen.csv, "a", newline="") as file:
            table = csv.DictWriter(file, row, lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow(row)


def call(chosen: argparse.Namespace, *arguments: str) -> str:
    """What the program prints; whether it is content with the folder or not."""
    width = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([chosen.fishnet, *arguments], cwd=chosen.home, env=width, capture_output=True, text=True)
    if done.returncode > 1:
        raise SystemExit(done.stderr)
    return done.stdout


def trained(chosen: argparse.Namespace, seed: int, root: Path | None = None) -> Path:
    root = root or chosen.root.absolute()
    run = chosen.home / f"{root.name}-{seed}"
    call(chosen, "train", *AS_TYPED, *NETWORK, f"model.pretrained={chosen.weights.absolute()}", f"data.root={root}",
         f"seed={seed}", "trainer.precision=bf16-mixed", f"out={run.absolute()}")  # fmt: skip
    return run


def evaluated(chosen: argparse.Namespace, run: Path, root: Path, name: str, *settings: str) -> Path:
    out = Path(f"{run.absolute()}-{name}")
    call(chosen, "evaluate", f"checkpoint={run.absolute()}/checkpoints/best.ckpt", f"data.root={root.absolute()}",
         f"out={out}", "callbacks.heatmaps=null", *settings)  # fmt: skip
    return out


def of_run(chosen: argparse.Namespace, run: Path) -> dict[str, object]:
    """What is said of a checkpoint's accuracy, and what is true."""
    parts = pd.read_csv(run / "split" / "split.csv").set_index("path")
    typed = evaluated(chosen, run, chosen.root, "typed")
    measured = pd.read_csv(typed / "report" / "predictions.csv")["path"]
    held = evaluated(chosen, run, chosen.root, "test", "part=test", f"data.split_file={run.absolute()}/split/split.csv")
    _, different, largest = disagreement(run, held)
    tested = accuracy(run)
    found = {
        "measured": len(measured), "trained_on": int((parts["split"].reindex(measured) == "train").sum()),
        "accuracy": round(accuracy(typed)["value"], 4), "test_accuracy": round(tested["value"], 4),
        "different": different, "largest": largest,
        **few_groups(run, parts), "low": round(tested["low"], 4), "high": round(tested["high"], 4),
        "fresh": "", "held": "",
    }  # fmt: skip
    if chosen.fresh:
        fresh = accuracy(evaluated(chosen, run, chosen.fresh, "fresh"))["value"]
        found |= {"fresh": round(fresh, 4), "held": tested["low"] <= fresh <= tested["high"]}
    return found


def accuracy(run: Path) -> dict[str, float]:
    return json.loads((run / "report" / "metrics.json").read_text())["figures"]["accuracy"]


def few_groups(run: Path, parts: pd.DataFrame) -> dict[str, int]:
    """Classes of the test part with few subjects, and lines of the report that say so."""
    tested = parts[parts["split"] == "test"]
    subjects = tested.index.to_series().str.extract(SUBJECT)[0].fillna(tested["group"].astype(str))
    few = subjects.groupby(tested["class"]).nunique() < FEW
    marked = (run / "report" / "classification_report.txt").read_text().count("too few")
    return {"few": int(few.sum()), "few_marked": marked}


def of_maps(chosen: argparse.Namespace, run: Path) -> dict[str, int]:
    """The photos that `explain` draws."""
    parts = pd.read_csv(run / "split" / "split.csv").set_index("path")["split"]
    out = Path(f"{run.absolute()}-maps")
    call(chosen, "explain", f"checkpoint={run.absolute()}/checkpoints/best.ckpt", f"images={chosen.root.absolute()}",
         f"out={out}", "pictures=24")  # fmt: skip
    names = {Path(path).stem: path for path in parts.index}
    shown = [names[file.stem.split("_", 1)[1]] for file in (out / "pictures").iterdir()]
    return {"shown": len(shown), "shown_trained": int((parts.reindex(shown) == "train").sum()),
            "shown_classes": len({path.split("/")[0] for path in shown})}  # fmt: skip


def of_check(chosen: argparse.Namespace, seed: int) -> dict[str, int]:
    """What `check` finds in a spoilt copy, once a training has left features in the cache."""
    root = (chosen.home / f"spoilt{seed}").absolute()
    crops = spoil(chosen.root, root, seed)
    trained(chosen, seed, root)
    text = call(chosen, "check", f"data.root={root}", "time=false")

    def count(pattern: str) -> int:
        return int(found[1]) if (found := re.search(pattern, text)) else 0

    pairs = root.parent / f".{root.name}.fishnet" / "same_photo.csv"
    listed = pairs.read_text() if pairs.exists() else ""
    left_out = re.search(r"Left out of .*", text)
    shutil.rmtree(root)
    return {
        "conflicts": count(r"label conflict\s+(\d+)"), "alike": count(r"look-alikes\s+(\d+)"),
        "crops": sum(name in listed for name in crops),
        "left_out": sum(map(int, re.findall(r"(\d+) (?:\.|special)", left_out[0]))) if left_out else 0,
    }  # fmt: skip


def spoil(root: Path, to: Path, seed: int) -> list[str]:
    """A copy with wrong labels, crops and files that are no photos; the names of the crops."""
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("manifest.csv"))
    photos = sorted(path for path in to.glob("*/*") if path.is_file())
    lots = np.random.default_rng(seed)
    drawn = [photos[row] for row in lots.permutation(len(photos))[:11]]
    folders = sorted({photo.parent for photo in photos})
    for number, photo in enumerate(drawn[:6]):
        other = folders[(folders.index(photo.parent) + 1) % len(folders)]
        if number < 3:
            shutil.copy(photo, other / f"copy_{photo.name}")
        else:
            Image.open(photo).convert("RGB").save(other / f"again_{'abc'[number - 3]}.jpg", quality=60)
    for number, photo in enumerate(drawn[6:]):
        whole = Image.open(photo).convert("RGB")
        wide, high = (round(side * np.sqrt(0.6)) for side in whole.size)
        left, top = (
            int(lots.integers(0, side - part + 1)) for side, part in zip(whole.size, (wide, high), strict=True)
        )
        whole.crop((left, top, left + wide, top + high)).save(photo.parent / f"cut_{'abcde'[number]}.jpg", quality=80)
    for suffix in (".bmp", ".tif"):
        Image.open(photos[0]).convert("RGB").save(folders[0] / f"other{suffix}")
    (folders[0] / "other.heic").write_bytes(b"\0" * 100)
    os.mkfifo(folders[0] / "pipe.jpg")
    return [f"cut_{letter}.jpg" for letter in "abcde"]


def of_study(chosen: argparse.Namespace, seed: int) -> dict[str, object]:
    """Whether a study tells two settings apart."""
    protocols, out = chosen.home / "protocols" / "study", (chosen.home / f"study{seed}").absolute()
    protocols.mkdir(parents=True, exist_ok=True)
    (protocols / "sizes.yaml").write_text(STUDY)
    typed = [setting for setting in AS_TYPED if not setting.startswith("data.image_size")]
    call(chosen, "study", "--config-dir", str(protocols.parent.absolute()), "study=sizes", *typed, *NETWORK,
         f"model.pretrained={chosen.weights.absolute()}", f"data.root={chosen.root.absolute()}",
         f"study.seeds=[{seed}]", f"out={out}")  # fmt: skip
    page = " ".join(re.sub(r"<[^>]+>", " ", (out / "report.html").read_text()).split())
    would = re.search(r"true difference of ([0-9.]+[0-9])", page)
    means = pd.read_csv(out / "results.csv").set_index("trial")["mean"]
    return {"tied": "1 of 1 cannot be told from the best" in page, "would_show": would[1] if would else "",
            "gap": round(float(means["large"] - means["small"]), 4)}  # fmt: skip


if __name__ == "__main__":
    main()
