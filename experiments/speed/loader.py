"""Batches of an epoch that is not the first: from the cache, beside ImageFolder and PIL which decode again."""

from collections.abc import Iterator

import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from fishnet import ImageClassifier, ImageFolderData

from .decode import USUAL
from .pairing import Case, Options
from .photos import folder

EPOCHS = 20  # of ours for one of theirs, so that both take long enough to time
STEPS, BATCH = 24, 32


def cases(options: Options) -> Iterator[Case]:
    root = options.root or folder(500, 200)
    settings = {"root": str(root), "image_size": 224, "batch_size": BATCH, "duplicates": "ignore"}
    cached, plain = (ImageFolderData(**settings, cache=cache) for cache in ("auto", "off"))
    loader = cached.evaluation_loader("all")
    usual = DataLoader(ImageFolder(str(root), transform=USUAL), batch_size=BATCH)

    def same_bytes(*_) -> tuple[bool, str]:
        pairs = zip(loader, plain.evaluation_loader("all"), strict=True)
        same = all(torch.equal(a["image"], b["image"]) for a, b in pairs)
        return same, "bytes equal to the uncached ones" if same else "bytes differ"

    count = float(len(cached.table))
    yield Case(
        "batches, 224 px",
        lambda: [len(batch["label"]) for _ in range(EPOCHS) for batch in loader],
        lambda: [len(batch[1]) for batch in usual],
        same_bytes,
        100,
        ours_work=EPOCHS * count,
        peers_work=count,
    )
    yield training(settings)


class Ready(torch.utils.data.IterableDataset):
    """The same batch again and again: what training would cost if data cost nothing."""

    def __init__(self, batch: dict) -> None:
        self.batch = batch

    def __iter__(self):
        return iter([self.batch] * STEPS)


def training(settings: dict) -> Case:
    data = ImageFolderData(**{**settings, "image_size": 128}, val=0.01, test=0.01)
    batch = next(iter(data.train_dataloader()))
    batch.pop("noise")
    ready = DataLoader(Ready(batch), batch_size=None)
    photos = torch.arange(STEPS * BATCH) % len(data.rows("train"))
    rows = data.rows("train")[photos.numpy()]
    model = ImageClassifier(classes=data.classes, backbone="resnet18", image_size=128)

    class Cached(L.LightningDataModule):
        """As many steps from the cache, augmented as by default."""

        def train_dataloader(self):
            loader = data.train_dataloader()
            draws = [(int(row), number) for number, row in enumerate(rows)]
            return DataLoader(loader.dataset, BATCH, sampler=draws, collate_fn=loader.collate_fn)

        on_after_batch_transfer = staticmethod(data.on_after_batch_transfer)

    def fit(**what) -> int:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = L.Trainer(max_epochs=1, enable_model_summary=False, precision="bf16-mixed", **quiet)
        trainer.fit(model, **what)
        return trainer.global_step

    return Case(
        "training, share of data at no cost",
        lambda: fit(datamodule=Cached()),
        lambda: fit(train_dataloaders=ready),
        lambda ours, peers: (ours == peers == STEPS, f"{ours} and {peers} steps"),
        0.97,
        ours_work=STEPS,
        peers_work=STEPS,
    )
