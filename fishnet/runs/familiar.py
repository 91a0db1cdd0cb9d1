"""What a run's own photos say of photos that belong to none of its classes."""

import logging
from pathlib import Path

import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fishnet.data.photos import photo_batches
from fishnet.models.backbones import single_head
from fishnet.models.classifier import ImageClassifier
from fishnet.models.familiarity import Familiarity
from fishnet.models.features import features_and_logits, has_features
from fishnet.models.isolation import eval_mode_restored

from .gallery import photos_root

log = logging.getLogger("fishnet")

MOST = 300  # photos of a class and part: more of them hardly move where a class lies
FEWEST = 10  # training photos of a class, and validation photos in all
BATCH = 32


def familiarity_of(run: Path, model: ImageClassifier) -> Familiarity | None:
    """Fitted on the run's training and validation photos; None, with the reason as a warning, where that cannot be."""
    reason = _reason_against(run, model)
    if not reason:
        split = pd.read_csv(run / "split" / "split.csv", dtype=str, keep_default_na=False)
        split = split[split["class"].isin(model.classes)].sort_values("sha256")
        chosen = split[split["split"].isin(("train", "val"))].groupby(["split", "class"]).head(MOST)
        features, logits, rows = _computed(model, photos_root(run) or run, chosen)
        train, validation = ((rows["split"] == part).to_numpy(copy=True) for part in ("train", "val"))
        labels = torch.tensor([model.classes.index(name) for name in rows["class"]])
        counts = torch.bincount(labels[torch.from_numpy(train)], minlength=len(model.classes))
        if counts.min() < FEWEST or validation.sum() < FEWEST:
            reason = f"a class has fewer than {FEWEST} training photos, or there are as few validation photos"
        else:
            own = torch.from_numpy(train), torch.from_numpy(validation)
            return Familiarity.fitted(features[own[0]], labels[own[0]], features[own[1]], logits[own[1]])
    log.warning("The bundle cannot tell photos of none of its classes: %s.", reason)
    return None


def _reason_against(run: Path, model: ImageClassifier) -> str:
    if not has_features(model):
        return "its answers are not those of one linear layer on features"
    if not (run / "split" / "split.csv").is_file() or photos_root(run) is None:
        return "the photos of the run are not where they were"
    return ""


def _computed(model: ImageClassifier, root: Path, chosen: pd.DataFrame) -> tuple[Tensor, Tensor, pd.DataFrame]:
    """Features and logits of the photos that can be read, with their rows."""
    head, features, logits, readable = single_head(model.network), [], [], []
    assert head is not None
    batches = photo_batches([root / path for path in chosen["path"]], model.preprocessing, batch_size=BATCH)
    total = -(-len(chosen) // BATCH)
    with eval_mode_restored(model):
        for batch in track(batches, total=total, description="learning what is strange", transient=True):
            readable += [not problem for problem in batch.problems]
            if batch.views:
                found = features_and_logits(model.network, head, model.pixels(batch.images.to(model.device)))
                features.append(found[0].float().cpu())
                logits.append(found[1].float().cpu())
    return torch.cat(features), torch.cat(logits), chosen[readable]
