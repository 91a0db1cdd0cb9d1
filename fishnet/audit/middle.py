"""Are the animals in the middle of the photos? Where they are, an ellipse is the best region there is.

The ellipse is the same for every model and takes no cue for an animal. But where the animals reach beyond it they
travel with what surrounds them, and nearly every class is moved by its own donors. So a few donors of each class are
exchanged with the ellipse, and a usual class is looked at: a shortcut moves the few classes that have it, and an animal
that travels moves them all. A class that is moved far more than all of these stands out even so.
"""

from functools import partial

import numpy as np

from fishnet.data.folder import PhotoFolder
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .exchange import Effects, Exchange, choose_donors, choose_hosts
from .folder import views
from .regions import elliptic
from .significance import BEYOND, share_of

MOST = 0.07  # median share of the answer up to which the animals are in the middle
DONORS = 20  # of a class, by which that is asked
CLOSER = 80  # of a class, by which it is asked whether any stands out


def beyond_middle(model: Classifier, folder: PhotoFolder, rows: np.ndarray, most: int = DONORS) -> Effects:
    """The effects of what lies outside the middle of the photos.

    Args:
        model: in evaluation, on its device.
        folder: with the model's labels.
        rows: of its table; a few of each class are looked at, the same for the same rows.
        most: donors of a class.
    """
    table = folder.table.iloc[rows]
    labels, groups, digests = table["label"].to_numpy(), table["group"].to_numpy(), table["sha256"].tolist()
    every = np.arange(len(rows))
    hosts, donors = choose_hosts(labels, digests, every), choose_donors(labels, groups, digests, every, most)
    protected = elliptic(len(rows), model.preprocessing.size).protected
    views_of = partial(views, model, folder, rows, protected)
    with eval_mode_restored(model):
        exchange = Exchange(model, views_of(hosts.tolist()), labels[hosts], (BEYOND,))
        parts = np.split(donors, range(exchange.at_once, len(donors), exchange.at_once))
        found = np.concatenate([exchange.effects(views_of(part.tolist())) for part in parts])
    logits, probabilities = found.transpose(1, 2, 0, 3)
    return Effects((BEYOND,), logits[:1], probabilities[:1], labels[donors], groups[donors], logits[1])


def usual_share(effects: Effects) -> float:
    """The median share of the answer over classes besides the one that has most, whose donors are not compared with; of
    two classes both have the same."""
    shares = [share_of(effects, label, BEYOND)[0] for label in range(effects.classes)]
    most = int(np.argmax(shares))
    others = [label for label in range(effects.classes) if label != most]
    return float(np.median([share_of(effects, label, BEYOND, (most,))[0] for label in others]))
