"""A case's photos in memory, and what is true of a model that was trained on them."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from fishnet.audit.kinds import Views
from fishnet.models.interface import Classifier
from fishnet.reef.drawing import Entry, entries
from fishnet.reef.photo import FISH
from fishnet.reef.settings import Settings

from .cases import PLANTED_CLASS, RARE, Case


@dataclass(frozen=True)
class DrawnFolder:
    """Photos of a case: of each class first those for the training, then those that the model does not see.

    Args:
        settings: of the reef.
        entries: a photo each.
        pixels: (n, side, side, 3) bytes.
        fish: (n, side, side), where the animal is.
        labels: the class of each photo.
        groups: its observation.
        trained: whether the model learns from it.
    """

    settings: Settings
    entries: list[Entry]
    pixels: np.ndarray
    fish: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    trained: np.ndarray

    @property
    def keys(self) -> list[str]:
        """A name for each photo, as digests are elsewhere."""
        return [entry.name for entry in self.entries]

    def carries(self, cue: str) -> np.ndarray:
        return np.array([cue in entry.cues for entry in self.entries])


def draw_folder(case: Case) -> DrawnFolder:
    """Draw a case; an observation lies on one side of the split."""
    kinds = Settings(species=case.species).kinds
    learned_from = {
        label: case.train // RARE if case.control == "imbalance" and label % 2 else case.train
        for label in range(case.species)
    }
    counts = {kinds[label].name: count + case.audit for label, count in learned_from.items()}
    settings = Settings(
        species=case.species, photos=counts if case.control == "imbalance" else case.train + case.audit,
        size=case.side, seed=case.seed, layout=case.layout, plant=plants(case),
    )  # fmt: skip
    planned = entries(settings)
    labels = np.array([settings.kinds.index(entry.kind) for entry in planned])
    groups = np.array([entry.observation.number * case.species for entry in planned]) + labels
    numbers, before = np.array([entry.number for entry in planned]), np.array([learned_from[c] for c in labels])
    first_unseen = {label: groups[(labels == label) & (numbers == before)][0] for label in range(case.species)}
    trained = (numbers < before) & (groups != np.vectorize(first_unseen.get)(labels))
    without = trained if case.control == "inherited" else np.zeros(len(planned), bool)
    photos = [
        entry.draw(settings, cues=()) if bare else entry.draw(settings)
        for entry, bare in zip(planned, without, strict=True)
    ]
    return DrawnFolder(
        settings, planned, np.stack([photo.pixels for photo in photos]),
        np.stack([photo.mask == FISH for photo in photos]), labels, groups, trained,
    )  # fmt: skip


def with_shuffled_labels(folder: DrawnFolder, seed: int) -> DrawnFolder:
    """The same, with the labels of the training photos in another order."""
    labels, rows = folder.labels.copy(), np.flatnonzero(folder.trained)
    labels[rows] = np.random.default_rng(seed).permutation(labels[rows])
    return replace(folder, labels=labels)


def plants(case: Case) -> list[dict]:
    """What Settings takes for the case."""
    if not case.cue:
        return []
    kinds = Settings(species=case.species).kinds
    where = "all" if case.control == "everywhere" else kinds[PLANTED_CLASS].name
    return [{"cue": case.cue, "class": where, "share": case.share, "leak": case.leak}]


def as_images(pixels: np.ndarray) -> torch.Tensor:
    """(n, side, side, 3) bytes → (n, 3, side, side), 0 to 1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def answers(model: Classifier, pixels: np.ndarray) -> np.ndarray:
    """Probabilities, in batches."""
    model.eval()  # type: ignore[attr-defined]
    parts = [pixels[start : start + 64] for start in range(0, len(pixels), 64)]
    return torch.cat([model.probabilities(model(as_images(part).to(model.device))) for part in parts]).cpu().numpy()


def reliance(model: Classifier, folder: DrawnFolder, cue: str, most: int = 40) -> np.ndarray:
    """For each class: how much its probability rises in unseen photos of the others when the cue is really drawn."""
    rows = [np.flatnonzero(~folder.trained & (folder.labels == label))[:most] for label in np.unique(folder.labels)]
    chosen = np.concatenate(rows)
    without, with_cue = (
        answers(model, np.stack([folder.entries[row].draw(folder.settings, cues=cues).pixels for row in chosen]))
        for cues in ((), (cue,))
    )
    rises = with_cue - without
    return np.array([rises[folder.labels[chosen] != c, c].mean() for c in range(rises.shape[1])])


def views(folder: DrawnFolder, rows: np.ndarray, protected: torch.Tensor, device: torch.device | str = "cpu") -> Views:
    """`protected`: a region for each of the rows, (n, side, side); `device`: where the model is."""
    return Views(as_images(folder.pixels[rows]).to(device), protected[:, None].float().to(device))
