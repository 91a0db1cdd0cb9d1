"""Ten epochs of a frozen backbone's head: on stored features, beside running the backbone each epoch."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as L
import torch

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.features import FrozenFeatures

from .pairing import Case, Options
from .photos import folder

EPOCHS = 10
GOALS = {"32-true": 9.5, "bf16-mixed": 20.0}


def cases(options: Options) -> Iterator[Case]:
    for backbone, photos in (("resnet101", 256), ("resnet18", 400)):
        root = options.root or folder(500, photos)
        for precision, goal in GOALS.items():
            yield case(root, backbone, 224, precision, goal, most=3)


def case(root: Path, backbone: str, size: int, precision: str, goal: float, most: int) -> Case:
    scratch = Path(tempfile.mkdtemp(prefix="fishnet-frozen-"))

    def fit(stored: bool) -> dict[str, float]:
        torch.manual_seed(0)
        settings = {"image_size": size, "augment": "none", "duplicates": "ignore"}
        data = ImageFolderData(root=str(root), cache=str(scratch), **settings)
        model = ImageClassifier(classes=data.classes, backbone=backbone, freeze="backbone", image_size=size)
        fast = stored and precision != "32-true"
        if fast:
            model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        trainer = L.Trainer(
            max_epochs=EPOCHS,
            precision=precision if fast else "32-true",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[FrozenFeatures()] if stored else [],
        )
        trainer.fit(model, datamodule=data)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    def same(ours: dict[str, float], peers: dict[str, float]) -> tuple[bool, str]:
        worst = max(abs(ours[name] - peers[name]) for name in peers)
        limit = 1e-4 if precision == "32-true" else 0.1
        return worst <= limit, f"metrics differ by at most {worst:.1g}"

    return Case(
        f"{backbone} {size} px, {EPOCHS} epochs, {precision}",
        lambda: fit(True),
        lambda: fit(False),
        same,
        goal,
        most_rounds=most,
        before=lambda: shutil.rmtree(scratch / "features", ignore_errors=True),
    )
