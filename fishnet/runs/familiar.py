"""What a run's own photos say of photos that belong to none of its classes."""

import logging
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from fishnet.data.photos import photo_batches
from fishnet.models.backbones import single_head
from fishnet.models.classifier import ImageClassifier
from fishnet.models.familiarity import Familiarity
from fishnet.models.features import features_and_logits, has_features
from fishnet.models.isolation import eval_mode_restored
from fishnet.progress import with_progress

from .gallery import photos_root

log = logging.getLogger("fishnet")

MOST, MOST_OF_CLASS, LEAST_OF_CLASS = 4000, 300, 30  # photos of a part: more hardly move where a class lies
FEWEST = 10  # training photos of a class, and validation photos in all
BATCH = 32


def familiarity_of(run: Path, model: ImageClassifier) -> Familiarity | None:
    """Fitted on the run's training and validation photos; None, with the reason as a warning, where that cannot be."""
    root, split = photos_root(run), run / "split" / "split.csv"
    if not has_features(model):
        reason = "its answers are not those of one linear layer on features"
    elif root is None or not split.is_file():
        reason = "the photos of the run are not where they were"
    else:
        features, logits, rows = _computed(model, root, _chosen(split, model.classes))
        labels = torch.tensor([model.classes.index(name) for name in rows["class"]])
        train, val = (torch.tensor((rows["split"] == part).tolist()) for part in ("train", "val"))
        counts = torch.bincount(labels[train], minlength=len(model.classes))
        if counts.min() >= FEWEST and val.sum() >= FEWEST:
            return Familiarity.fitted(features[train], labels[train], features[val], logits[val])
        reason = f"a class has fewer than {FEWEST} training photos, or there are as few validation photos"
    log.warning("The bundle cannot tell photos of none of its classes: %s.", reason)
    return None


def _chosen(file: Path, classes: list[str]) -> pd.DataFrame:
    """Training and validation photos of a split, as many of each class; which is up to their digests."""
    split = pd.read_csv(file, dtype=str, keep_default_na=False).sort_values("sha256")
    known = split[split["class"].isin(classes) & split["split"].isin(("train", "val"))]
    most = min(MOST_OF_CLASS, max(LEAST_OF_CLASS, MOST // len(classes)))
    return known.groupby(["split", "class"]).head(most)


def _computed(model: ImageClassifier, root: Path, chosen: pd.DataFrame) -> tuple[Tensor, Tensor, pd.DataFrame]:
    """Features and logits of the photos that can be read, with their rows."""
    head, features, logits, readable = single_head(model.network), [], [], []
    assert head is not None
    batches = photo_batches([root / path for path in chosen["path"]], model.preprocessing, batch_size=BATCH)
    total = -(-len(chosen) // BATCH)
    with eval_mode_restored(model):
        for batch in with_progress(batches, total, "learning what is strange"):
            readable += [not problem for problem in batch.problems]
            if batch.views:
                found = features_and_logits(model.network, head, model.pixels(batch.images.to(model.device)))
                features.append(found[0].float().cpu())
                logits.append(found[1].float().cpu())
    return torch.cat(features), torch.cat(logits), chosen[readable]
