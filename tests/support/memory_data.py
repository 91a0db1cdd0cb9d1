"""A data set in memory with the face of ImageFolderData, for tests that train: shapes tell the class."""

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader, Dataset


class Drawn(Dataset):
    def __init__(self, images: torch.Tensor, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: tuple[int, int]) -> dict:
        row, _ = draw
        return {"image": self.images[row], "label": int(self.labels[row]), "index": row}


class MemoryData(L.LightningDataModule):
    """`photos` squares a class, in groups of three; a third of the groups each for training, validation and test."""

    def __init__(self, *, classes: list[str], photos: int = 12, size: int = 32, batch_size: int = 4) -> None:
        super().__init__()
        self.classes, self.batch_size = classes, batch_size
        labels = np.repeat(np.arange(len(classes)), photos)
        chance = np.random.default_rng(0)
        images = chance.integers(0, 120, (len(labels), 3, size, size), dtype=np.uint8)
        for number, label in enumerate(labels):
            height = 4 + 3 * int(label)
            images[number, label % 3, 5 : 5 + height, 6:20] = 230
        self.images = torch.from_numpy(images)
        group = np.arange(len(labels)) // 3
        paths = [f"{classes[label]}/{number:03d}.jpg" for number, label in enumerate(labels)]
        self.table = pd.DataFrame({"path": paths, "label": labels, "group": group})

    def rows(self, part: str) -> np.ndarray:
        return np.flatnonzero(self.table.group % 3 == ["train", "val", "test"].index(part))

    def photos(self, rows) -> torch.Tensor:
        return self.images[list(rows)]

    def evaluation_loader(self, part: str) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        draws = [(int(row), int(row)) for row in self.rows(part)][rank::world]
        dataset = Drawn(self.images, self.table.label.to_numpy())
        return DataLoader(dataset, batch_size=self.batch_size, sampler=draws)

    def train_dataloader(self) -> DataLoader:
        return self.evaluation_loader("train")

    def val_dataloader(self) -> DataLoader:
        return self.evaluation_loader("val")

    def test_dataloader(self) -> DataLoader:
        return self.evaluation_loader("test")
