"""Plant cues into real photos, so that the truth is known there too, and write what the audit finds beside it.

    python -m experiments.planted_cues.photos frozen --root DOGCAT --weights mobilenetv2_100=FILE --out photos.csv
    python -m experiments.planted_cues.photos frozen --root FISHCAM --group '(.+)_frame' --weights … --out photos.csv
    python -m experiments.planted_cues.photos tuned  …    the whole network learns, from the weights

Each cue is planted into 0.3, 0.5 and 0.8 of the photos of a class, and once nothing is planted. Half of the groups of
each class are learned from, the others are audited. The animal's region is estimated, by what the same network's own
head takes for an animal of ImageNet (and for `tuned`, besides, by `learned`). `rho` is the truth: how much the class's
probability rises in audited photos of the other classes when the cue is really planted into them. `red_on_cue` is the
share of the heat-map's red that lies on the cue, over its carriers.

A frozen backbone gives the same features whatever the head, so all shares of a cue cost one look at the photos. What
the table holds already is not measured again.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import cross_entropy

from fishnet import ImageClassifier, ImageFolderData
from fishnet.audit.exchange import HOSTS, Effects, choose_donors, choose_hosts
from fishnet.audit.kinds import KINDS, Views, exchanged
from fishnet.audit.planting import PLANTABLE, plant
from fishnet.audit.regions import SHARE, above, animal_evidence, learned_regions
from fishnet.audit.significance import exchange_test
from fishnet.models.backbones import load_local_weights, single_head
from fishnet.models.features import features_and_logits

from .bench import append, read

SIDE, LARGE = 128, 256  # of what the network sees, and of what is planted into, in pixels
SHARES = (0.3, 0.5, 0.8)
CUES = tuple(cue for cue in PLANTABLE if cue not in ("hand", "tag"))  # those that do not lie on the animal
DONORS = 80
PLANTED = 0  # the class, in the order of the names
EPOCHS, RATE, BATCH = 8, 3e-4, 24  # of the whole network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["frozen", "tuned"])
    parser.add_argument("--root", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--group", default="none", help="data.group")
    parser.add_argument("--weights", required=True, help="NAME=FILE of a network for ImageNet's classes")
    parser.add_argument("--cues", nargs="*", default=[*CUES])
    parser.add_argument("--shares", nargs="*", type=float, default=[*SHARES])
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["mode"], row["set"], row["network"], row["cue"], row["seed"]) for row in read(chosen.out)}
    folder = Folder.opened(chosen)
    for cue in ["", *chosen.cues]:
        key = (chosen.mode, chosen.root.name, folder.network, cue, str(chosen.seed))
        if key in done:
            continue
        started = time.monotonic()
        cases = frozen(folder, cue, chosen.shares) if chosen.mode == "frozen" else tuned(folder, cue, chosen)
        names = dict(zip(("mode", "set", "network", "cue", "seed"), key, strict=True))
        rows = [{**names, **row} for row in cases]
        append(chosen.out, rows)
        accused = [f"{row['share']:g} {row['class']} ({row['rho']:.2f})" for row in rows if row["flagged"]]
        print(
            f"{' '.join(key)}: {', '.join(accused) or 'no class by p'}; {time.monotonic() - started:.0f} s", flush=True
        )


@dataclass
class Folder:
    """Photos of a set, the network, and what of them is measured once.

    Args:
        model: with the weights' backbone.
        evidence: the same network with ImageNet's head.
        network: its name.
        classes: names.
        photos: (n, LARGE, LARGE, 3) bytes.
        labels, groups: of each photo.
        trained: whether it is learned from.
        order: (n,) from 0 to 1: photos of a class below a share are those that carry a cue.
        hosts, donors: rows of audited photos; no host of the planted class ever carries the cue.
        plain: the photos without a cue.
    """

    model: ImageClassifier
    evidence: torch.nn.Module
    network: str
    classes: list[str]
    photos: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    trained: np.ndarray
    order: np.ndarray
    hosts: np.ndarray
    donors: np.ndarray
    plain: "Photos"

    @classmethod
    def opened(cls, chosen: argparse.Namespace) -> "Folder":
        name, _, file = chosen.weights.partition("=")
        arguments = {"pad_type": "same"} if name.startswith("mobilenetv2") else {}
        data = ImageFolderData(root=str(chosen.root), group=chosen.group, image_size=LARGE)
        model = ImageClassifier(
            classes=data.classes, backbone=name, pretrained=file, backbone_args=arguments, image_size=LARGE
        ).eval()
        rows = np.arange(len(data.table))
        pixels = data.for_model(preprocessing=model.preprocessing).folder.photos(rows.tolist(), model.preprocessing)
        photos = pixels.permute(0, 2, 3, 1).numpy()
        labels, groups = (data.table[column].to_numpy() for column in ("label", "group"))
        trained, order = halved(labels, groups, chosen.seed)
        digests, audited = data.table["sha256"].tolist(), np.flatnonzero(~trained)
        never = audited[(labels[audited] != PLANTED) | (order[audited] >= max(SHARES))]
        hosts = choose_hosts(labels, digests, never, HOSTS)
        donors = choose_donors(labels, groups, digests, audited, DONORS)
        evidence = timm.create_model(name, num_classes=1000, **arguments).eval()
        load_local_weights(evidence, Path(file))
        plain = Photos(shrunk(photos), np.zeros((len(photos), LARGE, LARGE), bool))
        return cls(
            model, evidence, name, data.classes, photos, labels, groups, trained, order, hosts, donors, plain
        )  # fmt: skip

    def planted(self, cue: str, rows: np.ndarray) -> "Photos":
        """Photos of these rows with the cue in them; the same photo always gets the same one."""
        drawn = [plant(self.photos[row], cue, np.random.default_rng((7, row))) for row in rows]
        return Photos(shrunk(np.stack([photo for photo, _ in drawn])), np.stack([covered for _, covered in drawn]))

    def carriers(self, share: float) -> np.ndarray:
        return (self.labels == PLANTED) & (self.order < share)


@dataclass
class Photos:
    """(n, 3, SIDE, SIDE) photos, and (n, LARGE, LARGE) where a cue covers them."""

    pixels: Tensor
    covered: np.ndarray


def shrunk(photos: np.ndarray) -> Tensor:
    """(n, LARGE, LARGE, 3) bytes → (n, 3, SIDE, SIDE), 0 to 1."""
    small = [cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for photo in photos]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255


def halved(labels: np.ndarray, groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of each class's groups for training, and a random order of each class's photos in both halves."""
    rng, trained, order = np.random.default_rng(seed), np.zeros(len(labels), bool), np.zeros(len(labels))
    for label in np.unique(labels):
        names = rng.permutation(np.unique(groups[labels == label]))
        trained |= (labels == label) & np.isin(groups, names[: len(names) // 2])
    for label in np.unique(labels):
        for half in (trained, ~trained):
            rows = rng.permutation(np.flatnonzero((labels == label) & half))
            order[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return trained, order


# ---- a frozen backbone: features once, heads for nothing


def frozen(folder: Folder, cue: str, shares: list[float]) -> Iterator[dict]:
    """Rows of each share, by heads on features."""
    audited = np.flatnonzero(~folder.trained)
    base = cached_features(folder)
    if cue:
        planted_class = np.flatnonzero(folder.labels == PLANTED)
        others = np.setdiff1d(audited, planted_class)
        own, foreign = folder.planted(cue, planted_class), folder.planted(cue, others)
        own_features, foreign_features = features(folder.model, own.pixels), features(folder.model, foreign.pixels)
        of_planted = folder.donors[folder.labels[folder.donors] == PLANTED]
        donors = of_planted[folder.order[of_planted] < max(shares)]
        laid = exchange_features(folder, donors, own.pixels[np.searchsorted(planted_class, donors)])
    for share in shares if cue else [0.0]:
        carrying, seen = folder.carriers(share), base.copy()
        by_donor = base_exchange(folder).copy()
        if cue:
            seen[planted_class] = np.where(carrying[planted_class, None], own_features, seen[planted_class])
            replaced = donors[carrying[donors]]
            by_donor[:, np.searchsorted(folder.donors, replaced)] = laid[:, np.searchsorted(donors, replaced)]
        head = LogisticRegression(max_iter=5000).fit(seen[folder.trained], folder.labels[folder.trained])
        accuracy = head.score(seen[audited], folder.labels[audited])
        effects = effects_of(folder, head, seen, by_donor)
        rho, red = np.zeros(len(folder.classes)), ""
        if cue:
            rises = head.predict_proba(foreign_features) - head.predict_proba(base[others])
            rho[PLANTED] = rises[:, PLANTED].mean()
            shown = np.flatnonzero(carrying[planted_class] & ~folder.trained[planted_class])[:40]
            red = red_share(folder.model, own.pixels[shown], own.covered[shown], weights_of(head)[0][PLANTED])
        yield from rows_of(folder, effects, "animals", share, carrying, rho, accuracy, red)


_kept: dict[str, np.ndarray] = {}


def cached_features(folder: Folder) -> np.ndarray:
    """Of the photos without a cue, computed once."""
    if "features" not in _kept:
        _kept["features"] = features(folder.model, folder.plain.pixels)
    return _kept["features"]


def base_exchange(folder: Folder) -> np.ndarray:
    """Of all donors without a cue, laid into the hosts, computed once."""
    if "exchange" not in _kept:
        _kept["exchange"] = exchange_features(folder, folder.donors, folder.plain.pixels[folder.donors])
    return _kept["exchange"]


@torch.inference_mode()
def features(model: ImageClassifier, pixels: Tensor) -> np.ndarray:
    head = single_head(model.network)
    assert head is not None
    parts = [features_and_logits(model.network, head, model.pixels(part))[0] for part in pixels.split(36)]
    return torch.cat(parts).float().numpy()


def regions(folder: Folder, pixels: Tensor) -> Tensor:
    """Boxes around what the network's own head takes for an animal of ImageNet."""
    config = folder.evidence.pretrained_cfg  # type: ignore[attr-defined]
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    parts = [animal_evidence(folder.evidence, (part - mean) / std) for part in pixels.split(36)]
    return above(torch.cat(parts), SHARE, SIDE)[:, None]


def exchange_features(folder: Folder, donors: np.ndarray, pixels: Tensor) -> np.ndarray:
    """(kinds, donors, hosts, features) of each donor's photo laid into each host."""
    hosts = Views(folder.plain.pixels[folder.hosts], regions(folder, folder.plain.pixels[folder.hosts]))
    protected, parts = regions(folder, pixels), []
    for start in range(0, len(donors), 3):
        views = Views(pixels[start : start + 3], protected[start : start + 3])
        of_kinds = [features(folder.model, exchanged(kind, hosts, views).flatten(0, 1)) for kind in KINDS]
        parts.append(np.stack(of_kinds).reshape(len(KINDS), len(views), len(hosts), -1).astype(np.float16))
    return np.concatenate(parts, axis=1)


def weights_of(head: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """(classes, features) and (classes,), of two classes too."""
    weights, bias = head.coef_, head.intercept_
    if len(weights) == 1:
        return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return weights, bias


def effects_of(folder: Folder, head: LogisticRegression, seen: np.ndarray, laid: np.ndarray) -> Effects:
    """What the verb measures, from features."""
    weights, bias = weights_of(head)

    def answered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = values.astype(np.float32) @ weights.T + bias
        exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return logits - logits.mean(axis=-1, keepdims=True), exponents / exponents.sum(axis=-1, keepdims=True)

    other = folder.labels[folder.hosts][:, None] != np.arange(len(folder.classes))
    share = other / other.sum(axis=0).clip(1)
    before, whole = answered(seen[folder.hosts]), answered(seen[folder.donors])[0]
    after = [answered(of_kind) for of_kind in laid]
    logits, probabilities = (
        np.stack([((of_kind[way] - before[way]) * share).sum(axis=1) for of_kind in after]) for way in (0, 1)
    )
    whole = whole - (before[0] * share).sum(axis=0)
    return Effects(KINDS, logits, probabilities, folder.labels[folder.donors], folder.groups[folder.donors], whole)


@torch.inference_mode()
def red_share(model: ImageClassifier, pixels: Tensor, covered: np.ndarray, weights: np.ndarray) -> float | str:
    """The mean share of the positive evidence for the planted class that lies on the cue; nothing for cues that lie
    nowhere in particular."""
    if not covered.any() or not len(pixels):
        return ""
    maps: Tensor = model.network.forward_features(model.pixels(pixels))  # type: ignore[operator,union-attr]
    if hasattr(model.network, "conv_head") and maps.shape[1] != weights.shape[0]:
        maps = model.network.act2(model.network.bn2(model.network.conv_head(maps)))  # type: ignore[operator]
    red = torch.einsum("ncij,c->nij", maps, torch.from_numpy(weights).float()).clamp(min=0)
    large = torch.nn.functional.interpolate(red[:, None], covered.shape[1:], mode="bilinear")[:, 0].numpy()
    on_cue = (large * covered).sum(axis=(1, 2)) / large.sum(axis=(1, 2)).clip(1e-9)
    return round(float(on_cue.mean()), 4)


# ---- the whole network


def tuned(folder: Folder, cue: str, chosen: argparse.Namespace) -> Iterator[dict]:
    """Rows of each share and region, a training each."""
    raise NotImplementedError


def rows_of(
    folder: Folder, effects: Effects, region: str, share: float, carrying: np.ndarray, rho: np.ndarray,
    accuracy: float, red: float | str,
) -> Iterator[dict]:  # fmt: skip
    """A row a class."""
    for c, test in enumerate(exchange_test(effects)):
        own = effects.labels == c
        values, carries = effects.logits[effects.kinds.index(test.kind), own, c], carrying[folder.donors][own]
        known = 0 < carries.sum() < own.sum()
        yield {
            "region": region, "share": share, "accuracy": round(float(accuracy), 4), "class": folder.classes[c],
            "planted": bool(share and c == PLANTED), "rho": round(float(rho[c]), 4), "donors": test.donors,
            "p": f"{test.p:.3g}", "kind": test.kind, "flagged": test.flagged,
            "effect": round(test.effect[0], 4), "effect_low": round(test.effect[1], 4),
            "worth": round(test.share[0], 4), "worth_low": round(test.share[1], 4),
            "carriers_auroc": round(float(roc_auc_score(carries, values)), 4) if known else "",
            "red_on_cue": red if share and c == PLANTED else "",
        }  # fmt: skip


if __name__ == "__main__":
    main()
