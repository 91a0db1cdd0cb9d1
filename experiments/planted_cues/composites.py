"""Regions estimated on real animals pasted on real water, with known boxes and with planted cues.

    python -m experiments.planted_cues.composites frozen --photos RACCOON/images --boxes RACCOON/boxes.csv \\
        --waters FISHCAM --weights mobilenetv2_100=FILE --out composites.csv
    python -m experiments.planted_cues.summary composites.csv

A new classifier layer (`frozen`) or the whole network (`tuned`) learns half of the animals' photos, on the water of
half of the fish; the rest is audited, once with each way to the animal's region: the middle (`ellipse`), `learned`,
what an ImageNet network takes for `animals`, and the true `boxes`. A row a case, region and class, with the columns of
`bench`; what the table holds is not measured again. Where less than LEARNED was learned, a case has its `rho` alone.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from fishnet import ImageClassifier
from fishnet.audit.exchange import Effects, choose_donors
from fishnet.audit.kinds import KINDS, Views
from fishnet.audit.middle import DONORS as FEW
from fishnet.audit.middle import usual_share
from fishnet.audit.planting import plant
from fishnet.audit.proxy import AT_ONCE, EmbeddedExchange
from fishnet.audit.regions import SHARE, above, animal_evidence, ellipse, learned_regions
from fishnet.audit.significance import exchange_test
from fishnet.environment import keep_freed_memory
from fishnet.models.backbones import load_local_weights, single_head

from .bench import append, of_class, read
from .cases import FIRST_SEED, PLANTED_CLASS, Case
from .pasting import LARGE, VARIANTS, Animal, Composite, Scene, Water, composed, placed, read_animals, read_waters
from .photos import SIDE, Folder, answered, fine_tuned, shrunk, with_new_head
from .summary import LEARNED

LAYOUTS = ("centred", "free")
WAYS = ("ellipse", "learned", "animals", "boxes")
DONORS = 48  # of a class; with four hosts, so that a case takes minutes
SAME = 2  # composites of each animal that is learned from
SPECIES = "rainbowtrout"  # whose water is the cue `water`
PLANTED = (  # of each seed
    (("border", 0.8), ("float", 0.8), ("water", 0.8)),
    (("watermark", 0.8), ("vignette", 0.8), ("tint", 0.8)),
    (("border", 0.5), ("float", 0.5), ("water", 0.5)),
    (("watermark", 0.5), ("vignette", 0.5), ("tint", 0.5)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["frozen", "tuned"])
    parser.add_argument("--photos", type=Path, required=True, help="of animals")
    parser.add_argument("--boxes", type=Path, required=True, help="of these animals")
    parser.add_argument("--waters", type=Path, required=True, help="SPECIES/FISH_frameNUMBER.png")
    parser.add_argument("--weights", required=True, help="NAME=FILE of a network for ImageNet's classes")
    parser.add_argument("--layouts", nargs="*", default=[*LAYOUTS])
    parser.add_argument("--hours", type=float, default=24.0, help="no case is begun after so many hours")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    until = time.monotonic() + 3600 * chosen.hours
    done = {(row["mode"], row["case"]) for row in read(chosen.out)}
    animals, waters = read_animals(chosen.photos, chosen.boxes), read_waters(chosen.waters)
    for number, planted in enumerate(PLANTED):
        for layout in chosen.layouts:
            common = {"seed": FIRST_SEED + number, "layout": layout, "species": len(VARIANTS), "side": SIDE}
            cases = [Case(control="clean", **common), *(Case(cue=cue, share=share, **common) for cue, share in planted)]
            cases = [case for case in cases if (chosen.mode, case.name) not in done]
            if not cases:
                continue
            folder = pasted(cases[0], animals, waters, chosen.weights)
            for case in cases:
                if time.monotonic() > until:
                    return
                started, rows = time.monotonic(), list(rows_of(folder, case, chosen.mode))
                seconds = round(time.monotonic() - started)
                append(chosen.out, [{"mode": chosen.mode, **row, "seconds": seconds} for row in rows])
                accused = [f"{row['region']} {row['class']} {row['share_low']}" for row in rows if row["flagged"]]
                print(f"{case.name}: accuracy {rows[0]['accuracy']}, rho {max(row['rho'] for row in rows)}, accused by "
                      f"p: {', '.join(accused) or 'none'}; {seconds} s", flush=True)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Composites(Folder):
    """Composites of a seed and layout.

    Args:
        scenes, composites: of each photo.
        animals: pasted ones.
        waters: pasted on.
        lent: numbers of the waters of each half, the audited one first.
        file: of the network for ImageNet's classes.
        clean: regions and exchanges without a cue by way; a cue changes its carriers alone.
    """

    scenes: list[Scene]
    composites: list[Composite]
    animals: list[Animal]
    waters: list[Water]
    lent: tuple[np.ndarray, np.ndarray]
    file: Path
    clean: dict[str, tuple[Tensor, EmbeddedExchange]] = field(default_factory=dict)

    def drawn(self, cue: str, rows: np.ndarray) -> np.ndarray:
        """(n, LARGE, LARGE, 3) photos of these rows with the cue; the same photo always gets the same one."""
        return np.stack([self._with(cue, row, np.random.default_rng((7, row))) for row in rows.tolist()])

    def _with(self, cue: str, row: int, rng: np.random.Generator) -> np.ndarray:
        if cue != "water":
            return plant(self.photos[row], cue, rng, animal=self.composites[row].animals)[0]
        own = [number for number in self.lent[int(self.trained[row])] if self.waters[number].species == SPECIES]
        return composed(self.scenes[row], self.animals, self.waters[rng.choice(own)].pixels).pixels

    @property
    def hosts(self) -> np.ndarray:
        """A photo of each class that is the last to get a cue."""
        return np.array([max(self.audited[self.labels[self.audited] == label], key=lambda row: self.order[row])
                         for label in range(len(VARIANTS))])  # fmt: skip

    def donors(self, most: int) -> np.ndarray:
        return choose_donors(self.labels, self.groups, self.digests, self.audited, most)

    def region(self, way: str, rows: np.ndarray, photos: np.ndarray) -> Tensor:
        """Where the animal is in these rows, whose photos are given, for ways that do not ask the model."""
        if way == "ellipse":
            return ellipse(SIDE)[None].expand(len(rows), SIDE, SIDE)
        if way == "boxes":
            boxes = torch.from_numpy(np.stack([self.composites[row].boxes for row in rows])).float()
            return max_pool2d(boxes[:, None], LARGE // SIDE)[:, 0]
        arguments: dict[str, Any] = {"pad_type": "same"} if self.network.startswith("mobilenetv2") else {}
        network: Any = timm.create_model(self.network, num_classes=1000, **arguments).eval()
        load_local_weights(network, self.file)
        parts = torch.from_numpy(photos).permute(0, 3, 1, 2).split(AT_ONCE)
        evidence = [animal_evidence(network, self.model.pixels(part)) for part in parts]
        return above(torch.cat(evidence), SHARE, SIDE)


def pasted(case: Case, animals: list[Animal], waters: list[Water], weights: str) -> Composites:
    """The composites of a seed and layout: each animal in all classes, each photo and each fish's water in one half."""
    rng = np.random.default_rng((case.seed, LAYOUTS.index(case.layout)))
    own = halves([animal.photo for animal in animals], rng)
    lent = halves([water.fish for water in waters], rng)
    planned = [
        (Scene(label, placed(case.layout, own[half], animal, rng), int(rng.choice(lent[half]))), half)
        for label in range(len(VARIANTS)) for half in (0, 1) for animal in own[half] for _ in range((1, SAME)[half])
    ]  # fmt: skip
    scenes = [scene for scene, _ in planned]
    composites = [composed(scene, animals, waters[scene.water].pixels) for scene in scenes]
    labels, trained = np.array([scene.label for scene in scenes]), np.array([half == 1 for _, half in planned])
    order = np.zeros(len(scenes))
    for label, half in np.ndindex(len(VARIANTS), 2):
        rows = rng.permutation(np.flatnonzero((labels == label) & (trained == half)))
        order[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    name, _, file = weights.partition("=")
    model = ImageClassifier(
        classes=[*VARIANTS], backbone=name, pretrained=file, image_size=SIDE,
        backbone_args={"pad_type": "same"} if name.startswith("mobilenetv2") else {},
    ).eval()  # fmt: skip
    model.network.to(memory_format=torch.channels_last)
    photos = np.stack([composite.pixels for composite in composites])
    return Composites(
        model=model, network=name, photos=photos, plain=shrunk(photos), labels=labels,
        groups=np.array([animals[scene.pasted[-1].animal].photo for scene in scenes]), trained=trained, order=order,
        digests=[f"{number:06d}" for number in rng.permutation(len(scenes))], seed=case.seed, scenes=scenes,
        composites=composites, animals=animals, waters=waters, lent=lent, file=Path(file),
    )  # fmt: skip


def halves(groups: Sequence[object], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the members of either half of the groups."""
    of_each = np.unique([str(group) for group in groups], return_inverse=True)[1]
    first = rng.permutation(of_each.max() + 1) % 2 == 0
    return np.flatnonzero(first[of_each]), np.flatnonzero(~first[of_each])


def rows_of(folder: Composites, case: Case, mode: str) -> Iterator[dict]:
    """A row a region and class, or the planted class's alone where the cue was not learned."""
    planted, audited = (folder.labels == PLANTED_CLASS) & bool(case.cue), folder.audited
    carrying = np.flatnonzero(planted & (folder.order < case.share))
    pixels, drawn = folder.plain.clone(), np.empty((0, LARGE, LARGE, 3), np.uint8)
    if len(carrying):
        drawn = folder.drawn(case.cue, carrying)
        pixels[carrying] = shrunk(drawn)
    carries = np.isin(np.arange(len(folder.labels)), carrying)
    model = with_new_head(folder, pixels, carries) if mode == "frozen" else fine_tuned(folder, pixels)
    right = answered(model, pixels[audited]).argmax(dim=1).numpy() == folder.labels[audited]
    rho = np.zeros(case.species)
    if case.cue:
        others = audited[folder.labels[audited] != PLANTED_CLASS]
        after, before = (
            answered(model, part) for part in (shrunk(folder.drawn(case.cue, others)), folder.plain[others])
        )
        rho[PLANTED_CLASS] = float((after - before)[:, PLANTED_CLASS].mean())
    common = {
        "case": case.name, "seed": case.seed, "cue": case.cue, "prevalence": case.share, "control": case.control,
        "layout": case.layout, "accuracy": round(float(right.mean()), 4),
    }  # fmt: skip
    if case.cue and rho[PLANTED_CLASS] < LEARNED:
        of_class_alone = {"class": PLANTED_CLASS, "planted": True, "rho": round(float(rho[PLANTED_CLASS]), 4)}
        yield {**common, **dict.fromkeys(FOUND, ""), **of_class_alone, "flagged": False}
        return
    hosts, donors = folder.hosts, folder.donors(DONORS)
    changed = np.flatnonzero(carries[donors])
    large = drawn[np.searchsorted(carrying, donors[changed])]
    boxes, usual = folder.region("boxes", donors, large), float("nan")
    for way in WAYS:
        protected, exchange = exchanged(folder, way, mode, model, pixels, changed, large)
        effects = effects_of(folder, exchange, model)
        if way == "ellipse":
            usual = usual_share(of_donors(effects, np.searchsorted(donors, folder.donors(FEW))))
        covered = (protected[len(hosts) :] * boxes).sum(dim=(1, 2)) / boxes.sum(dim=(1, 2))
        measured = {
            "region": way, "fish_covered": round(float(covered.mean()), 4),
            "protected": round(float(protected.mean()), 4), "usual": round(usual, 4),
        }  # fmt: skip
        for c, test in enumerate(exchange_test(effects)):
            yield {**common, **measured, **of_class(c, test, effects, carries[donors], rho, case)}


FOUND = (
    "region", "fish_covered", "protected", "usual", "class", "planted", "rho", "donors", "p", "kind", "flagged",
    "effect", "effect_low", "share", "share_low", "carriers_auroc", *(f"p_{kind}" for kind in KINDS),
)  # fmt: skip


def exchanged(
    folder: Composites, way: str, mode: str, model: ImageClassifier, pixels: Tensor, changed: np.ndarray,
    large: np.ndarray,
) -> tuple[Tensor, EmbeddedExchange]:  # fmt: skip
    """The regions of the hosts and donors, and the exchange. With frozen features and a region that does not ask the
    model, donors that did not change are those of the clean folder."""
    hosts, donors = folder.hosts, folder.donors(DONORS)
    sample, fixed = np.concatenate([hosts, donors]), way != "learned"
    quick = in_half(model)

    def views(rows: np.ndarray, protected: Tensor) -> Views:
        return Views(pixels[rows], protected[:, None])

    if not fixed:
        protected = learned_regions(model, lambda: pixels[sample].split(AT_ONCE), folder.labels[sample]).protected
    elif way in folder.clean:
        protected = folder.clean[way][0].clone()
        protected[len(hosts) + changed] = folder.region(way, donors[changed], large)
    else:
        photos = folder.photos[sample]
        photos[len(hosts) + changed] = large
        protected = folder.region(way, sample, photos)
    own = views(hosts, protected[: len(hosts)])
    if fixed and mode == "frozen" and way in folder.clean:
        brought = views(donors[changed], protected[len(hosts) + changed])
        return protected, folder.clean[way][1].replaced(changed, EmbeddedExchange.of(quick, own, brought))
    exchange = EmbeddedExchange.of(quick, own, views(donors, protected[len(hosts) :]))
    if not len(changed) and fixed:
        folder.clean[way] = protected, exchange
    return protected, exchange


def in_half(model: ImageClassifier) -> ImageClassifier:
    """The model with a network of half the precision, which takes half the time."""
    quick = deepcopy(model)
    quick.network.bfloat16().register_forward_pre_hook(
        lambda _, inputs: (inputs[0].to(torch.bfloat16, memory_format=torch.channels_last),)
    )
    return quick


def effects_of(folder: Composites, exchange: EmbeddedExchange, model: ImageClassifier) -> Effects:
    head, hosts, donors = single_head(model.network), folder.hosts, folder.donors(DONORS)
    assert isinstance(head, nn.Linear)
    return exchange.effects(
        head, float(model.temperature), folder.labels[donors], folder.groups[donors], folder.labels[hosts]
    )


def of_donors(effects: Effects, chosen: np.ndarray) -> Effects:
    """The same of some donors."""
    return replace(
        effects, logits=effects.logits[:, chosen], probabilities=effects.probabilities[:, chosen],
        labels=effects.labels[chosen], groups=effects.groups[chosen], whole=effects.whole[chosen],
    )  # fmt: skip


if __name__ == "__main__":
    main()
