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
import tempfile
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fishnet import ImageClassifier, ImageFolderData
from fishnet.audit.exchange import HOSTS, Effects, choose_donors, choose_hosts, measure_effects
from fishnet.audit.kinds import Views
from fishnet.audit.planting import PLANTABLE, plant
from fishnet.audit.proxy import AT_ONCE, EmbeddedExchange, embedded
from fishnet.audit.regions import SHARE, above, animal_evidence, learned_regions
from fishnet.audit.significance import exchange_test
from fishnet.explain.maps import batch_maps
from fishnet.models.backbones import load_local_weights, single_head

from .bench import append, read

SIDE, LARGE = 128, 256  # of what the network sees, and of what is planted into, in pixels
SHARES = (0.3, 0.5, 0.8)
CUES = tuple(cue for cue in PLANTABLE if cue not in ("hand", "tag"))  # those that do not lie on the animal
DONORS = 80
PLANTED = 0  # the class, in the order of the names
SHOWN = 40  # carriers whose heat-maps are asked for
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
        cases = {"frozen": frozen, "tuned": tuned}[chosen.mode](folder, cue, chosen.shares)
        names = dict(zip(("mode", "set", "network", "cue", "seed"), key, strict=True))
        rows = [{**names, **row} for row in cases]
        append(chosen.out, rows)
        accused = [f"{row['share']:g} {row['class']} ({row['rho']:.2f})" for row in rows if row["flagged"]]
        print(
            f"{' '.join(key)}: {', '.join(accused) or 'no class by p'}; {time.monotonic() - started:.0f} s", flush=True
        )


@dataclass(frozen=True)
class Folder:
    """Photos of a set, and the network.

    Args:
        model: with the weights' backbone.
        evidence: the same network with ImageNet's head.
        network: its name.
        photos: (n, LARGE, LARGE, 3) bytes.
        plain: the same as the network sees them, without a cue.
        labels, groups: of each photo.
        trained: whether it is learned from.
        order: (n,) from 0 to 1: photos of a class below a share are those that carry a cue.
        hosts, donors: rows of audited photos; no host of the planted class ever carries the cue.
        seed: of the halves and of the training.
    """

    model: ImageClassifier
    evidence: nn.Module
    network: str
    photos: np.ndarray
    plain: Tensor
    labels: np.ndarray
    groups: np.ndarray
    trained: np.ndarray
    order: np.ndarray
    hosts: np.ndarray
    donors: np.ndarray
    seed: int

    @classmethod
    def opened(cls, chosen: argparse.Namespace) -> "Folder":
        name, _, file = chosen.weights.partition("=")
        arguments = {"pad_type": "same"} if name.startswith("mobilenetv2") else {}
        data = ImageFolderData(root=str(chosen.root), group=chosen.group, image_size=LARGE)
        model = ImageClassifier(
            classes=data.classes, backbone=name, pretrained=file, backbone_args=arguments, image_size=LARGE
        ).eval()
        rows = np.arange(len(data.table)).tolist()
        pixels = data.for_model(preprocessing=model.preprocessing).folder.photos(rows, model.preprocessing)
        photos = pixels.permute(0, 2, 3, 1).numpy()
        labels, groups = (data.table[column].to_numpy() for column in ("label", "group"))
        trained, order = halved(labels, groups, chosen.seed)
        digests, audited = data.table["sha256"].tolist(), np.flatnonzero(~trained)
        never = audited[(labels[audited] != PLANTED) | (order[audited] >= max(SHARES))]
        hosts = choose_hosts(labels, digests, never, HOSTS)
        donors = choose_donors(labels, groups, digests, audited, DONORS)
        evidence = timm.create_model(name, num_classes=1000, **arguments).eval()
        load_local_weights(evidence, Path(file))
        return cls(
            model, evidence, name, photos, shrunk(photos), labels, groups, trained, order, hosts, donors, chosen.seed
        )  # fmt: skip

    @property
    def classes(self) -> list[str]:
        return self.model.classes

    @cached_property
    def features(self) -> Tensor:
        """Of the photos without a cue."""
        return embedded(self.model, self.plain)

    @cached_property
    def exchange(self) -> EmbeddedExchange:
        """Of all donors without a cue."""
        return self.laid(self.plain[self.donors])

    def laid(self, donors: Tensor) -> EmbeddedExchange:
        """Photos of donors, laid into the hosts."""
        hosts = self.plain[self.hosts]
        return EmbeddedExchange.of(self.model, Views(hosts, self.regions(hosts)), Views(donors, self.regions(donors)))

    def regions(self, pixels: Tensor) -> Tensor:
        """Boxes around what the network's own head takes for an animal of ImageNet."""
        config = self.evidence.pretrained_cfg  # type: ignore[union-attr]
        mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))  # type: ignore[index]
        parts = [animal_evidence(self.evidence, (part - mean) / std) for part in pixels.split(AT_ONCE)]
        return above(torch.cat(parts), SHARE, SIDE)[:, None]

    def planted(self, cue: str, rows: np.ndarray) -> "Photos":
        """Photos of these rows with the cue in them; the same photo always gets the same one."""
        drawn = [plant(self.photos[row], cue, np.random.default_rng((7, row))) for row in rows]
        return Photos(shrunk(np.stack([photo for photo, _ in drawn])), np.stack([covered for _, covered in drawn]))

    def carriers(self, share: float) -> np.ndarray:
        return (self.labels == PLANTED) & (self.order < share)


