"""Labels are swapped: does the list of likely wrong labels find them, beside cleanlab on the same answers?

    python -m experiments.embed.labels reef --weights mobilenetv2_100=FILE --csv labels.csv
    python -m experiments.embed.labels folder --root FOLDER --weights mobilenetv2_100=FILE --csv labels.csv

3 % of a folder's labels are swapped for another class, five times. A row a draw: which share of the first 3 % of each
list is swapped. Ours and cleanlab (`pip install cleanlab`, for this command alone) see the same answers of a ridge that
knows no photo of the same group; cleanlab sees them as probabilities, at the temperature that fits them best, and
beside that those of a logistic regression in five grouped folds.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from experiments.planted_cues.bench import append
from fishnet.audit.ridge import Head
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.folder import PhotoFolder
from fishnet.data.reef import ReefData
from fishnet.embed.embedding import drawn_rows
from fishnet.embed.neighbours import nearest, vote_shares
from fishnet.embed.suspects import PENALTY, suspicion
from fishnet.embed.vectors import network_vectors, published_network

SHARE, DRAWS, FRESH = 0.03, 5, 10  # labels swapped; how often; the first drawing seed that nothing was chosen by


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("reef", "folder"))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--group", default="auto")
    parser.add_argument("--weights", required=True, help="NAME=FILE of a network of timm")
    parser.add_argument("--csv", type=Path, required=True)
    chosen = parser.parse_args()
    name, file = chosen.weights.split("=", 1)
    with tempfile.TemporaryDirectory() as scratch:
        for folder, label in folders(chosen, Path(scratch)):
            for row in rows_of(folder, label, name, file):
                append(chosen.csv, [row])
                print(row, flush=True)


def folders(chosen: argparse.Namespace, scratch: Path) -> Iterator[tuple[PhotoFolder, str]]:
    """The folder that was named, or three reefs of each layout with their names."""
    if chosen.mode == "folder":
        yield ImageFolderData(root=str(chosen.root), group=chosen.group, cache=str(scratch)).folder, chosen.root.name
        return
    for layout in ("centred", "free"):
        for seed in range(FRESH, FRESH + 3):
            yield ReefData(root=str(scratch), draw_seed=seed, layout=layout).folder, f"reef {layout} {seed}"


def rows_of(folder: PhotoFolder, label: str, name: str, file: str) -> Iterator[dict]:
    """A row for each draw of swapped labels."""
    arguments = {"pad_type": "same"} if "mobilenetv2" in name or name.startswith("tf_") else {}
    model = published_network(name, backbone_args=arguments, weights=file, image_size=None)
    values = network_vectors(model, folder, drawn_rows(folder, 10**6), name=name, batch_size=32).values
    true = folder.table["label"].to_numpy()
    groups = np.unique(folder.table["group"], return_inverse=True)[1]
    for draw in range(DRAWS):
        labels, wrong = swapped(true, draw)
        precisions = {
            key: float(np.isin(order[: len(wrong)], wrong).sum() / len(wrong))
            for key, order in rankings(values, labels, groups).items()
        }
        yield {"folder": label, "draw": draw, "photos": len(true), "swapped": len(wrong), **precisions}


def swapped(true: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels with a share of them swapped for another class, and whose."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(true), round(SHARE * len(true)), replace=False)
    labels, classes = true.copy(), int(true.max()) + 1
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return labels, wrong


def rankings(values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Positions from the most suspicious on, by each way; cleanlab's end where it sees no further issue."""
    classes, alone = int(labels.max()) + 1, np.arange(len(labels))
    answers = Head.fitted(values.astype(np.float64), labels, PENALTY).without(groups)
    scale = minimize_scalar(
        lambda log: -log_softmax(answers * np.exp(log), axis=1)[alone, labels].mean(), bounds=(-2, 5), method="bounded"
    ).x
    votes = vote_shares(nearest(values, groups, 10)[0], labels, classes)
    return {
        "ours": np.argsort(-suspicion(answers, labels)[0], kind="stable"),
        "cleanlab, same answers": issues(labels, softmax(answers * np.exp(scale), axis=1)),
        "cleanlab, logistic": issues(labels, logistic(values, labels, groups)),
        "10 neighbours": np.argsort(votes[alone, labels], kind="stable"),
    }


def issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    from cleanlab.filter import find_label_issues

    return find_label_issues(labels, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1)


def logistic(values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Probabilities in five folds by group, of a regression that was fitted without the fold."""
    scaled = StandardScaler().fit_transform(values)
    found = np.zeros((len(labels), int(labels.max()) + 1))
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(scaled, labels, groups):
        fitted = LogisticRegression(C=0.01, max_iter=300).fit(scaled[train], labels[train])
        found[np.ix_(test, fitted.classes_)] = fitted.predict_proba(scaled[test])
    return found


if __name__ == "__main__":
    main()
