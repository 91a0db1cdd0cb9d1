"""How right are heat-maps? Exact interventions on a drawn reef, after FunnyBirds (Hesse et al. 2023).

    python -m experiments.maps.bench cnn --csv reef.csv
    python -m experiments.maps.bench resnet18 --csv reef.csv
    python -m experiments.maps.bench resnet101 --epochs 8 --csv reef.csv
    python -m experiments.maps.bench resnet101 --epochs 8 --only ScoreCAM --photos 8 --keep FOLDER --csv scorecam.csv

Each part of a fish and each cue can be left out of a photo, and nothing else changes. A row a method, each measure with
its 95 % interval over photos. A part's importance is the map's sum over the pixels that it covers; a part is important
if it has more than a share of all positive importance, which is chosen on other photos than are measured on.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from experiments.planted_cues.bench import append
from experiments.planted_cues.reefs import as_images
from fishnet import ImageClassifier
from fishnet.explain.scores import scores_of

from .methods import Kept, MapMethod, all_maps, methods
from .reef import CUE, INNOCENT, PLANTED_CLASS, SEED, Reef, plan, split, trained

SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)  # of all positive importance
UNMOVED, MATTERS = 0.05, 0.1  # of the range of the logits: what is left out meant nothing, and something
DRAWS = 2000
MEASURES = (
    "single deletion", "preservation", "deletion", "controlled deletion", "distractibility", "target sensitivity",
    "pointing", "mass",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What is true of photos and the network, whatever the map.

    Args:
        rows: of the reef.
        images: bytes.
        answers: the network's class of each photo.
        things: names of what can be left out of each.
        masks: where each of these is.
        drops: by how much the answer's logit falls without it, in parts of the range of the photo's logits.
    """

    rows: np.ndarray
    images: Tensor
    answers: Tensor
    things: list[list[str]]
    masks: list[np.ndarray]
    drops: list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=10**6, help="that are measured on, at most")
    parser.add_argument("--seed", type=int, default=SEED, help="of the reef and of the training")
    parser.add_argument(
        "--only", nargs="*", metavar="METHOD", help="names as in the table; ScoreCAM is measured so alone"
    )
    parser.add_argument("--keep", type=Path, help="a folder for network and maps: the same command goes on from there")
    chosen = parser.parse_args()
    for row in rows_of(
        chosen.backbone, chosen.epochs, chosen.photos, seed=chosen.seed, only=chosen.only, keep=chosen.keep
    ):
        append(chosen.csv, [row])
        shown = {key: round(value, 3) for key, value in row.items() if isinstance(value, float) and "_" not in key}
        print(row["method"], shown, flush=True)


