"""Plant cues into real photos, so that the truth is known there too, and write what the audit finds beside it.

    python -m experiments.planted_cues.photos frozen --root DOGCAT --weights mobilenetv2_100=FILE --out photos.csv
    python -m experiments.planted_cues.photos tuned  --root FISHCAM --group '(.+)_frame' --weights … --out photos.csv

Each cue is planted into 0.8, 0.5 and 0.3 of the photos of the first class, and once nothing is planted. Half of the
groups of each class are learned from, by a new classifier layer (`frozen`) or by the whole network (`tuned`); the rest
is audited, with the region that the audit takes by itself. `rho` is the truth: how much the class's probability rises
in audited photos of the other classes when the cue is really planted into them. Where less than LEARNED was learned, a
row has its rho alone. `red_on_cue` is the share of the heat-map's red that lies on the cue, over its carriers. What the
table holds already is not measured again.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import cv2
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import interpolate

from fishnet import ImageClassifier, ImageFolderData
from fishnet.audit.exchange import HOSTS, Effects, choose_donors, choose_hosts, measure_effects
from fishnet.audit.kinds import KINDS, Views
from fishnet.audit.middle import DONORS as FEW
from fishnet.audit.middle import MOST, usual_share
from fishnet.audit.planting import PLANTABLE, plant
from fishnet.audit.proxy import embedded
from fishnet.audit.regions import elliptic, learned_regions
from fishnet.audit.significance import BEYOND, exchange_test, standing_out
from fishnet.environment import keep_freed_memory
from fishnet.explain.maps import batch_maps
from fishnet.models.backbones import single_head

from .bench import append, read
from .summary import LEARNED
from .training import fitted, mirrored

SIDE, LARGE = 128, 256  # of what the network sees, and of what is planted into, in pixels
SHARES = (0.8, 0.5, 0.3)
CUES = tuple(cue for cue in PLANTABLE if cue not in ("hand", "tag"))  # those that do not lie on the animal
DONORS = 80
PLANTED = 0  # the class, in the order of the names
SHOWN = 40  # carriers whose heat-maps are asked for
STANDING = "ellipse, standing out"  # the middle, where animals reach beyond it and a class stands out even so
AT_ONCE = 36  # photos
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
    keep_freed_memory()
    torch.set_num_threads(1)
    done = {tuple(row[name] for name in NAMES) for row in read(chosen.out)}
    folder = Folder.opened(chosen)
    cases = [("", 0.0), *((cue, share) for cue in chosen.cues for share in chosen.shares)]
    for cue, share in cases:
        key = (chosen.mode, chosen.root.name, folder.network, cue, f"{share:g}", str(chosen.seed))
        if key in done:
            continue
        started = time.monotonic()
        rows = [{**dict(zip(NAMES, key, strict=True)), **row} for row in rows_of(folder, chosen.mode, cue, share)]
        append(chosen.out, rows)
        accused = [f"{row['class']} {row['share']} [{row['share_low']}]" for row in rows if row["flagged"]]
        print(
            f"{' '.join(key)}: rho {rows[0]['rho']}, accused by p: {', '.join(accused) or 'none'}; "
            f"{time.monotonic() - started:.0f} s", flush=True,
        )  # fmt: skip


NAMES = ("mode", "set", "network", "cue", "prevalence", "seed")


@dataclass(frozen=True)
class Folder:
    """Photos of a set, and the network.

    Args:
        model: with the weights' backbone.
        network: its name.
        photos: (n, LARGE, LARGE, 3) bytes.
        plain: the same as the network sees them, without a cue.
        labels, groups: of each photo.
        trained: whether it is learned from.
        order: (n,) from 0 to 1: photos of a class below a share are those that carry a cue.
        digests: of the files.
        seed: of the halves and of the training.
    """

    model: ImageClassifier
    network: str
    photos: np.ndarray
    plain: Tensor
    labels: np.ndarray
    groups: np.ndarray
    trained: np.ndarray
    order: np.ndarray
    digests: list[str]
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
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device).network.to(memory_format=torch.channels_last)
        photos = pixels.permute(0, 2, 3, 1).numpy()
        labels, groups = (data.table[column].to_numpy() for column in ("label", "group"))
        trained, order = halved(labels, groups, chosen.seed)
        digests = data.table["sha256"].tolist()
        return cls(model, name, photos, shrunk(photos).to(device), labels, groups, trained, order, digests, chosen.seed)

    @property
    def audited(self) -> np.ndarray:
        return np.flatnonzero(~self.trained)

    @property
    def others(self) -> np.ndarray:
        """Audited photos of the classes into which nothing is planted."""
        return np.flatnonzero(~self.trained & (self.labels != PLANTED))

    @cached_property
    def features(self) -> Tensor:
        """Of the photos without a cue, by the weights as they are."""
        return embedded(self.model, self.plain).cpu()

    def planted(self, cue: str, rows: np.ndarray) -> "Photos":
        """Photos of these rows with the cue in them; the same photo always gets the same one."""
        drawn = [plant(self.photos[row], cue, np.random.default_rng((7, row))) for row in rows]
        pixels = shrunk(np.stack([photo for photo, _ in drawn])).to(self.plain.device)
        return Photos(pixels, np.stack([covered for _, covered in drawn]))


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


def rows_of(folder: Folder, mode: str, cue: str, share: float) -> Iterator[dict]:
    """A row a class, or the planted class's alone where the cue was not learned."""
    carrying, pixels = (folder.labels == PLANTED) & (folder.order < share), folder.plain.clone()
    if cue:
        own = folder.planted(cue, np.flatnonzero(carrying))
        pixels[torch.from_numpy(carrying)] = own.pixels
    model = with_new_head(folder, pixels, carrying) if mode == "frozen" else fine_tuned(folder, pixels)
    right = answered(model, pixels[folder.audited]).argmax(dim=1).numpy() == folder.labels[folder.audited]
    known = {"accuracy": round(float(right.mean()), 4), "rho": 0.0, "red_on_cue": ""}
    if cue:
        others = (folder.planted(cue, folder.others).pixels, folder.plain[folder.others])
        after, before = (answered(model, photos) for photos in others)
        known["rho"] = round(float((after - before)[:, PLANTED].mean()), 4)
        shown = np.flatnonzero(~folder.trained[carrying])[:SHOWN]
        known["red_on_cue"] = red_share(model, own.pixels[shown], own.covered[shown])
        if float(known["rho"]) < LEARNED:
            of_class = {"class": model.classes[PLANTED], "planted": True, "flagged": False, "counts": False}
            yield {**known, **dict.fromkeys(FOUND, ""), **of_class}
            return
    region, usual, protected, effects = exchanged(folder, model, pixels)
    for c, test in enumerate(exchange_test(effects, travels=region == STANDING)):
        of_class = effects.labels == c
        values = effects.logits[effects.kinds.index(test.kind), of_class, c]
        carries = carrying[donors_of(folder, DONORS)][of_class]
        partly = 0 < carries.sum() < of_class.sum()
        yield {
            **known, "class": model.classes[c], "planted": bool(cue) and c == PLANTED,
            "rho": known["rho"] if c == PLANTED else "", "region": region, "usual": round(usual, 4),
            "protected": round(float(protected.mean()), 4), "donors": test.donors, "p": f"{test.p:.3g}",
            "kind": test.kind, "flagged": test.flagged, "counts": test.counts, "effect": round(test.effect[0], 4),
            "effect_low": round(test.effect[1], 4), "share": round(test.share[0], 4),
            "share_low": round(test.share[1], 4),
            "carriers_auroc": round(float(roc_auc_score(carries, values)), 4) if partly else "",
        }  # fmt: skip