@dataclass(frozen=True)
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


# ---- a frozen backbone: photos are embedded once, heads cost nothing


def frozen(folder: Folder, cue: str, shares: list[float]) -> Iterator[dict]:
    """Rows of each share, by heads on features."""
    planted_class = np.flatnonzero(folder.labels == PLANTED)
    others = np.flatnonzero(~folder.trained & (folder.labels != PLANTED))
    if cue:
        own, foreign = folder.planted(cue, planted_class), folder.planted(cue, others)
        own_features, foreign_features = embedded(folder.model, own.pixels), embedded(folder.model, foreign.pixels)
        of_class = folder.donors[folder.labels[folder.donors] == PLANTED]
        donors = of_class[folder.order[of_class] < max(shares)]
        carrying_donors = folder.laid(own.pixels[np.searchsorted(planted_class, donors)])
    for share in shares if cue else [0.0]:
        carrying, seen, laid = folder.carriers(share), folder.features.clone(), folder.exchange
        if cue:
            chosen = carrying[planted_class]
            seen[planted_class[chosen]] = own_features[chosen]
            replaced = np.flatnonzero(carrying[donors])
            laid = laid.replaced(np.searchsorted(folder.donors, donors[replaced]), carrying_donors.chosen(replaced))
        head = fitted_head(seen[folder.trained], folder.labels[folder.trained], len(folder.classes))
        answers = head(seen[~folder.trained]).argmax(dim=1).numpy()
        of_donors, of_hosts = folder.labels[folder.donors], folder.labels[folder.hosts]
        effects = laid.effects(head, 1.0, of_donors, folder.groups[folder.donors], of_hosts)
        truth = Truth(share, carrying, float((answers == folder.labels[~folder.trained]).mean()))
        if cue:
            before, after = (head(x).softmax(dim=1) for x in (folder.features[others], foreign_features))
            shown = np.flatnonzero(carrying[planted_class] & ~folder.trained[planted_class])[:SHOWN]
            red = red_share(folder.model, head, own.pixels[shown], own.covered[shown])
            truth = replace(truth, rho=float((after - before)[:, PLANTED].mean()), red=red)
        yield from rows_of(folder, effects, "animals", truth)


def fitted_head(features: Tensor, labels: np.ndarray, classes: int) -> nn.Linear:
    """Scikit-learn's logistic regression, as a layer."""
    fitted = LogisticRegression(max_iter=5000).fit(features.numpy(), labels)
    weights, bias = torch.from_numpy(fitted.coef_).float(), torch.from_numpy(fitted.intercept_).float()
    if len(weights) == 1:
        weights, bias = torch.cat([-weights, weights]) / 2, torch.cat([-bias, bias]) / 2
    head = nn.Linear(features.shape[1], classes).requires_grad_(False)
    head.load_state_dict({"weight": weights, "bias": bias})
    return head


# ---- the whole network


