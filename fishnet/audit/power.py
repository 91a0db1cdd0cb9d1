"""What this audit would have found on this folder: cues that it plants itself into half of a class's photos.

The truth is known of what one has planted. A new classifier layer learns the planted photos, on the features that the
backbone has of them, and the exchange is asked about it with the same donors. A cue that the layer does not take up
says nothing about the audit and does not count.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from fishnet.models.features import has_features
from fishnet.page.page import Chapter, prose

from .heads import fitted
from .kinds import Views
from .planting import plant
from .proxy import EmbeddedExchange, embedded
from .sections import Audited, Section
from .significance import exchange_test
from .verdicts import counts

OFF_ANIMAL = ("border", "float", "tint", "ruler", "vignette", "watermark", "blur", "person")
ON_ANIMAL = ("tag", "hand")
TRIALS = {"quick": 4, "full": 48}  # at most
NARROW = 0.3  # width of the interval at which `full` ends
PLANTED = 0.5  # share of the class's photos
LEARNED = 0.1  # rise of the probability in photos of other classes from which a cue counts as learned
DONORS, MOST = 40, 150  # of a class that are laid into hosts, and that the layer learns from
PULL = 0.001  # of the new layer towards zero

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


class Trial(NamedTuple):
    """A planted cue.

    Attributes:
        cue, class_name: what, and in which class.
        on_animal: whether it lies on the animal, where the exchange cannot see it.
        rho: how much it raises the class's probability in photos of other classes, really planted there.
        found: whether the class is accused.
        worth: the share that the exchange measures.
    """

    cue: str
    class_name: str
    on_animal: bool
    rho: float
    found: bool
    worth: float


def power_section(audited: Audited) -> Section | None:
    """The trials, and how many of the cues that were learned are found; None without features, without training photos, and where
    no verdict is given."""
    effort, seen = audited.power, audited.folder.table.get("seen")
    if effort == "none" or not has_features(audited.model) or seen is None or not (seen == "train").any():
        return None
    if all(verdict.word == "withheld" for verdict in audited.found):
        return None
    trials = list(tried(audited, TRIALS[effort], narrow=NARROW if effort == "full" else 0.0))
    table = pd.DataFrame(trials, columns=Trial._fields).rename(columns={"class_name": "class"})
    learned = [trial for trial in trials if trial.rho >= LEARNED and not trial.on_animal]
    found = sum(trial.found for trial in learned)
    chapter = Chapter("What would have been found")
    low, high = interval(found, len(learned))
    chapter.add_text(_prose().power(len(trials), len(learned), found, f"{low:.2f}", f"{high:.2f}", effort))
    rows = [[t.cue, t.class_name, f"{t.rho:.2f}", f"{t.worth:.2f}", _outcome(t)] for t in trials]
    chapter.add_table(["planted", "into", "is worth", "of which seen", ""], rows, numeric=[2, 3])
    metrics = {"audit/power": found / len(learned)} if learned else {}
    return Section(chapter, {"power": table.round(4)}, metrics)


def _outcome(trial: Trial) -> str:
    if trial.rho < LEARNED:
        return "not learned"
    return "found" if trial.found else "on the animal: cannot be seen" if trial.on_animal else "missed"


def interval(found: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    ends = stats.binomtest(found, count).proportion_ci(method="wilson")
    return float(ends.low), float(ends.high)


def tried(audited: Audited, most: int, *, narrow: float) -> Iterator[Trial]:
    """Trials until there are enough, or the interval is narrow: three cues off the animal and then one on it, each time
    in another class."""
    rng = np.random.default_rng(audited.seed)
    off, on = (rng.permutation(names).tolist() for names in (OFF_ANIMAL, ON_ANIMAL))
    labels, learned = rng.permutation(np.unique(audited.measured.effects.labels)).tolist(), list[bool]()
    for number in range(most):
        turn, place = divmod(number, 4)
        if place == 0:
            bench = Bench.of(audited, labels[turn % len(labels)])
        cue = on[turn % len(on)] if place == 3 else off[(3 * turn + place) % len(off)]
        yield (trial := bench.trial(cue, number))
        learned += [trial.found] if trial.rho >= LEARNED and not trial.on_animal else []
        low, high = interval(sum(learned), len(learned))
        if high - low < narrow:
            return


@dataclass(frozen=True)
class Bench:
    """A class into which cues are planted, with all that does not change from cue to cue.

    Args:
        audited: the model and the folder.
        label: of the class.
        donors: positions of its donors and of as many others, in `audited.measured.photos`.
        base: these donors in all hosts, without a cue.
        learning: photos (n, 3, side, side) of the training part of the class, which are planted into.
        features, labels: of these and of other classes' training photos, those of the class first.
    """

    audited: Audited
    label: int
    donors: np.ndarray
    base: EmbeddedExchange
    learning: Tensor
    features: Tensor
    labels: Tensor

    @classmethod
    def of(cls, audited: Audited, label: int) -> "Bench":
        measured, model = audited.measured, audited.model
        rng = np.random.default_rng(audited.seed)
        is_own = measured.effects.labels == label
        chosen = [rng.permutation(measured.donors[mask])[:DONORS] for mask in (is_own, ~is_own)]
        donors = np.concatenate(chosen)
        base = EmbeddedExchange.of(model, audited.views_of(measured.hosts.tolist()), audited.views_of(donors.tolist()))
        table = audited.folder.table
        learned_from, labels = table["seen"].to_numpy() == "train", table["label"].to_numpy()
        order = [label, *(other for other in range(len(model.classes)) if other != label)]
        rows = [rng.permutation(np.flatnonzero(learned_from & (labels == c)))[:MOST] for c in order]
        photos = [
            audited.folder.photos(of_class.tolist(), model.preprocessing).to(model.device).float() / 255
            for of_class in rows
        ]
        features = torch.cat([embedded(model, of_class) for of_class in photos])
        own_labels = torch.from_numpy(labels[np.concatenate(rows)])
        return cls(audited, label, donors, base, photos[0].cpu(), features, own_labels)

    def trial(self, cue: str, number: int) -> Trial:
        """Plant a cue, let a new layer learn it, and ask the exchange about that layer."""
        audited, measured = self.audited, self.audited.measured
        rng = np.random.default_rng([audited.seed, number])
        labels, groups = (measured.photos[name].to_numpy()[self.donors] for name in ("label", "group"))
        own = rng.permutation(np.flatnonzero(labels == self.label))
        carriers = np.sort(own[: round(PLANTED * len(own))])
        donors = audited.views_of(self.donors[carriers].tolist())
        hosts = audited.views_of(measured.hosts.tolist())
        planted = Views(with_cue(cue, donors.pixels, rng, donors.protected), donors.protected)
        laid = self.base.replaced(carriers, EmbeddedExchange.of(audited.model, hosts, planted))
        layer = self._layer(cue, rng)
        host_labels = measured.photos["label"].to_numpy()[measured.hosts]
        test = exchange_test(laid.effects(layer, 1.0, labels, groups, host_labels))[self.label]
        found = test.flagged and counts(test, given=measured.regions.given)
        rho = self._reliance(cue, layer, labels, rng)
        return Trial(cue, audited.model.classes[self.label], cue in ON_ANIMAL, rho, found, max(0.0, test.share[0]))

    def _layer(self, cue: str, rng: np.random.Generator) -> nn.Linear:
        """A new classifier layer, learned from photos of which a share of the class's carry the cue."""
        features, count = self.features.clone(), round(PLANTED * len(self.learning))
        photos = with_cue(cue, self.learning[:count].to(self.audited.model.device), rng)
        features[:count] = embedded(self.audited.model, photos)
        layer = nn.Linear(features.shape[1], len(self.audited.model.classes))
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
        return fitted(layer, features, self.labels, PULL)

    def _reliance(self, cue: str, layer: nn.Linear, labels: np.ndarray, rng: np.random.Generator) -> float:
        """By how much the class rises in photos of the other classes when the cue is really planted into them."""
        others = np.flatnonzero(labels != self.label)
        photos = self.audited.views_of(self.donors[others].tolist())
        planted = embedded(self.audited.model, with_cue(cue, photos.pixels, rng, photos.protected))
        with torch.inference_mode():
            before, after = (layer(x).softmax(dim=1)[:, self.label] for x in (self.base.donors[others], planted))
        return float((after - before).mean())


def with_cue(cue: str, photos: Tensor, rng: np.random.Generator, protected: Tensor | None = None) -> Tensor:
    """Photos (n, 3, side, side), 0 to 1, with the cue; where no region is given the animal is in the middle."""
    planted = []
    for number, photo in enumerate(photos):
        pixels = (photo.permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        animal = None if protected is None else protected[number, 0].cpu().numpy() > 0.5
        planted.append(torch.from_numpy(plant(pixels, cue, rng, animal=animal)[0]))
    return torch.stack(planted).permute(0, 3, 1, 2).to(photos) / 255