FOUND = ("class", "planted", "region", "usual", "protected", "donors", "p", "kind", "flagged", "counts", "effect",
         "effect_low", "share", "share_low", "carriers_auroc")  # fmt: skip


def donors_of(folder: Folder, most: int) -> np.ndarray:
    return choose_donors(folder.labels, folder.groups, folder.digests, folder.audited, most)


def exchanged(folder: Folder, model: ImageClassifier, pixels: Tensor) -> tuple[str, float, Tensor, Effects]:
    """As the audit does: the middle with a few donors first, and then the region that fits with all of them; with the
    middle too where a class stands out."""
    hosts = choose_hosts(folder.labels, folder.digests, folder.audited, HOSTS)
    few, donors = donors_of(folder, FEW), donors_of(folder, DONORS)
    sample = np.union1d(np.union1d(hosts, few), donors)
    by_row = {row: number for number, row in enumerate(sample.tolist())}

    def measured(protected: Tensor, donors: np.ndarray, kinds: Sequence[str]) -> Effects:
        def views_of(rows: Sequence[int]) -> Views:
            return Views(pixels[list(rows)], protected[[by_row[row] for row in rows], None].to(pixels))

        with tempfile.TemporaryDirectory() as home:
            return measure_effects(
                model, views_of, folder.labels, folder.groups, folder.digests, hosts=hosts, donors=donors,
                folder=Path(home), about={}, kinds=kinds, progress=False,
            )  # fmt: skip

    middle = elliptic(len(sample), SIDE).protected
    usual = usual_share(measured(middle, few, (BEYOND,)))
    if usual <= MOST:
        return "ellipse", usual, middle, measured(middle, donors, KINDS)
    if standing_out(measured(middle, donors, (BEYOND,)))[0]:
        return STANDING, usual, middle, measured(middle, donors, KINDS)
    batches = partial(pixels[sample].split, AT_ONCE)
    protected = learned_regions(model, batches, folder.labels[sample]).protected
    return "learned", usual, protected, measured(protected, donors, KINDS)


