"""What the rooms below need of a model, whoever trained it. `ImageClassifier` has it."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from .preprocessing import Preprocessing


class Classifier(Protocol):
    """A torch module that classifies photos.

    Attributes:
        network: the backbone with its head, which takes pixels and returns logits.
        preprocessing: the size, crop and normalisation that the network was trained with.
        classes: names, in the order of the logits.
        temperature: the logits are divided by it before they become probabilities.
    """

    network: nn.Module
    preprocessing: Preprocessing
    classes: list[str]
    temperature: Tensor

    @property
    def device(self) -> torch.device: ...

    def __call__(self, images: Tensor) -> Tensor:
        """Logits of photos (uint8, or float 0 to 1)."""

    def pixels(self, images: Tensor) -> Tensor:
        """Photos → what the network takes."""

    def probabilities(self, logits: Tensor) -> Tensor: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]: ...