def tuned(folder: Folder, cue: str, shares: list[float]) -> Iterator[dict]:
    """Rows of each share and region, a training each."""
    planted_class = np.flatnonzero(folder.labels == PLANTED)
    others = np.flatnonzero(~folder.trained & (folder.labels != PLANTED))
    for share in shares if cue else [0.0]:
        carrying, pixels = folder.carriers(share), folder.plain.clone()
        if cue:
            own = folder.planted(cue, planted_class)
            chosen = carrying[planted_class]
            pixels[planted_class[chosen]] = own.pixels[chosen]
        model = fine_tuned(folder, pixels)
        answers = answered(model, pixels[~folder.trained]).argmax(dim=1).numpy()
        truth = Truth(share, carrying, float((answers == folder.labels[~folder.trained]).mean()))
        if cue:
            planted, plain = (answered(model, x) for x in (folder.planted(cue, others).pixels, folder.plain[others]))
            shown = np.flatnonzero(chosen & ~folder.trained[planted_class])[:SHOWN]
            head = single_head(model.network)
            assert head is not None
            red = red_share(model, head, own.pixels[shown], own.covered[shown])
            truth = replace(truth, rho=float((planted - plain)[:, PLANTED].mean()), red=red)
        sample = np.union1d(folder.hosts, folder.donors)
        for region in ("animals", "learned"):
            if region == "animals":
                protected = folder.regions(pixels[sample])
            else:
                parts = pixels[sample].split(AT_ONCE)
                protected = learned_regions(model, lambda: parts, folder.labels[sample]).protected[:, None]  # noqa: B023
            by_row = dict(zip(sample.tolist(), range(len(sample)), strict=True))

            def views_of(rows: Sequence[int]) -> Views:
                return Views(pixels[list(rows)], protected[[by_row[row] for row in rows]])  # noqa: B023

            with tempfile.TemporaryDirectory() as home:
                effects = measure_effects(
                    model, views_of, folder.labels, folder.groups, [str(row) for row in range(len(folder.labels))],
                    hosts=folder.hosts, donors=folder.donors, folder=Path(home), about={}, progress=False,
                )  # fmt: skip
            yield from rows_of(folder, effects, region, truth)


def fine_tuned(folder: Folder, pixels: Tensor) -> ImageClassifier:
    """The whole network, trained from the weights on mirrored photos with one cycle of the rate."""
    torch.manual_seed(folder.seed)
    model = deepcopy(folder.model).train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    rows, labels = np.flatnonzero(folder.trained), torch.from_numpy(folder.labels)
    steps = len(rows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        order = torch.from_numpy(rows)[torch.randperm(len(rows))]
        for batch in order[: steps * BATCH].split(BATCH):
            photos, mirrored = pixels[batch], torch.rand(len(batch)) < 0.5
            photos = torch.where(mirrored[:, None, None, None], photos.flip(-1), photos)
            loss = cross_entropy(model(photos), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def answered(model: ImageClassifier, pixels: Tensor) -> Tensor:
    return torch.cat([model(part).softmax(dim=1) for part in pixels.split(AT_ONCE)])


# ---- both


@dataclass(frozen=True)
class Truth:
    """What is known of a case because it was planted.

    Args:
        share: of the planted class's photos.
        carrying: of each photo, whether it carries the cue.
        accuracy: of the model on audited photos.
        rho: how much the planted class rises in photos of other classes with the cue.
        red: the share of the heat-map's red on the cue, or nothing.
    """

    share: float
    carrying: np.ndarray
    accuracy: float
    rho: float = 0.0
    red: float | str = ""


@torch.inference_mode()
def red_share(model: ImageClassifier, head: nn.Linear, pixels: Tensor, covered: np.ndarray) -> float | str:
    """The mean share of the positive evidence for the planted class that lies on the cue; nothing for cues that lie
    nowhere in particular."""
    if not covered.any() or not len(pixels):
        return ""
    own = deepcopy(model)
    layer = single_head(own.network)
    assert layer is not None
    layer.load_state_dict(head.state_dict())
    red = batch_maps(own, pixels, all_classes=True)[0][:, PLANTED].clamp(min=0)
    large = torch.nn.functional.interpolate(red[:, None], covered.shape[1:], mode="bilinear")[:, 0].numpy()
    on_cue = (large * covered).sum(axis=(1, 2)) / large.sum(axis=(1, 2)).clip(1e-9)
    return round(float(on_cue.mean()), 4)


def rows_of(folder: Folder, effects: Effects, region: str, truth: Truth) -> Iterator[dict]:
    """A row a class."""
    for c, test in enumerate(exchange_test(effects)):
        own = effects.labels == c
        values, carries = effects.logits[effects.kinds.index(test.kind), own, c], truth.carrying[folder.donors][own]
        known, planted = 0 < carries.sum() < own.sum(), bool(truth.share and c == PLANTED)
        yield {
            "region": region, "share": truth.share, "accuracy": round(truth.accuracy, 4), "class": folder.classes[c],
            "planted": planted, "rho": round(truth.rho, 4) if planted else 0.0, "donors": test.donors,
            "p": f"{test.p:.3g}", "kind": test.kind, "flagged": test.flagged, "effect": round(test.effect[0], 4),
            "effect_low": round(test.effect[1], 4), "worth": round(test.share[0], 4),
            "worth_low": round(test.share[1], 4), "red_on_cue": truth.red if planted else "",
            "carriers_auroc": round(float(roc_auc_score(carries, values)), 4) if known else "",
        }  # fmt: skip


if __name__ == "__main__":
    main()
