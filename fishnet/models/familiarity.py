"""Whether a photo fits any of a model's classes: what it takes to answer "none of these".

Two figures of the forward pass are added, each in units of its spread over validation photos: the energy of the logits
(Liu and others, NeurIPS 2020), which is high where no class is answered strongly, and the relative Mahalanobis
distance of the features (Ren and others, 2021): how much farther the photo lies from the nearest class than from the
middle of all. Neither is enough by itself: `experiments/unknown` has the figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

KNOWN = 0.95  # of the validation photos are not to be called strange
FEWEST = 20  # validation photos that a class's own threshold is taken from; others get that of all
COMPONENTS = 256  # of the features, at most


@dataclass(frozen=True)
class Familiarity:
    """Where the features of a model's training photos lie.

    Args:
        centre: (features,), their mean.
        basis: (features, components): the directions in which they differ most, in units of their spread there.
        means: (classes, components), the middle of each class.
        within: (components, components), the inverse covariance inside classes.
        overall: (components, components), the inverse covariance of all.
        scale: (2, 2), middle and spread of the two figures over validation photos.
        thresholds: (classes,): beyond it a photo that is answered as this class is strange.
    """

    centre: Tensor
    basis: Tensor
    means: Tensor
    within: Tensor
    overall: Tensor
    scale: Tensor
    thresholds: Tensor

    def strangeness(self, features: Tensor, logits: Tensor) -> Tensor:
        """(n,), from (n, features) and (n, classes): higher fits the classes less."""
        figures = self._figures(features.double().cpu(), logits.double().cpu())
        return ((figures - self.scale[:, 0]) / self.scale[:, 1]).sum(dim=1)

    def is_strange(self, features: Tensor, logits: Tensor) -> Tensor:
        """(n,), whether each photo looks like none of the classes."""
        return self.strangeness(features, logits) > self.thresholds[logits.argmax(dim=1).cpu()]

    def _figures(self, features: Tensor, logits: Tensor) -> Tensor:
        """(n, 2): energy and relative distance."""
        inside = (features - self.centre) @ self.basis
        within, overall = self._factors
        nearest = torch.cdist(inside @ within, self.means @ within).square().min(dim=1).values
        average = (inside @ overall).square().sum(dim=1)
        return torch.stack([-logits.logsumexp(dim=1), nearest - average], dim=1)

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor]:
        """Distances are plain ones behind these."""
        return torch.linalg.cholesky(self.within), torch.linalg.cholesky(self.overall)

    @classmethod
    def fitted(cls, features: Tensor, labels: Tensor, validation: Tensor, logits: Tensor) -> "Familiarity":
        """From the training photos' (n, features) and classes, and the validation photos' features and logits."""
        features, validation, logits = features.double(), validation.double(), logits.double()
        centre = features.mean(dim=0)
        _, sizes, directions = torch.linalg.svd(features - centre, full_matrices=False)
        kept = min(COMPONENTS, int((sizes > 1e-6 * sizes[0]).sum()))
        basis = directions[:kept].T / (sizes[:kept] / len(features) ** 0.5)
        inside = (features - centre) @ basis
        means = torch.stack([inside[labels == c].mean(dim=0) for c in range(logits.shape[1])])
        within, overall = (inverse_covariance(rows) for rows in (inside - means[labels], inside))
        unscaled = torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float64)
        empty = torch.zeros(logits.shape[1], dtype=torch.float64)
        plain = cls(centre, basis, means, within, overall, unscaled, empty)
        figures = plain._figures(validation, logits)
        low, middle, high = figures.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64), dim=0)
        scale = torch.stack([middle, (high - low).clamp(min=1e-6)], dim=1)
        scaled = cls(centre, basis, means, within, overall, scale, empty)
        found, answered = scaled.strangeness(validation, logits), logits.argmax(dim=1)
        of_all = found.quantile(KNOWN)
        own = [found[answered == c] for c in range(logits.shape[1])]
        thresholds = torch.stack([rows.quantile(KNOWN) if len(rows) >= FEWEST else of_all for rows in own])
        return cls(centre, basis, means, within, overall, scale, thresholds)

    def state(self) -> dict[str, Tensor]:
        """Plain tensors by name."""
        return {field.name: getattr(self, field.name).contiguous() for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], features: int, classes: int) -> "Familiarity":
        """What `state` gave, for a network of so many features and classes; ValueError where it is something else."""
        if set(state) != {field.name for field in fields(cls)} or state["basis"].ndim != 2:
            raise ValueError("it is not complete")
        count = state["basis"].shape[1]
        shapes = {"centre": (features,), "basis": (features, count), "means": (classes, count)}
        shapes |= {"within": (count, count), "overall": (count, count), "scale": (2, 2), "thresholds": (classes,)}
        if any(
            tuple(state[name].shape) != shape or state[name].dtype != torch.float64 for name, shape in shapes.items()
        ):
            raise ValueError("its shapes do not fit the network")
        if not bool((state["scale"][:, 1] > 0).all()):
            raise ValueError("a spread in it is none")
        found = cls(**state)
        try:
            found._factors  # noqa: B018
        except torch.linalg.LinAlgError as error:
            raise ValueError("a covariance in it is none") from error
        return found


def inverse_covariance(rows: Tensor) -> Tensor:
    """With Ledoit's and Wolf's shrinkage, which few photos of many features need."""
    return torch.from_numpy(np.ascontiguousarray(LedoitWolf(assume_centered=True).fit(rows.numpy()).precision_))
