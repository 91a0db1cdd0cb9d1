"""Groups without group labels: photos whose class a twin mistakes that was trained on other photos.

After the idea of Pezeshki, Bouchacourt, Ibrahim, Ballas, Vincent, Lopez-Paz, Discovering environments with XRM (2023).
Two linear heads each learn from a random half of the photos. While they learn, the label of a photo becomes what the
other twin answers, the likelier the surer that twin is, so that both settle on what most photos teach, a shortcut among
it. Photos against which that goes are those that the other twin finally mistakes, by their own labels: in each class
they are one group and the others another. No group labels are needed, and none are learned: what is told apart is
what is hard from what is easy, of which a shortcut is one reason.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

ROUNDS = 20  # after each of which labels are flipped
STEPS = 20  # of Adam in a round
RATE = 0.02
DECAY = 0.01  # of the weights, whose features have variance 1
FEWEST = 5  # photos of a group: the accuracy of fewer is chance


def cross_mistakes(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seed: int) -> np.ndarray:
    """Whether each photo is mistaken by the twin that was not trained on it.

    Args:
        features: (photos, numbers).
        labels: the class of each photo, a number from 0.
        groups: photos that stay in one half.
        seed: of the halves and the flips.
    """
    generator = torch.Generator().manual_seed(seed)
    names, group = np.unique(groups, return_inverse=True)
    half = torch.randperm(len(names), generator=generator)[torch.from_numpy(group)] % 2
    scaled = torch.from_numpy((features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)).float()
    own = torch.from_numpy(np.asarray(labels, np.int64))
    flipped, classes = own.clone(), int(own.max()) + 1
    twins = [torch.nn.Linear(scaled.shape[1], classes) for _ in range(2)]
    with torch.inference_mode(False), torch.enable_grad():
        optimizers = [started(twin) for twin in twins]
        for _ in range(ROUNDS):
            for number, (twin, optimizer) in enumerate(zip(twins, optimizers, strict=True)):
                learn(twin, optimizer, scaled[half == number], flipped[half == number])
            shares = held_out(twins, scaled, half).softmax(dim=1)
            sure, answer = shares.max(dim=1)
            flips = torch.rand(len(own), generator=generator) < (classes * sure - 1) / (classes - 1)
            flipped = torch.where(flips, answer, flipped)
    return (held_out(twins, scaled, half).argmax(dim=1) != own).numpy()


def started(twin: torch.nn.Linear) -> torch.optim.Optimizer:
    """A head that knows nothing, and what it learns by."""
    torch.nn.init.zeros_(twin.weight)
    torch.nn.init.zeros_(twin.bias)
    return torch.optim.AdamW(twin.parameters(), lr=RATE, weight_decay=DECAY)


def learn(twin: torch.nn.Linear, optimizer: torch.optim.Optimizer, features: Tensor, labels: Tensor) -> None:
    """A round on the twin's own half; classes weigh alike, lest a large one swallow the labels of the others."""
    counts = torch.bincount(labels, minlength=twin.out_features)
    weights = len(labels) / (twin.out_features * counts.clamp(min=1))
    for _ in range(STEPS):
        optimizer.zero_grad()
        cross_entropy(twin(features), labels, weight=weights).backward()
        optimizer.step()


@torch.no_grad()
def held_out(twins: list[torch.nn.Linear], features: Tensor, half: Tensor) -> Tensor:
    """The logits of each photo by the twin that does not learn from its half."""
    return torch.where((half == 0)[:, None], twins[1](features), twins[0](features))


def worst_accuracy(predicted: np.ndarray, labels: np.ndarray, mistaken: np.ndarray) -> float:
    """The lowest accuracy over classes and their two groups, of those with FEWEST photos; NaN where there are none."""
    right = predicted == labels
    cells = [(labels == label) & (mistaken == group) for label in np.unique(labels) for group in (False, True)]
    return min((float(right[cell].mean()) for cell in cells if cell.sum() >= FEWEST), default=float("nan"))
