"""Which classes are taken for which, and what the animal and what its surroundings contribute to that.

In a photo that is taken for another class, the difference of the two logits is a sum over cells and the difference of
two constants; the cells are split by the animal's region. The parts add up to the difference exactly.
"""

import functools

import numpy as np
import pandas as pd

from fishnet.explain.additive import is_additive
from fishnet.page.page import Chapter, prose

from .evidence import Evidence, evidence_of
from .sections import Audited, Section

SHOWN = 8  # confusions on the page; all are in the table

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def confusions_section(audited: Audited) -> Section | None:
    """The most frequent confusions; None where nothing is confused, or where evidence does not add up to logits."""
    if not is_additive(audited.model):
        return None
    photos = audited.measured.photos
    table = confusion_table(evidence_of(audited), photos["label"].to_numpy(), audited.measured.classes)
    if not len(table):
        return None
    chapter = Chapter("What is confused, and by what")
    chapter.add_text(_prose().confusions(int(table["photos"].sum()), len(photos)))
    columns = ["difference", "animal", "context", "constant"]
    rows = [
        [*map(audited.called.full, (row["true"], row["predicted"])), row["photos"],
         *(f"{row[column]:+.2f}" for column in columns), row["by_context"]]
        for row in table.head(SHOWN).to_dict("records")
    ]  # fmt: skip
    header = ["class", "taken for", "photos", "apart", "animal", "context", "constant", "by context"]
    chapter.add_table(header, rows, numeric=range(2, 8))
    return Section(chapter, {"confusions": table})


def confusion_table(evidence: Evidence, labels: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """A row for each pair of a class and another that its photos are taken for, the most frequent first.

    `difference` is by how much the logit of the other class lies above that of the photo's own, on average; `animal`,
    `context` and `constant` are its parts, and `by_context` counts the photos in which, without the part of the
    context, the other class would not be ahead.
    """
    photos = photo_differences(evidence, labels)
    photos = photos.assign(by_context=photos["difference"] - photos["context"] <= 0)
    pairs = photos.groupby(["true", "predicted"])
    means = pairs[["difference", "animal", "context", "constant"]].mean().round(5)
    table = pairs.size().rename("photos").to_frame().join(means).join(pairs["by_context"].sum()).reset_index()
    names = dict(enumerate(classes))
    table = table.assign(true=table["true"].map(names), predicted=table["predicted"].map(names))
    return table.sort_values(["photos", "difference"], ascending=False, kind="stable", ignore_index=True)


def photo_differences(evidence: Evidence, labels: np.ndarray) -> pd.DataFrame:
    """A row for each photo that is taken for another class: `position`, `true` and `predicted` label, the `difference`
    of their logits, and its parts `animal`, `context` and `constant`."""
    wrong = np.flatnonzero(evidence.predicted != labels)
    true, predicted = labels[wrong], evidence.predicted[wrong]
    ahead, inside = (evidence.answered - evidence.own)[wrong].astype(float), evidence.inside[wrong]
    return pd.DataFrame(
        {
            "position": wrong, "true": true, "predicted": predicted,
            "difference": evidence.logits[wrong, predicted] - evidence.logits[wrong, true],
            "animal": (ahead * inside).sum(axis=(1, 2)), "context": (ahead * (1 - inside)).sum(axis=(1, 2)),
            "constant": evidence.bias[predicted] - evidence.bias[true],
        }
    )  # fmt: skip