def with_new_head(folder: Folder, pixels: Tensor, carrying: np.ndarray) -> ImageClassifier:
    """The weights as they are, and scikit-learn's logistic regression on their features."""
    features = folder.features.clone()
    if carrying.any():
        features[torch.from_numpy(carrying)] = embedded(folder.model, pixels[torch.from_numpy(carrying)]).cpu()
    regression = LogisticRegression(max_iter=5000).fit(features[folder.trained].numpy(), folder.labels[folder.trained])
    weights, bias = torch.from_numpy(regression.coef_).float(), torch.from_numpy(regression.intercept_).float()
    if len(weights) == 1:
        weights, bias = torch.cat([-weights, weights]) / 2, torch.cat([-bias, bias]) / 2
    model = deepcopy(folder.model)
    head = single_head(model.network)
    assert head is not None
    head.load_state_dict({"weight": weights, "bias": bias})
    return model


def fine_tuned(folder: Folder, pixels: Tensor) -> ImageClassifier:
    """The whole network, trained from the weights on mirrored photos with one cycle of the rate."""
    torch.manual_seed(folder.seed)
    labels = torch.from_numpy(folder.labels[folder.trained]).to(pixels.device)
    return fitted(
        deepcopy(folder.model), pixels[folder.trained], labels, mirrored, epochs=EPOCHS, rate=RATE, batch_size=BATCH
    )


@torch.inference_mode()
def answered(model: ImageClassifier, pixels: Tensor) -> Tensor:
    return torch.cat([model(part).softmax(dim=1) for part in pixels.split(AT_ONCE)]).cpu()


@torch.inference_mode()
def red_share(model: ImageClassifier, pixels: Tensor, covered: np.ndarray) -> float | str:
    """The mean share of the positive evidence for the planted class that lies on the cue; nothing for cues that lie
    nowhere in particular."""
    if not covered.any() or not len(pixels):
        return ""
    red = batch_maps(model, pixels, all_classes=True)[0][:, PLANTED].clamp(min=0).cpu()
    large = interpolate(red[:, None], covered.shape[1:], mode="bilinear")[:, 0].numpy()
    on_cue = (large * covered).sum(axis=(1, 2)) / large.sum(axis=(1, 2)).clip(1e-9)
    return round(float(on_cue.mean()), 4)


if __name__ == "__main__":
    main()
