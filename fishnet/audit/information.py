"""How much of the label values of a photo carry: usable information, and how much of it permuted labels would give.

Usable information is what a classifier g of those values gains on guessing, I = mean log2 g(y | values) - log2 π(y),
in bits a photo, on groups of photos that g was not fitted on (Xu and others, ICLR 2020). It is made safe for unequal
classes in both terms: g takes each class for equally frequent, so π is 1 / classes, and the mean is that of the means
of the classes. All of the label is log2(classes) bits.

g is linear discriminant analysis, of numbers, or a smoothed table, of words. Of what either is fitted to, only class
means depend on the labels, so that the same folder with its labels permuted costs two matrix products: hundreds of such
all-alike copies show what is usual where nothing is to be told. Logistic regression tells as much of borders and
surroundings and up to 0.1 bits more of thumbnails, boosted trees tell less; either takes longer for a single fit than
all copies here take together (`python -m experiments.planted_cues.probes fits`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import stdtrit

FOLDS = 5
COPIES = 199  # of the folder, with permuted labels
SCALES = np.array([0.0, 0.125, 0.25, 0.5, 1.0, 2.0])  # of the scores: how sure g is; at 0 it only guesses
FARTHEST = 6.0  # standard deviations: a value further out counts as so far
HALF_TRUSTED = 5.0  # groups of a class: from more, a table rests rather on the class than on the whole folder
TAIL = 0.05
CELLS = 5_000_000  # of scores at a time: 40 MB

Scores = Callable[[np.ndarray], np.ndarray]  # classes of all groups (copies, G) → scores (held-out photos, copies, K)


@dataclass(frozen=True)
class Information:
    """The information in some values, for each class in the order of the labels.

    `low` are one-sided 95 % bounds over groups. `likeness` is the share of all-alike copies of the folder (the folder
    itself among them) in which some class stands out as far as this one.
    """

    bits: float
    low: float
    accuracy: float  # of the likeliest class, classes counted alike
    class_bits: np.ndarray
    class_low: np.ndarray
    class_accuracy: np.ndarray
    likeness: np.ndarray


def usable_information(
    values: np.ndarray, label: np.ndarray, groups: np.ndarray, *, copies: int = COPIES, seed: int = 0
) -> Information:
    """The information in `values` on the label.

    Args:
        values: A row of numbers for each photo, or a word for each photo (an array of objects).
        label: Whole numbers from 0; of each class there are photos.
        groups: What must not be split. In fitting each group counts once, for the class of most of its photos.
        copies: How many times labels are permuted, between groups of one fold.
        seed: What the folds and the permutations follow from.
    """
    rng, classes = np.random.default_rng(seed), int(label.max()) + 1
    group = np.unique(groups, return_inverse=True)[1]
    fold, own = balanced_folds(label, group, rng)
    permuted = np.vstack([own, *(_permuted(own, fold, rng) for _ in range(copies))])
    truth = permuted[:, group]
    truth[0] = label
    bits, right = np.empty((len(SCALES), *truth.shape), np.float32), np.zeros(len(label), bool)
    for number in range(FOLDS):
        held = fold[group] == number
        if not held.any() or held.all():
            continue
        fitted = _table if values.dtype == object else _discriminant
        scores_of = fitted(values, group, held, classes)
        for part in _parts(len(permuted), len(label) * classes):
            scores = scores_of(permuted[part])
            bits[:, part, held] = _gains(scores, truth[part][:, held])
            if part.start == 0:
                right[held] = scores[:, 0].argmax(axis=1) == label[held]
    gains = _calibrated(bits, truth, fold[group], classes)
    return _summarised(gains, truth, right, group, classes)


# ---- folds, and permuted labels


def balanced_folds(label: np.ndarray, group: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The fold and the class of each group (a number from 0): of each class about as many groups in each of FOLDS."""
    counts = sparse.coo_array((np.ones(len(label)), (group, label))).toarray()
    own, fold = counts.argmax(axis=1), np.empty(len(counts), int)
    for name in np.unique(own):
        members = rng.permutation(np.flatnonzero(own == name))
        fold[members] = (np.arange(len(members)) + rng.integers(FOLDS)) % FOLDS
    return fold, own


