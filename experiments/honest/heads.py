"""Three ways to start a new classifier layer, and scikit-learn's logistic regression, on the same photos and features:

    python -m experiments.honest.heads frozen --root DOGCAT --weights MOBILENETV2 --per-class 30 --splits 20
    python -m experiments.honest.heads frozen --root FISHCAM --weights MOBILENETV2 --group '(.+)_frame' --splits 20
    python -m experiments.honest.heads typed  …    the program's defaults, with its random views, from zero alone
    python -m experiments.honest.heads tuned  …    the whole network learns, from the weights
    python -m experiments.honest.heads scratch --root DOGCAT --backbone cnn --pad '' --per-class 100 --preset …

`timm` is what timm draws for this network, `linear` nn.Linear's own start (the program's from nothing), `zero` the
program's behind weights. A row a split
and start: accuracy and log-loss on the test part. With --per-class so many photos of a class are trained on and
validated (one in six), and the test part is all others; without it the split is the program's own. --preset takes
settings such as `model.optimizer=adam model.lr=0.001` of a study.
"""

import argparse
import csv
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as L
import timm
import torch
from hydra.utils import instantiate
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.checkpoints import BestCheckpoint, Patience
from fishnet.callbacks.features import FrozenFeatures
from fishnet.callbacks.guards import SeededSteps
from fishnet.config.compose import compose
from fishnet.models.backbones import single_head
from fishnet.models.checkpoint import load_model
from fishnet.models.features import features_of
from fishnet.runs.precision import choose_precision

MODES = {
    "frozen": ["model.freeze=backbone", "data.augment=none"],
    "typed": ["model.freeze=backbone"],
    "tuned": [],
    "scratch": ["data.augment=none"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--root", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--weights", type=Path, help="of the backbone, for ImageNet's classes; not for `scratch`")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--pad", default="same", help="model.backbone_args.pad_type; empty for networks without it")
    parser.add_argument("--classes", default=None, help="some of the class folders: a,b")
    parser.add_argument("--group", default=None, help="data.group")
    parser.add_argument("--per-class", type=int, default=0)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first split, to go on or to share them out")
    parser.add_argument("--starts", nargs="+", default=["timm", "linear", "zero"])
    parser.add_argument("--preset", nargs="*", default=[], help="further settings of `fishnet train`")
    parser.add_argument("--name", default=None, help="of the set, in the table")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("heads.csv"))
    chosen = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    starts = ["zero"] if chosen.mode == "typed" else chosen.starts
    with tempfile.TemporaryDirectory() as home:
        for split in range(chosen.first, chosen.splits):
            data, config = splitted(chosen, split, Path(home))
            rows = []
            for start in starts:
                model = trained(data, config, start, split, Path(home))
                rows.append((start, *measured(model, data, Path(home))))
            if chosen.mode in ("frozen", "typed"):
                rows.append(("logistic regression", *regression(model, data, Path(home))))
            for start, accuracy, loss in rows:
                print(f"{split:3d}  {start:20s} accuracy {accuracy:.3f}  log-loss {loss:.3f}", flush=True)
                append(chosen, split, start, accuracy, loss)


def splitted(chosen: argparse.Namespace, split: int, home: Path) -> tuple[ImageFolderData, object]:
    """The data of one split, and the configuration as it would be typed."""
    typed = [
        "data=folder", f"data.root={chosen.root}", f"seed={split}", *MODES[chosen.mode], *chosen.preset,
        f"model.backbone={chosen.backbone}", f"model.pretrained={chosen.weights or 'false'}",
    ]  # fmt: skip
    typed += [f"++model.backbone_args.pad_type={chosen.pad}"] if chosen.pad else []
    typed += [f"data.classes=[{chosen.classes}]"] if chosen.classes else []
    typed += [f"data.group='{chosen.group}'"] if chosen.group else []
    config = compose("train", typed)
    if chosen.per_class:
        config.data.split_file = str(few(instantiate(config.data, _convert_="all"), chosen.per_class, split, home))
    return instantiate(config.data, _convert_="all"), config


