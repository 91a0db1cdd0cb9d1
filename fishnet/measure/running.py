"""What an epoch adds up batch by batch, over several processes, without a step that waits for a GPU.

torchmetrics' own classes look at each batch (for values that are no number, for labels out of range, for the length of
a histogram), and each look makes the processor wait until the GPU has come so far.
"""

import torch
from torch import Tensor
from torchmetrics import Metric

from .metrics import ClassCounts


class RunningLoss(Metric):
    """The mean loss over photos."""

    total: Tensor
    photos: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("photos", torch.zeros(()), dist_reduce_fx="sum")
        self.counted = 0  # photos of this process, known without asking the device

    def update(self, loss: Tensor, photos: int) -> None:
        """The mean loss of so many photos."""
        self.total += loss.detach() * photos
        self.photos += photos
        self.counted += photos

    def compute(self) -> Tensor:
        return self.total / self.photos

    def reset(self) -> None:
        super().reset()
        self.counted = 0


class RunningCounts(Metric):
    """Photos predicted rightly, predicted as, and truly of each class.

    Args:
        classes: how many there are.
    """

    counts: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(3, classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        predicted = logits.argmax(dim=1)
        for row, positions, values in (
            (0, labels, (predicted == labels).long()),
            (1, predicted, torch.ones_like(labels)),
            (2, labels, torch.ones_like(labels)),
        ):
            self.counts[row].index_add_(0, positions, values)

    def compute(self) -> Tensor:
        return self.counts

    def class_counts(self) -> ClassCounts:
        """As numbers, over all processes."""
        return ClassCounts(*self.compute().cpu().numpy())
