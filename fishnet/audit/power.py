"""What this audit would have found on this folder: cues that it plants itself into half of a class's photos.

The truth is known of what one has planted. A new classifier layer learns the planted photos, on the features that the
backbone has of them, and the exchange is asked about it with the same donors. A cue that the layer does not take up
says nothing about the audit and does not count.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from fishnet.models.features import has_features
from fishnet.page.page import Chapter, prose

from .heads import new_layer
from .kinds import Views
from .planting import plant
from .proxy import AT_ONCE, EmbeddedExchange, embedded
from .sections import Audited, Section
from .significance import ClassTest, exchange_test

OFF_ANIMAL = ("border", "float", "tint", "ruler", "vignette", "watermark", "blur", "person")
ON_ANIMAL = ("tag", "hand")
TRIALS = {"quick": 4, "full": 48}  # at most
NARROW = 0.3  # width of the interval at which `full` ends
PLANTED = 0.5  # share of the class's photos
LEARNED = 0.05  # share of the way to the class that the cue itself goes, from which it counts as learned
DONORS, MOST = 40, 150  # of a class that are laid into hosts, and that the layer learns from

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


class Trial(NamedTuple):
    """A planted cue.

    Attributes:
        cue, class_name: what, and in which class.
        on_animal: whether it lies on the animal, where the exchange cannot see it.
        rho: how much it raises the class's probability in photos of other classes, really planted there.
        share: the same of the logit, as a share of the way to the class's own photos.
        found: whether the class is accused.
        measured: the share that the exchange measures.
    """

    cue: str
    class_name: str
    on_animal: bool
    rho: float
    share: float
    found: bool
    measured: float

    @property
    def learned(self) -> bool:
        return self.share >= LEARNED


def power_section(audited: Audited) -> Section | None:
    """The trials, and how many of the cues that were learned are found; None where nothing can be tried, or where no
    verdict is given."""
    effort = audited.power
    if effort == "none" or not can_learn(audited) or all(verdict.word == "withheld" for verdict in audited.found):
        return None
    trials = list(tried(audited, TRIALS[effort], narrow=NARROW if effort == "full" else 0.0))
    table = pd.DataFrame(trials, columns=Trial._fields).rename(columns={"class_name": "class"})
    learned = [trial for trial in trials if trial.learned and not trial.on_animal]
    found = sum(trial.found for trial in learned)
    chapter = Chapter("What would have been found")
    low, high = interval(found, len(learned))
    chapter.add_text(_prose().power(len(trials), len(learned), found, f"{low:.2f}", f"{high:.2f}", effort))
    rows = [
        [t.cue, audited.called.full(t.class_name), f"{t.share:.2f}", f"{t.measured:.2f}", _outcome(t)] for t in trials
    ]
    chapter.add_table(["planted", "into", "share of the answer", "of which measured", ""], rows, numeric=[2, 3])
    metrics = {"audit/power": found / len(learned)} if learned else {}
    return Section(chapter, {"power": table.round(4)}, metrics)


def can_learn(audited: Audited) -> bool:
    """Whether a new classifier layer can be learned: the network has features, and of each class training photos are
    known that were not tried."""
    labels = audited.folder.table["label"].to_numpy()
    return has_features(audited.model) and len(np.unique(labels[learnable(audited)])) == len(audited.model.classes)


def learnable(audited: Audited) -> np.ndarray:
    """Rows of the training photos that are neither donors nor hosts: a layer that knows those would be asked about
    photos that it has learned from."""
    table = audited.folder.table
    rows = np.flatnonzero(table["seen"] == "train") if "seen" in table else np.arange(0)
    return np.setdiff1d(rows, audited.measured.rows)


def _outcome(trial: Trial) -> str:
    if not trial.learned:
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
        learned += [trial.found] if trial.learned and not trial.on_animal else []
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
        learning: photos (n, 3, side, side) of the training part, those of the class first.
        features, labels: of these.
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
        hosts = audited.views_of(measured.hosts.tolist())
        base = EmbeddedExchange.of(model, hosts, audited.views_of(donors.tolist()), label="exchanging without a cue")
        learned_from, labels = learnable(audited), audited.folder.table["label"].to_numpy()
        order = [label, *(other for other in range(len(model.classes)) if other != label)]
        rows = [rng.permutation(learned_from[labels[learned_from] == c])[:MOST] for c in order]
        learning = np.concatenate(rows)
        photos = audited.folder.photos(learning.tolist(), model.preprocessing)
        features = torch.cat([embedded(model, part.to(model.device).float() / 255) for part in photos.split(AT_ONCE)])
        return cls(audited, label, donors, base, photos, features, torch.from_numpy(labels[learning]))

    def trial(self, cue: str, number: int) -> Trial:
        """Plant a cue into the class, let a new layer learn it, and ask the exchange about that layer."""
        audited, rng = self.audited, np.random.default_rng([self.audited.seed, number])
        test, layer = self.planted([self.label], cue, rng)
        truth, name = self._truth(cue, layer, rng), audited.model.classes[self.label]
        return Trial(cue, name, cue in ON_ANIMAL, *truth, test.counts, max(0.0, test.share[0]))

    def planted(self, labels: Sequence[int], cue: str, rng: np.random.Generator) -> tuple[ClassTest, nn.Linear]:
        """The test of this class, and the layer, where half of the photos of the given classes carry the cue."""
        audited, measured = self.audited, self.audited.measured
        of_donors, groups = (measured.photos[name].to_numpy()[self.donors] for name in ("label", "group"))
        carriers = half_of_each(of_donors, labels, rng)
        donors = audited.views_of(self.donors[carriers].tolist())
        hosts = audited.views_of(measured.hosts.tolist())
        views = Views(with_cue(cue, donors.pixels, rng, donors.protected), donors.protected)
        embedded_views = EmbeddedExchange.of(audited.model, hosts, views, label=f"exchanging with a planted {cue}")
        laid = self.base.replaced(carriers, embedded_views)
        layer = self._layer(labels, cue, rng)
        host_labels = measured.photos["label"].to_numpy()[measured.hosts]
        effects, regions = laid.effects(layer, 1.0, of_donors, groups, host_labels), measured.regions
        return exchange_test(effects, given=regions.given, travels=regions.travels)[self.label], layer

    def _layer(self, labels: Sequence[int], cue: str, rng: np.random.Generator) -> nn.Linear:
        """A new classifier layer, learned from photos of which half of these classes' carry the cue."""
        features, carriers = self.features.clone(), half_of_each(self.labels.numpy(), labels, rng)
        for part in torch.from_numpy(carriers).split(AT_ONCE):
            photos = self.learning[part].to(self.audited.model.device).float() / 255
            features[part] = embedded(self.audited.model, with_cue(cue, photos, rng))
        return new_layer(len(self.audited.model.classes), features, self.labels)

    def _truth(self, cue: str, layer: nn.Linear, rng: np.random.Generator) -> tuple[float, float]:
        """By how much the class rises in photos of the other classes when the cue is really planted into them: its
        probability, and its logit as a share of the way to the class's own photos."""
        others = self.audited.measured.photos["label"].to_numpy()[self.donors] != self.label
        photos = self.audited.views_of(self.donors[others].tolist())
        planted = embedded(self.audited.model, with_cue(cue, photos.pixels, rng, photos.protected))
        with torch.inference_mode():
            own, before, after = (layer(x) for x in (self.base.donors[~others], self.base.donors[others], planted))
            rise = (after.softmax(dim=1) - before.softmax(dim=1))[:, self.label].mean()
            own, before, after = ((x - x.mean(dim=1, keepdim=True))[:, self.label].mean() for x in (own, before, after))
        return float(rise), float((after - before) / (own - before).clamp(min=1e-6))


def half_of_each(of_photos: np.ndarray, labels: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Positions of PLANTED of the photos of each of these classes, in order."""
    own = [rng.permutation(np.flatnonzero(of_photos == label)) for label in labels]
    return np.sort(np.concatenate([rows[: round(PLANTED * len(rows))] for rows in own]))


def with_cue(cue: str, photos: Tensor, rng: np.random.Generator, protected: Tensor | None = None) -> Tensor:
    """Photos (n, 3, side, side), 0 to 1, with the cue; where no region is given the animal is in the middle."""
    planted = []
    for number, photo in enumerate(photos):
        pixels = (photo.permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        animal = None if protected is None else protected[number, 0].cpu().numpy() > 0.5
        planted.append(torch.from_numpy(plant(pixels, cue, rng, animal=animal)[0]))
    return torch.stack(planted).permute(0, 3, 1, 2).to(photos) / 255