def _permuted(own: np.ndarray, fold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The classes, permuted between the groups of each fold: folds stay as even as they are."""
    result = np.empty_like(own)
    result[np.argsort(fold, kind="stable")] = own[np.lexsort((rng.random(len(own)), fold))]
    return result


def _parts(count: int, cells: int) -> Iterator[slice]:
    step = max(1, CELLS // max(1, cells))
    yield from (slice(start, start + step) for start in range(0, count, step))


# ---- two classifiers


def _discriminant(values: np.ndarray, group: np.ndarray, held: np.ndarray, classes: int) -> Scores:
    """Linear discriminant analysis with the shrunk covariance of all photos, whatever their labels are.

    The means of classes are drawn towards that of all photos, as if each class had further groups there, one for each
    number; and the part of a mean's length that is its own error, greater in a small class, is taken off.
    """
    seen, unseen = _whitened(values[~held], values[held])
    members, numbers = _Members.of(seen, group[~held]), seen.shape[1]

    def scores(permuted: np.ndarray) -> np.ndarray:
        totals, counts = members.by_class(permuted, classes)
        trust = 1 / (counts + numbers)
        means = totals * trust[:, :, None]
        lengths = (means**2).sum(axis=2) - numbers * counts * trust**2
        return np.tensordot(unseen, means, axes=(1, 2)) - lengths / 2

    return scores


def _table(values: np.ndarray, group: np.ndarray, held: np.ndarray, classes: int) -> Scores:
    """How often each word occurs in each class, smoothed by the whole folder; a word that is new tells nothing."""
    word = np.unique(values.astype(str), return_inverse=True)[1]
    photos = np.arange((~held).sum())
    once = sparse.csr_array((np.ones(len(photos)), (photos, word[~held])), shape=(len(photos), word.max() + 1))
    members = _Members.of(once, group[~held])
    usual = members.means.sum(axis=0) / len(members.groups)

    def scores(permuted: np.ndarray) -> np.ndarray:
        totals, counts = members.by_class(permuted, classes)
        shares = (totals + HALF_TRUSTED * usual) / (counts[:, :, None] + HALF_TRUSTED)
        logs = np.log(np.where(usual > 0, shares, 1.0))
        return logs[:, :, word[held]].transpose(2, 0, 1)

    return scores


def _whitened(seen: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both on axes that are uncorrelated and of variance 1 over the seen photos, constant numbers left out."""
    from sklearn.covariance import ledoit_wolf

    middle, spread = seen.mean(axis=0), seen.std(axis=0)
    varied = spread > 1e-6 * np.maximum(1, np.abs(middle))
    if not varied.any():
        return np.zeros((len(seen), 1)), np.zeros((len(unseen), 1))
    seen, unseen = (
        np.clip((each[:, varied] - middle[varied]) / spread[varied], -FARTHEST, FARTHEST) for each in (seen, unseen)
    )
    variances, axes = np.linalg.eigh(ledoit_wolf(seen, assume_centered=True)[0])
    turned = axes / np.sqrt(np.maximum(variances, 1e-4))
    return seen @ turned, unseen @ turned


class _Members(NamedTuple):
    """The groups that photos belong to, and the mean of each group's values (rows)."""

    groups: np.ndarray
    means: np.ndarray | sparse.csr_array

    @classmethod
    def of(cls, values: np.ndarray | sparse.csr_array, group: np.ndarray) -> "_Members":
        groups, number, sizes = np.unique(group, return_inverse=True, return_counts=True)
        share = sparse.csr_array((1 / sizes[number], (number, np.arange(len(group)))), shape=(len(groups), len(group)))
        return cls(groups, share @ values)

    def by_class(self, permuted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums and numbers of these means for each copy (rows of `permuted`: the classes of all groups) and class."""
        row = permuted[:, self.groups] + classes * np.arange(len(permuted))[:, None]
        column = np.broadcast_to(np.arange(len(self.groups)), row.shape)
        shape = classes * len(permuted), len(self.groups)
        which = sparse.csr_array((np.ones(row.size), (row.ravel(), column.ravel())), shape=shape)
        sums = which @ self.means
        sums = sums.toarray() if sparse.issparse(sums) else np.asarray(sums)
        counts = np.bincount(row.ravel(), minlength=shape[0]).reshape(len(permuted), classes)
        return sums.reshape(len(permuted), classes, -1), counts


# ---- from scores to bits


def _gains(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """log2 g / π of the true class, for each of SCALES, copy and photo."""
    scores = scores - scores.max(axis=2, keepdims=True)
    own = np.take_along_axis(scores, truth.T[:, :, None], axis=2)[:, :, 0]
    logs = [scale * own - np.log(np.exp(scale * scores).mean(axis=2)) for scale in SCALES]
    return np.stack(logs).transpose(0, 2, 1) / np.log(2)


def _calibrated(bits: np.ndarray, truth: np.ndarray, fold: np.ndarray, classes: int) -> np.ndarray:
    """The bits of each copy and photo, at the scale that is best for the photos of all other folds."""
    counts = np.stack([np.bincount(labels, minlength=classes) for labels in truth])
    weights = 1 / np.take_along_axis(counts, truth, axis=1)
    of_fold = np.stack([(bits[:, :, fold == n] * weights[:, fold == n]).sum(axis=2) for n in range(FOLDS)], axis=2)
    best = (of_fold.sum(axis=2, keepdims=True) - of_fold).argmax(axis=0)
    return np.take_along_axis(bits, best[:, fold][None], axis=0)[0]


def _summarised(
    gains: np.ndarray, truth: np.ndarray, right: np.ndarray, group: np.ndarray, classes: int
) -> Information:
    """The first row is the folder as it is, the others are its copies."""
    label = truth[0]
    by_class = np.stack([_class_means(row, labels, classes) for row, labels in zip(gains, truth, strict=True)])
    usual, spread = (
        by_class.mean(axis=0),
        by_class.std(axis=0),
    )  # the folder among them, else it would stand out by that
    far = (by_class - usual) / np.maximum(spread, 1e-9)
    farthest = np.append(far[1:].max(axis=1), np.inf)  # the folder itself is one of the copies
    accuracy = _class_means(right, label, classes)
    errors = _errors(gains[0], by_class[0], label, group, classes)
    wide = stdtrit(max(group.max(), 1), 1 - TAIL)
    return Information(
        bits=float(by_class[0].mean()),
        low=float(by_class[0].mean() - wide * np.linalg.norm(errors.sum(axis=1) / classes)),
        accuracy=float(accuracy.mean()),
        class_bits=by_class[0],
        class_low=by_class[0] - wide * np.linalg.norm(errors, axis=0),
        class_accuracy=accuracy,
        likeness=(farthest[:, None] >= far[0]).mean(axis=0),
    )


def _class_means(values: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(label, values, classes) / np.maximum(np.bincount(label, minlength=classes), 1)


def _errors(gains: np.ndarray, means: np.ndarray, label: np.ndarray, group: np.ndarray, classes: int) -> np.ndarray:
    """By how much each group (rows) moves the mean of each class: their squares sum to the variance of the mean."""
    shares = (gains - means[label]) / np.bincount(label, minlength=classes)[label]
    moved = sparse.coo_array((shares, (group, label)), shape=(group.max() + 1, classes)).toarray()
    groups = np.maximum(np.bincount(np.unique(np.stack([group, label]), axis=1)[1], minlength=classes), 2)
    return moved * np.sqrt(groups / (groups - 1))
