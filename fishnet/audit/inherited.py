"""Whether a class's reaction is inherited: whether a model reacts too that was trained without the class's carriers.

A network reacts to things that none of its classes has taught it, by its ImageNet weights or by chance. Who leaves the
carriers out of the training and still sees the reaction need not look for its reason in the class's photos. Nothing is
trained here; `config/references.py` does that between the plan and the answer.
"""

import functools
from typing import Any

import numpy as np
import pandas as pd

from fishnet.models.interface import Classifier
from fishnet.page.page import Chapter, prose

from .exchange import Effects
from .folder import answers, effects_again
from .sections import Audited, Section
from .significance import ClassTest, share_of

FEWEST_LEFT = 20  # training photos of a class, without which it is another class that is learned
HALF = 0.5  # of the share that the audited model shows
COLUMNS = ["class", "dropped", "left", "reason", "kind", "share", "reference", "low", "high", "accuracy", "inherited"]

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def plan_of(audited: Audited) -> pd.DataFrame:
    """A row for each class that rests on a shortcut: how many of its training photos carry it (`dropped`), how many do
    not (`left`), and the `reason` for which no reference is tried, else empty."""
    table, photos = audited.folder.table, audited.photos
    rows = []
    for label, verdict in enumerate(audited.found):
        if verdict.word != "shortcut":
            continue
        trained = int(((table["seen"] == "train") & (table["label"] == label)).sum())
        dropped = int((_carried(photos) & (photos["class"] == verdict.name)).sum())
        reason = f"{trained - dropped} training photos would be left, and {FEWEST_LEFT} are needed"
        reason = "" if trained - dropped >= FEWEST_LEFT else reason
        reason = reason if dropped else "none of its training photos was found to carry it"
        rows.append({"class": verdict.name, "dropped": dropped, "left": trained - dropped, "reason": reason})
    return pd.DataFrame(rows, columns=["class", "dropped", "left", "reason"])


def dropped_photos(audited: Audited, plan: pd.DataFrame) -> pd.DataFrame:
    """The list for `data.curation` that leaves the carriers of the planned classes out of the training."""
    tried = plan.loc[plan["reason"] == "", "class"]
    carriers = audited.photos[_carried(audited.photos) & audited.photos["class"].isin(tried)]
    return carriers[["path", "sha256"]].assign(action="drop", value="", note="carries what its class rests on")


def _carried(photos: pd.DataFrame) -> pd.Series:
    return photos["carries"].astype(bool) & (photos["seen"] == "train")


def reactions(audited: Audited, plan: pd.DataFrame, reference: Classifier | None, about: dict) -> pd.DataFrame:
    """The plan with COLUMNS: the share of the answer that the audited model and the reference give to what was found,
    by the same donors on the same hosts, and whether the class's reaction is `inherited`: `yes`, `no`, or nothing where
    it was not tried or too few photos tell.

    Args:
        audited: the model and the folder.
        plan: of `plan_of`.
        reference: trained without the carriers; None where no class is tried.
        about: names it.
    """
    if reference is None:
        return plan.reindex(columns=COLUMNS).assign(kind="", inherited="")
    measured, tests = audited.measured, {verdict.name: verdict.test for verdict in audited.found}
    tried = plan.loc[plan["reason"] == "", "class"]
    effects = effects_again(
        reference, audited.folder, measured, hosts=measured.hosts, donors=measured.donors,
        kinds=sorted({tests[name].kind for name in tried}), stored=audited.stored / "effects", about=about,
    )  # fmt: skip
    shown = {name: reaction(effects, measured.classes.index(name), tests[name]) for name in tried}
    accuracy = held_out_accuracy(audited, reference)
    unknown = {"kind": "", "inherited": ""}
    return pd.DataFrame(
        [{**row, "accuracy": accuracy, **shown.get(row["class"], unknown)} for row in plan.to_dict("records")],
        columns=COLUMNS,
    )


def reaction(effects: Effects, label: int, test: ClassTest) -> dict[str, Any]:
    """What the reference shows of a class, beside what the audited model does (`share`).

    `inherited` is `yes` where the reference shows at least HALF of the share, and beyond doubt some of it; `no` where
    it shows less; and nothing where it shows as much but may not react at all.
    """
    share = test.share[0]
    value, low, high = share_of(effects, label, test.kind, test.left_out)
    inherited = "no" if value < HALF * share else "yes" if low > 0 else ""
    reason = "" if inherited else "too few photos tell whether the reference reacts"
    figures = {"kind": test.kind, "share": share, "reference": value, "low": low, "high": high}
    return {**figures, "inherited": inherited, "reason": reason}


def held_out_accuracy(audited: Audited, reference: Classifier) -> float:
    """Of the reference, on photos that it was not trained on: one that has learned nothing proves nothing."""
    table = audited.folder.table
    rows = np.flatnonzero(table["seen"] != "train")
    right = answers(reference, audited.folder, rows, audited.batch_size).argmax(axis=1) == table["label"].iloc[rows]
    return float(right.mean())


def reference_section(audited: Audited) -> Section | None:
    """The reference beside the model, a row for each class that rests on a shortcut; None where none was asked for."""
    table = audited.reference
    if table is None or not len(table):
        return None
    chapter = Chapter("Without the photos that carry it")
    chapter.add_text(_prose().reference(HALF, bool(table["reference"].notna().any())))
    rows = [
        [audited.called.full(row["class"]), row["dropped"], row["left"],
         *(row[name] for name in ("share", "reference", "accuracy")),
         row["inherited"] or f"not decided: {row['reason']}"]
        for row in table.to_dict("records")
    ]  # fmt: skip
    header = ["class", "left out", "learned from", "share of the answer", "in the reference", "its accuracy"]
    chapter.add_table([*header, "inherited"], rows, numeric=range(1, 6))
    return Section(
        chapter, {"reference": table.round(4)}, {"audit/inherited": float((table["inherited"] == "yes").sum())}
    )
