"""The audit as files: a row a class, a row a photo, and the figures by which runs are ranked."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fishnet.cells import defused_table
from fishnet.data.class_names import ClassNames
from fishnet.files import replacing
from fishnet.text import counted, slugs

from .folder import FolderAudit
from .mending import Mending
from .sections import Audited
from .significance import smallest_found
from .verdicts import Verdict, reliance_max

COLUMNS = ("path", "sha256", "class", "group", "seen", "observer", "url")  # of a photo, where they are known


def sentence(verdict: Verdict) -> str:
    """The verdict in words."""
    if verdict.word == "withheld":
        return f"no verdict: {verdict.reason}"
    if verdict.word == "nothing":
        return "too little to count" if verdict.test.flagged else "nothing found"
    inherited = {"yes": ", inherited", "no": ", not inherited"}.get(verdict.inherited, "")
    return (
        f"leans on {verdict.carried_by} in {counted(len(verdict.test.carriers), 'photo')} of {verdict.test.donors} "
        f"(basis {verdict.basis}{inherited})"
    )


def write_tables(
    audit: FolderAudit, found: list[Verdict], photos: pd.DataFrame, folder: Path, names: ClassNames
) -> None:
    """verdicts.csv, photos.csv and, where a photo carries a shortcut, curation.csv, each whole or not at all."""
    tables = {"verdicts": verdict_table(audit, found), "photos": photos, "curation": curation_table(photos, found)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if len(table):
            write_table(names.beside(table, {"class": "class_name"}), folder / f"{name}.csv")


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Whole or not at all."""
    with replacing(file) as temporary:
        defused_table(table).to_csv(temporary, index=False)


def verdict_table(audit: FolderAudit, found: list[Verdict]) -> pd.DataFrame:
    """A row a class: verdict, figures, the p-value of each kind."""
    rows = []
    for label, verdict in enumerate(found):
        test = verdict.test
        figures = {"kind": test.kind, "p": test.p, "reliance": verdict.reliance}
        figures |= dict(zip(("effect", "effect_low", "effect_high"), test.effect, strict=True))
        figures |= dict(zip(("share", "share_low", "share_high"), test.share, strict=True))
        figures |= {"donors": test.donors, "carriers": len(test.carriers), "recall": audit.recalls[label]}
        figures["detectable"] = smallest_found(audit.effects, label)
        figures |= {f"p_{kind}": p for kind, p in test.by_kind.items()}
        words = {"verdict": verdict.word, "basis": verdict.basis, "reason": verdict.reason}
        words["inherited"] = verdict.inherited
        rows.append({"class": verdict.name, **words, **figures})
    return pd.DataFrame(rows)


def photo_table(audit: FolderAudit, found: list[Verdict], trained: pd.DataFrame) -> pd.DataFrame:
    """A row a donor, and a row a training photo of classes that rest on a shortcut (`trained`, of
    `training_carriers`); in each class those first that carry most of what it rests on."""
    labels = audit.effects.labels
    kinds = np.array([audit.effects.kinds.index(verdict.test.kind) for verdict in found])[labels]
    rise = audit.effects.probabilities[kinds, np.arange(len(labels)), labels]
    carriers = np.zeros(len(labels), bool)
    for verdict in found:
        carriers[verdict.test.carriers] = verdict.word == "shortcut"
    known = [name for name in COLUMNS if name in audit.photos]
    table = audit.photos.iloc[audit.donors][known].reset_index(drop=True)
    table = table.assign(kind=[found[label].test.kind for label in labels], rise=rise.round(5), carries=carriers)
    table = pd.concat([table, trained[[*table.columns]]], ignore_index=True) if len(trained) else table
    return table.sort_values(["class", "carries", "rise"], ascending=[True, False, False], kind="stable")


def curation_table(photos: pd.DataFrame, found: list[Verdict]) -> pd.DataFrame:
    """The carriers, as a list for `data.curation` that changes nothing until it is edited: each weighs 1."""
    carriers, by_name = photos[photos["carries"]], {verdict.name: verdict for verdict in found}
    notes = [
        f"carries {by_name[name].carried_by}: raises {name} by {rise:.2f} elsewhere; lower the weight, or write drop"
        for name, rise in zip(carriers["class"], carriers["rise"], strict=True)
    ]
    table = carriers[["path", "sha256"]].assign(action="weigh", value=1, note=notes)
    return table.assign(**{"class": carriers["class"]})


def audit_record(audited: Audited, *, model: str, alpha: float) -> dict[str, Any]:
    """What a model's folder keeps of its audit: plain values, None where there is no figure."""
    measured, most = audited.measured, reliance_max(audited.found)
    verdicts = [
        {"class": verdict.name, "verdict": verdict.word, "reason": verdict.reason, "basis": verdict.basis}
        | ({"kind": verdict.test.kind, "rests_on": verdict.carried_by} if verdict.word == "shortcut" else {})
        | ({"inherited": verdict.inherited} if verdict.inherited else {})
        | {"reliance": verdict.reliance, "p": verdict.test.p, "photos": verdict.test.donors}
        for verdict in audited.found
    ]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "model": model, "data": audited.folder.index.digest,
        "region": measured.regions.how, "region_given": measured.regions.given, "alpha": alpha,
        "judged": measured.judged, "accuracy": measured.accuracy, "folds": measured.folds,
        "reliance_max": most if np.isfinite(most) else None, "verdicts": verdicts,
    }  # fmt: skip


def metrics_of(audit: FolderAudit, found: list[Verdict], mending: Mending | None = None) -> dict[str, float]:
    """Names as in MLflow; those without a figure are left out."""
    names = slugs(audit.classes)
    values = {
        "audit/reliance_max": reliance_max(found),
        "audit/share_max": max((v.share for v in found if v.word != "withheld"), default=np.nan),
        "audit/shortcuts": float(sum(verdict.word == "shortcut" for verdict in found)),
        "audit/accuracy": audit.accuracy,
        **{f"audit/reliance/{slug}": v.reliance for slug, v in zip(names, found, strict=True) if v.word != "withheld"},
        **{f"audit/share/{slug}": v.share for slug, v in zip(names, found, strict=True) if v.word != "withheld"},
    }
    if mending is not None and mending.checkpoint is not None:
        figures = mending.figures
        for name in ("share", "reliance"):
            values[f"audit/mended/{name}_max"] = figures.loc[figures["figure"] == name, "after"].max()
        values |= {f"audit/mended/{name}": mending.row(name)["after"] for name in ("accuracy", "f1_macro")}
    return {name: value for name, value in values.items() if np.isfinite(value)}
