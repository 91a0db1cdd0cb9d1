"""Which training of a pretrained network a user with 100 to 5,000 photos should take, beside what people use today.

    python -m experiments.accuracy.recipes --name fishcam --root FISHCAM --weights MOBILENETV2 --group '(.+)_frame'
    python -m experiments.accuracy.recipes --name 'dogs 30' --root DOGCAT --weights MOBILENETV2 --per-class 30 \\
        --recipes founding fine_tune logistic timm fastai --epochs 8

Every recipe has the same folds by group, weights, size of photos and epochs. Ours are `fishnet train` as typed. `timm`
is a plain loop with the settings of timm's training script; `fastai` its `vision_learner(…).fine_tune` (installed for
this alone: fastai is no part of fishnet); `logistic` a regression on the features of the untouched network. A row a
fold: test accuracy, macro-F1, log-loss, and seconds of all cores: of ours those of the whole command, start and
report included, of the others those of the training alone.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score, log_loss

from experiments.honest.heads import few
from experiments.speed.table import machine
from fishnet import ImageClassifier, ImageFolderData

from .photo_set import padding, photo_set_parser

LAYERS = ["model.lr=0.002", "model.layer_decay=0.8"]
FITTED = ["model.head=logistic", "model.layer_decay=0.8"]
CHOSEN = [*FITTED, "callbacks.early_stopping=null"]
CAREFUL = ["model.optimizer=adamw", "model.weight_decay=0.05", "model.scheduler=one_cycle", "data.augment=photo"]
OURS = {
    "founding": [],
    "frozen": ["model.freeze=backbone"],
    "logistic": ["model.freeze=backbone", "model.head=logistic"],
    "one cycle": [*CAREFUL, "model.lr=0.001"],
    "one cycle, layers 0.8": [*CAREFUL, *LAYERS],
    "fitted, then 3e-4": [*CAREFUL, *FITTED, "model.lr=0.0003"],
    "fitted, then 1e-4": [*CAREFUL, *FITTED, "model.lr=0.0001"],
    "fitted or 1e-3": [*CAREFUL, *CHOSEN, "model.lr=0.001"],
    "fitted or 2e-3": [*CAREFUL, *CHOSEN, "model.lr=0.002"],
    "fine_tune": ["experiment=fine_tune"],
    "fine_tune, all of the rate": ["experiment=fine_tune", "model.lr_by_error=false"],
    "fine_tune, smoothed": ["experiment=fine_tune", "model.label_smoothing=0.1"],
    "fine_tune, mixed": ["experiment=fine_tune", "model.mixup=0.2"],
    "fine_tune, statistics of batches": ["experiment=fine_tune", "model.keep_statistics=false"],
    "fine_tune, any epoch": ["experiment=fine_tune", "callbacks.best.among=all"],
    "one cycle, layers 0.8, smoothed": [*CAREFUL, *LAYERS, "model.label_smoothing=0.1"],
    "one cycle, layers 0.8, smoothed, mixed": [*CAREFUL, *LAYERS, "model.label_smoothing=0.1", "model.mixup=0.2"],
}  # fmt: skip
COLUMNS = (
    *("set", "backbone", "recipe", "epochs", "fold", "seed", "photos", "accuracy", "f1_macro", "log_loss", "cpu"),
    "machine",
)


def main() -> None:
    parser = photo_set_parser(__doc__)
    parser.add_argument("--folds", type=int, default=5, help="with --per-class: so many draws")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--recipes", nargs="+", default=[*OURS, "timm", "fastai"])
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("recipes.csv"))
    chosen = parser.parse_args()
    done = set()
    if chosen.csv.exists():
        rows = pd.read_csv(chosen.csv)
        done = set(zip(rows["set"], rows["backbone"], rows["recipe"], rows["epochs"], rows["fold"], strict=True))
    for fold in range(chosen.folds):
        with tempfile.TemporaryDirectory(prefix="fishnet-recipes-") as home:
            data = splitted(chosen, fold, Path(home))
            for recipe in chosen.recipes:
                if (chosen.name, chosen.backbone, recipe, chosen.epochs, fold) in done:
                    continue
                run = peers().get(recipe, ours)
                figures = run(recipe, chosen, data, fold, Path(home))
                kept = [chosen.name, chosen.backbone, recipe, chosen.epochs, fold, fold, len(data.rows("train"))]
                kept += [*(f"{figure:.4f}" for figure in figures), machine()]
                print(*kept, sep="  ", flush=True)
                new = not chosen.csv.exists()
                with chosen.csv.open("a", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([COLUMNS, kept] if new else [kept])


def splitted(chosen: argparse.Namespace, fold: int, home: Path) -> ImageFolderData:
    """The photos, with the split of this fold, which all recipes share; its file is `split.csv` in `home`."""
    how = {"root": str(chosen.root), "group": chosen.group, "image_size": chosen.size}
    if chosen.per_class:
        file = few(ImageFolderData(**how), chosen.per_class, fold, home)
        return ImageFolderData(**how, split_file=str(file.rename(home / "split.csv")))
    data = ImageFolderData(**how, folds=chosen.folds, fold=fold)
    table = data.table.assign(split=data.assignment)
    table.to_csv(home / "split.csv", index=False, columns=["path", "sha256", "split"])
    return data


def ours(recipe: str, chosen: argparse.Namespace, data: ImageFolderData, fold: int, home: Path) -> tuple[float, ...]:
    """`fishnet train` as typed, in a process of its own; the seconds are of the whole command."""
    out = home / recipe.replace(" ", "-").replace(",", "")
    same = "".join(f"{key}: {value}" for key, value in padding(chosen.backbone).items())
    command = [
        *("data=folder", f"data.root={chosen.root}", f"data.group={chosen.group}", f"data.image_size={chosen.size}"),
        *(f"data.split_file={home / 'split.csv'}", f"seed={fold}", f"trainer.max_epochs={chosen.epochs}"),
        *(f"model.backbone={chosen.backbone}", f"model.backbone_args={{{same}}}", f"model.pretrained={chosen.weights}"),
        *("callbacks.heatmaps=null", "callbacks.views=null", "logger=none", f"out={out}", *OURS[recipe]),
    ]
    before = os.times()
    subprocess.run([sys.executable, "-m", "fishnet", "train", *command], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    figures = json.loads((out / "report" / "metrics.json").read_text())["figures"]
    return (*(figures[name]["value"] for name in ("accuracy", "f1_macro", "loss_scaled")), seconds)


def logits_to_figures(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    shares = torch.from_numpy(logits).double().softmax(dim=1).numpy()
    answers = shares.argmax(axis=1)
    loss = log_loss(labels, shares, labels=np.arange(shares.shape[1]))
    return float((answers == labels).mean()), float(f1_score(labels, answers, average="macro")), float(loss)


def timm_loop(_: str, chosen: argparse.Namespace, data: ImageFolderData, fold: int, home: Path) -> tuple[float, ...]:
    """The settings of timm's training script: SGD with Nesterov momentum at 0.1 for 256 photos, a cosine after warm-up,
    smoothed labels, its random crops and colours; the last epoch's network answers."""
    from timm.data import create_transform, resolve_data_config
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from torch.utils.data import DataLoader

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(fold)
    network = pretrained(chosen, data).network.to(device)
    settings = resolve_data_config({"input_size": (3, chosen.size, chosen.size)}, model=network)
    views = {
        "train": create_transform(**settings, is_training=True, color_jitter=0.4),
        "test": create_transform(**settings, is_training=False),
    }
    workers, many = 8 if device.type == "cuda" else 0, len(data.rows("train")) > 32
    batches = {
        part: DataLoader(
            Pictures(data, part, view), 32, shuffle=part == "train", drop_last=part == "train" and many,
            num_workers=workers,
        )
        for part, view in views.items()
    }  # fmt: skip
    begun = time.process_time()
    optimizer = create_optimizer_v2(network, opt="sgd", lr=0.1 * 32 / 256, momentum=0.9, weight_decay=2e-5)
    warm = max(1, chosen.epochs // 6)
    schedule = CosineLRScheduler(optimizer, chosen.epochs, warmup_t=warm, warmup_lr_init=1e-5, warmup_prefix=True)
    loss_of = LabelSmoothingCrossEntropy(0.1)
    for epoch in range(chosen.epochs):
        network.train()
        schedule.step(epoch)
        for images, labels in batches["train"]:
            optimizer.zero_grad()
            loss_of(network(images.to(device)), labels.to(device)).backward()
            optimizer.step()
    seconds = time.process_time() - begun
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(images.to(device)).cpu() for images, _ in batches["test"]]).numpy()
    return (*logits_to_figures(logits, data.table.label.to_numpy()[data.rows("test")]), seconds)