def few(data: ImageFolderData, per_class: int, seed: int, home: Path) -> Path:
    """A split file: so many photos of each class for training and validation, all others for the test."""
    table = data.table.assign(split="test")
    for _, rows in table.groupby("class"):
        drawn = rows.sample(per_class, random_state=seed).index
        table.loc[drawn, "split"] = "train"
        table.loc[drawn[: max(1, per_class // 6)], "split"] = "val"
    groups = table.groupby("group")["split"].transform("first")  # near copies stay together
    file = home / f"split{seed}.csv"
    table.assign(split=groups).to_csv(file, index=False, columns=["path", "sha256", "split"])
    return file


def trained(data: ImageFolderData, config, start: str, seed: int, home: Path) -> ImageClassifier:
    """The best epoch's model."""
    L.seed_everything(seed, verbose=False)
    model: ImageClassifier = instantiate(config.model, _convert_="all")(classes=data.classes)
    head = single_head(model.network)
    assert head is not None
    if start == "timm":
        drawn = single_head(timm.create_model(config.model.backbone, num_classes=len(data.classes)))
        head.load_state_dict(drawn.state_dict())
    else:
        nn.Linear.reset_parameters(head)
    for parameter in head.parameters() if start == "zero" else ():
        nn.init.zeros_(parameter)
    choose_precision(config, model)  # as `fishnet train` does
    best = BestCheckpoint(monitor=config.monitor)
    patience = Patience(monitor=config.monitor, patience=config.callbacks.early_stopping.patience)
    trainer = L.Trainer(
        max_epochs=config.trainer.max_epochs, precision=config.trainer.precision, accelerator="cpu", logger=False,
        default_root_dir=home,
        callbacks=[SeededSteps(seed=seed), FrozenFeatures(), best, patience], use_distributed_sampler=False,
        num_sanity_val_steps=0, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return load_model(Path(best.best_model_path))


def measured(model: ImageClassifier, data: ImageFolderData, home: Path) -> tuple[float, float]:
    rows = data.rows("test")
    if model.hparams["freeze"] == "backbone":
        with torch.no_grad():
            logits = single_head(model.network)(torch.from_numpy(features(model, data, rows, home)))
    else:
        folder, batches = data.folder, []
        with torch.inference_mode():
            for batch in folder.batches(rows, model.preprocessing, batch_size=32):
                batches.append(model(batch["image"]))
        logits = torch.cat(batches)
    labels = data.table["label"].to_numpy()[rows]
    chances = logits.softmax(dim=1).double().numpy()
    return accuracy_score(labels, chances.argmax(1)), log_loss(labels, chances, labels=range(len(data.classes)))


def regression(model: ImageClassifier, data: ImageFolderData, home: Path) -> tuple[float, float]:
    """With scikit-learn's defaults, on the features of the training photos."""
    labels = data.table["label"].to_numpy()
    train, test = data.rows("train"), data.rows("test")
    fitted = LogisticRegression(max_iter=10_000).fit(features(model, data, train, home), labels[train])
    chances = fitted.predict_proba(features(model, data, test, home))
    return accuracy_score(labels[test], chances.argmax(1)), log_loss(labels[test], chances)


def features(model: ImageClassifier, data: ImageFolderData, rows: np.ndarray, home: Path) -> np.ndarray:
    photos = data.for_model(preprocessing=model.preprocessing)
    stored = features_of(model, photos, rows, folder=home / "features", progress=False)
    return np.stack([stored[row].ravel() for row in range(len(rows))])


def append(chosen: argparse.Namespace, split: int, start: str, accuracy: float, loss: float) -> None:
    name = chosen.name or f"{chosen.root.name}{f' {chosen.per_class} a class' if chosen.per_class else ''}"
    new = not chosen.csv.exists()
    with open(chosen.csv, "a", newline="") as file:
        table = csv.writer(file)
        if new:
            table.writerow(["mode", "set", "settings", "split", "start", "accuracy", "log_loss"])
        table.writerow([chosen.mode, name, " ".join(chosen.preset), split, start, f"{accuracy:.4f}", f"{loss:.4f}"])


def summary(file: Path) -> pd.DataFrame:
    """Means over the splits, a row a set and start, and the difference of the accuracy to logistic regression's."""
    table = pd.read_csv(file, keep_default_na=False)
    return table.groupby(["mode", "set", "settings", "start"])[["accuracy", "log_loss"]].agg(["mean", "std", "count"])


if __name__ == "__main__":
    main()