def rows_of(
    backbone: str, epochs: int, photos: int, *, seed: int = SEED, only: Sequence[str] | None = None,
    keep: Path | None = None,
) -> Iterator[dict]:  # fmt: skip
    """Train, then a row for each method, or for those named alone; `keep` has what an earlier command has made."""
    reef = plan(seed)
    train, choosing, measured = split(reef)
    file = keep / f"{backbone}-{epochs}-{seed}.pt" if keep else None
    model = trained(reef, train, backbone, epochs=epochs, seed=seed - SEED, file=file)
    known = [facts(reef, model, rows[:: max(1, len(rows) // photos)]) for rows in (choosing, measured)]
    accuracy = float((known[1].answers.numpy() == reef.labels[known[1].rows]).mean())
    independent = background_independence(known[1])
    for name, method in methods(model, slow=only is not None).items():
        if only is None or name in only:
            kept = Kept(method, file.with_suffix("") / name.replace(" ", "-")) if file else method
            values = measured_by(reef, model, kept, *known)
            about = {"network": backbone, "seed": seed, "photos": len(known[1].rows), "method": name}
            yield about | {"accuracy": accuracy, "background independence": independent} | values


def facts(reef: Reef, model: ImageClassifier, rows: np.ndarray) -> Facts:
    things = [reef.things(row) for row in rows]
    images = as_images(np.stack([reef.draw(row) for row in rows]))
    logits = answers_of(model, images)
    answers = logits.argmax(dim=1)
    masks = [np.stack([reef.mask(row, thing) for thing in own]) for row, own in zip(rows, things, strict=True)]
    drops = []
    for number, (row, own) in enumerate(zip(rows, things, strict=True)):
        less = answers_of(model, as_images(np.stack([reef.draw(row, [thing]) for thing in own])))
        spread = float(logits[number].max() - logits[number].min())
        drops.append(((logits[number, answers[number]] - less[:, answers[number]]) / spread).numpy())
    return Facts(rows, images, answers, things, masks, drops)


@torch.no_grad()
def answers_of(model: ImageClassifier, images: Tensor) -> Tensor:
    return torch.cat([model(part.to(model.device)) for part in images.split(64)]).float().cpu()


def background_independence(known: Facts) -> float:
    """The share of innocent things without which the answer's logit hardly moves: of the network, not of a map."""
    moved = [
        abs(drop)
        for own, drops in zip(known.things, known.drops, strict=True)
        for thing, drop in zip(own, drops, strict=True)
        if thing in INNOCENT
    ]
    return float(np.mean(np.array(moved) < UNMOVED))


def measured_by(reef: Reef, model: ImageClassifier, method: MapMethod, choosing: Facts, known: Facts) -> dict:
    """All measures of a method, with the composite that ranks it."""
    earlier = importances(all_maps(method, choosing.images, choosing.answers)[0], choosing)
    share = max(SHARES, key=lambda share: np.nanmean([*checks(reef, model, choosing, earlier, share)[:2]]))
    maps, seconds = all_maps(method, known.images, known.answers)
    values = importances(maps, known)
    preserved, deleted, controlled, undistracted = checks(reef, model, known, values, share)
    plain = [n for n, own in enumerate(known.things) if CUE not in own]
    fish = torch.from_numpy(np.stack([reef.fish(known.rows[n]) for n in plain])).float()
    on_fish = scores_of(maps[plain], fish)
    per_photo = {
        "single deletion": np.array([correlation(v, d) for v, d in zip(values, known.drops, strict=True)]),
        "preservation": preserved, "deletion": deleted, "controlled deletion": controlled,
        "distractibility": undistracted, "target sensitivity": target_sensitivity(reef, method, known),
    }  # fmt: skip
    result: dict = {"share": share, "seconds": seconds}
    for name, values_of in per_photo.items():
        result |= interval(name, values_of)
    for name in ("pointing", "mass"):
        score = on_fish[name]
        result |= {
            name: score.value,
            f"{name}_low": score.low,
            f"{name}_high": score.high,
            f"{name}_chance": score.chance,
        }
    return result | interval("composite", composite(per_photo))


def importances(maps: Tensor, known: Facts) -> list[np.ndarray]:
    """The map's sum over the pixels of each thing, a photo at a time."""
    return [(own.numpy()[None] * masks).sum(axis=(1, 2)) for own, masks in zip(maps, known.masks, strict=True)]


def important(values: np.ndarray, share: float) -> np.ndarray:
    positive = np.maximum(values, 0)
    return positive > share * positive.sum()


def checks(
    reef: Reef, model: ImageClassifier, known: Facts, values: list[np.ndarray], share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A photo at a time, NaN where it has no such thing: is the answer kept by the important things alone; is it gone
    without them; is a cue that matters among them; are innocent things that mean nothing not among them."""
    chosen = [important(own, share) for own in values]
    kept, less = [], []
    for row, own, flags in zip(known.rows, known.things, chosen, strict=True):
        kept.append(reef.draw(row, [thing for thing, flag in zip(own, flags, strict=True) if not flag]))
        less.append(reef.draw(row, [thing for thing, flag in zip(own, flags, strict=True) if flag]))
    preserved = (answers_of(model, as_images(np.stack(kept))).argmax(dim=1) == known.answers).numpy()
    deleted = (answers_of(model, as_images(np.stack(less))).argmax(dim=1) != known.answers).numpy()
    controlled, undistracted = np.full((2, len(chosen)), np.nan)
    for n, (own, flags, drops) in enumerate(zip(known.things, chosen, known.drops, strict=True)):
        if CUE in own and drops[own.index(CUE)] > MATTERS:
            controlled[n] = flags[own.index(CUE)]
        idle = [flags[k] for k, thing in enumerate(own) if thing in INNOCENT and abs(drops[k]) < UNMOVED]
        undistracted[n] = 1 - np.mean(idle) if idle else np.nan
    return preserved.astype(float), deleted.astype(float), controlled, undistracted


def correlation(values: np.ndarray, drops: np.ndarray) -> float:
    """Spearman's, 0 for a map that says the same of all things."""
    if np.ptp(values) == 0 or np.ptp(drops) == 0:
        return 0.0
    return float(spearmanr(values, drops).statistic)


def target_sensitivity(reef: Reef, method: MapMethod, known: Facts) -> np.ndarray:
    """Other classes' photos are given the cue: does the planted class's map see more of itself there than the true
    class's does? 1, 0, or a half where they say the same."""
    others = [n for n, row in enumerate(known.rows) if reef.labels[row] != PLANTED_CLASS and CUE not in known.things[n]]
    photos = [reef.draw(known.rows[n], more=[CUE]) for n in others]
    masks = np.stack([
        np.abs(photo.astype(int) - reef.draw(known.rows[n])).max(axis=2) > 12
        for n, photo in zip(others, photos, strict=True)
    ])  # fmt: skip
    images = as_images(np.stack(photos))
    own = torch.from_numpy(reef.labels[known.rows[others]])
    shares = []
    for targets in (torch.full_like(own, PLANTED_CLASS), own):
        maps = all_maps(method, images, targets)[0].numpy()
        warm = np.maximum(maps, 0)
        shares.append((warm * masks).sum(axis=(1, 2)) / np.maximum(warm.sum(axis=(1, 2)), 1e-12))
    return np.where(shares[0] == shares[1], 0.5, shares[0] > shares[1])


def composite(per_photo: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Completeness, correctness and contrastivity, as FunnyBirds weighs them; drawn again together in `interval`."""
    return (
        per_photo["controlled deletion"], per_photo["preservation"], per_photo["deletion"],
        per_photo["distractibility"], per_photo["single deletion"], per_photo["target sensitivity"],
    )  # fmt: skip


def interval(name: str, values: np.ndarray | tuple[np.ndarray, ...]) -> dict[str, float]:
    """The mean over photos and its 95 % interval; of a tuple, of the composite of their means."""
    rng = np.random.default_rng(0)
    parts = values if isinstance(values, tuple) else (values,)
    draws = []
    for part in parts:
        part = part[~np.isnan(part)]
        lots = rng.integers(0, max(1, len(part)), (DRAWS, len(part)))
        draws.append(np.append(part[lots].mean(axis=1), part.mean()) if len(part) else np.full(DRAWS + 1, np.nan))
    if len(draws) == 1:
        mean = draws[0]
    else:
        control, preserved, deleted, undistracted, single, target = draws
        complete = (np.nanmean([control, preserved, deleted], axis=0) + undistracted) / 2
        mean = (complete + (single + 1) / 2 + target) / 3
    low, high = np.nanquantile(mean[:-1], (0.025, 0.975))
    return {name: float(mean[-1]), f"{name}_low": float(low), f"{name}_high": float(high)}


if __name__ == "__main__":
    main()