def fastai_tune(_: str, chosen: argparse.Namespace, data: ImageFolderData, fold: int, home: Path) -> tuple[float, ...]:
    """fastai's defaults: its head over the network's body, an epoch of the head alone, then all layers at rates that
    fall with the depth, in one cycle each; its augmentation."""
    from fastai.learner import Learner
    from fastai.vision import all as vision

    vision.set_seed(fold)
    parts = ["train" if part == "train" else part for part in data.assignment]
    frame = pd.DataFrame({"file": data.table["path"], "label": data.table["class"], "part": parts})
    known = frame[frame["part"] != "test"].assign(is_valid=lambda rows: rows["part"] == "val")
    loaders = vision.ImageDataLoaders.from_df(
        known, path=str(data.root), fn_col="file", label_col="label", valid_col="is_valid", bs=32,
        item_tfms=vision.Resize(int(chosen.size / 0.875)), batch_tfms=[
            *vision.aug_transforms(size=chosen.size), vision.Normalize.from_stats(*vision.imagenet_stats)
        ],
    )  # fmt: skip
    body = vision.TimmBody(pretrained(chosen, data).network)
    head = vision.create_head(body.model.num_features, len(data.classes), pool=True)
    model = torch.nn.Sequential(body, head)
    learner = Learner(loaders, model, splitter=vision.default_split, metrics=vision.accuracy)
    begun = time.process_time()
    with learner.no_bar(), learner.no_logging():
        learner.freeze()
        learner.fine_tune(chosen.epochs)
    seconds = time.process_time() - begun
    tested = loaders.test_dl(frame[frame["part"] == "test"])
    shares = learner.get_preds(dl=tested)[0].numpy()
    order = [[*loaders.vocab].index(name) for name in data.classes]
    labels = data.table.label.to_numpy()[data.rows("test")]
    return (*logits_to_figures(np.log(shares[:, order].clip(1e-12)), labels), seconds)


def pretrained(chosen: argparse.Namespace, data: ImageFolderData) -> ImageClassifier:
    return ImageClassifier(
        classes=data.classes, backbone=chosen.backbone, backbone_args=padding(chosen.backbone),
        pretrained=str(chosen.weights), image_size=chosen.size,
    )  # fmt: skip


class Pictures(torch.utils.data.Dataset):
    """Photos of a part of the split under somebody else's transform."""

    def __init__(self, data: ImageFolderData, part: str, transform) -> None:
        rows = data.rows(part)
        self.files = [data.root / data.table.path.iloc[row] for row in rows]
        self.labels, self.transform = data.table.label.to_numpy()[rows], transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, position: int):
        from PIL import Image

        with Image.open(self.files[position]) as photo:
            return self.transform(photo.convert("RGB")), int(self.labels[position])


def peers() -> dict:
    return {"timm": timm_loop, "fastai": fastai_tune}


if __name__ == "__main__":
    main()
