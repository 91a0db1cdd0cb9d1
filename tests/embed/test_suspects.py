"""Swapped labels come first, and the list is one that a training takes."""

import numpy as np
import pandas as pd

from fishnet.data.curation import curated
from fishnet.embed.suspects import suspicious_labels
from tests.embed.test_feasibility import clouds

NAMES = ["chub", "dace", "perch", "roach"]


def swapped(share: float = 0.03):
    """A table of photos, some of which have the label of another class; their vectors, groups, and who is swapped."""
    values, labels, groups = clouds(4, 25, 2, apart=2, between=1)
    rng = np.random.default_rng(1)
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    given = labels.copy()
    given[wrong] = (labels[wrong] + rng.integers(1, 4, len(wrong))) % 4
    names = np.array(NAMES, object)[given]
    paths = [f"{name}/{number:03d}.jpg" for number, name in enumerate(names)]
    table = pd.DataFrame({"path": paths, "sha256": [f"{number:064x}" for number in range(len(paths))], "class": names})
    return table, values, groups, wrong, np.array(NAMES, object)[labels]


def test_swapped_labels_come_first():
    table, values, groups, wrong, _ = swapped()
    listed = suspicious_labels(table, values, groups)
    first = listed["path"].head(len(wrong))
    assert set(first) == set(table["path"].iloc[wrong])
    assert (listed["by"].diff().dropna() <= 0).all()


def test_without_wrong_labels_nothing_is_accused():
    table, values, groups, *_ = swapped(share=0)
    assert suspicious_labels(table, values, groups).empty


def test_a_training_takes_the_list_and_has_the_true_labels_back(tmp_path):
    table, values, groups, wrong, true = swapped()
    suspicious_labels(table, values, groups).head(len(wrong)).to_csv(tmp_path / "suspects.csv", index=False)
    lines = pd.read_csv(tmp_path / "suspects.csv", keep_default_na=False)
    kept, sentences = curated(table, str(tmp_path / "suspects.csv"), classes=NAMES, known=[])
    assert len(kept) == len(table) - (lines["action"] == "drop").sum()
    assert (kept["class"].to_numpy() == true[np.isin(table["path"], kept["path"])]).all()
    assert (lines["action"] == "relabel").sum() >= len(wrong) // 2 and len(sentences) == 1
