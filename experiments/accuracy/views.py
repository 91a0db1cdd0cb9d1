"""Which fixed views of a photo a frozen network should learn from and answer by: logistic regression on its features.

    python -m experiments.accuracy.views --name fishcam --root FISHCAM --weights MOBILENETV2 --group '(.+)_frame'
    python -m experiments.accuracy.views --name 'cats and dogs, 30' --root DOGCAT --weights MOBILENETV2 --per-class 30

Views are the middle of the photo (crop), the whole of it pressed into a square (squash), and the mirror images of both;
probabilities of several views are averaged. Folds keep groups together; the penalty is chosen on a sixth of what a fold
leaves for training. `--scale unit` divides each feature by its spread, `--scale common` all of them by one number.
"""

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from fishnet import ImageClassifier, ImageFolderData
from fishnet.data.views import PlainPreprocessing

from .photo_set import padding, photo_set_parser

CROP, SQUASH = ("crop", "crop mirrored"), ("squash", "squash mirrored")
CASES = [  # learned from, answered by
    (CROP[:1], CROP[:1]), (CROP, CROP[:1]), (CROP, CROP), (SQUASH[:1], SQUASH[:1]), (SQUASH, SQUASH[:1]),
    (SQUASH, SQUASH), (CROP + SQUASH, CROP + SQUASH),
]  # fmt: skip
PENALTIES = 10.0 ** np.arange(1, -4.1, -0.5)
COLUMNS = ("set", "backbone", "photos", "scale", "learned_from", "answered_by", "folds", "accuracy", "log_loss")


def main() -> None:
    parser = photo_set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="times five folds")
    parser.add_argument("--scale", nargs="+", default=["unit", "common"], choices=["unit", "common"])
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("views.csv"))
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    data = ImageFolderData(root=str(chosen.root), group=chosen.group, image_size=224)
    views, table = features(data, chosen.backbone, chosen.weights), data.table
    labels, groups = table["label"].to_numpy(), table["group"].to_numpy()
    for scale in chosen.scale:
        scores: dict[tuple, list] = {case: [] for case in CASES}
        for learned, held_out, tested in parts(labels, groups, chosen.seeds, chosen.per_class):
            for case in CASES:
                scores[case].append(scored(views, labels, learned, held_out, tested, *case, scale))
        for (learned_from, answered_by), found in scores.items():
            means, errors = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / len(found) ** 0.5
            figures = [f"{mean:.4f}±{error:.4f}" for mean, error in zip(means, errors, strict=True)]
            words = ["+".join(learned_from), "+".join(answered_by)]
            kept = [chosen.name, chosen.backbone, len(table), scale, *words, len(found), *figures]
            print(*kept, sep="  ", flush=True)
            new = not chosen.csv.exists()
            with chosen.csv.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([COLUMNS, kept] if new else [kept])


def features(data: ImageFolderData, backbone: str, weights: Path) -> dict[str, np.ndarray]:
    """Of all photos, by view."""
    model = ImageClassifier(
        classes=data.classes,
        backbone=backbone,
        backbone_args=padding(backbone),
        pretrained=str(weights),
        freeze="backbone",
    ).eval()
    look, found = model.preprocessing, {}
    with torch.inference_mode():
        for fit in ("crop", "squash"):
            how = PlainPreprocessing(look.size, look.crop, look.interpolation, fit)
            halves: list[list[torch.Tensor]] = [[], []]
            for first in range(0, len(data.table), 64):
                rows = range(first, min(first + 64, len(data.table)))
                pixels = model.pixels(data.folder.photos(rows, how))
                for half, shown in zip(halves, (pixels, pixels.flip(3)), strict=True):
                    network: timm.models.MobileNetV3 = model.network  # type: ignore[assignment]
                    half.append(network.forward_head(network.forward_features(shown), pre_logits=True))
            found |= {fit: torch.cat(halves[0]).numpy(), f"{fit} mirrored": torch.cat(halves[1]).numpy()}
    return found


def parts(
    labels: np.ndarray, groups: np.ndarray, seeds: int, per_class: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Positions to learn from, to choose the penalty by, and to test, for each fold of each seed."""
    for seed in range(seeds):
        chance = np.random.default_rng(seed)

        def few(positions: np.ndarray, most: int, chance=chance) -> np.ndarray:
            drawn = [chance.permutation(positions[labels[positions] == label])[:most] for label in np.unique(labels)]
            return np.concatenate(drawn)

        for rest, tested in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups):
            inner = StratifiedGroupKFold(6, shuffle=True, random_state=seed)
            learned, held_out = (rest[own] for own in next(inner.split(rest, labels[rest], groups[rest])))
            if per_class:
                learned, held_out = few(learned, per_class * 5 // 6), few(held_out, per_class // 6)
            yield learned, held_out, tested


def scored(
    views: dict[str, np.ndarray], labels: np.ndarray, learned: np.ndarray, held_out: np.ndarray, tested: np.ndarray,
    learned_from: tuple[str, ...], answered_by: tuple[str, ...], scale: str,
) -> tuple[float, float]:  # fmt: skip
    """Accuracy and log-loss on the test part, with the penalty that has the least log-loss on held-out photos."""
    known = np.concatenate([views[name][learned] for name in learned_from])
    of_known = np.tile(labels[learned], len(learned_from))
    mean = known.mean(axis=0)
    spread = known.std(axis=0) + 1e-6 if scale == "unit" else known.var(axis=0).mean() ** 0.5
    regression = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
    best = (np.inf, (0.0, 0.0))
    for penalty in PENALTIES:
        regression.set_params(C=1 / (penalty * len(known))).fit((known - mean) / spread, of_known)

        def measured(rows: np.ndarray) -> tuple[float, float]:
            answers = [regression.predict_proba((views[name][rows] - mean) / spread) for name in answered_by]
            answer = np.mean(answers, axis=0)
            truth = answer[np.arange(len(rows)), np.searchsorted(regression.classes_, labels[rows])]
            right = regression.classes_[answer.argmax(axis=1)] == labels[rows]
            return float(right.mean()), float(-np.log(truth.clip(1e-12)).mean())

        loss = measured(held_out)[1]
        best = min(best, (loss, measured(tested)), key=lambda found: found[0])
    return best[1]


if __name__ == "__main__":
    main()
