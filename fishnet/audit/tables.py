"""The audit as files: a row a class, a row a photo, and the figures by which runs are ranked."""

from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.files import replacing
from fishnet.text import counted, slugs

from .folder import FolderAudit
from .verdicts import Verdict, reliance_max


def sentence(verdict: Verdict) -> str:
    """The verdict in words."""
    if verdict.word == "withheld":
        return f"no verdict: {verdict.reason}"
    if verdict.word == "nothing":
        return "nothing found"
    return (
        f"leans on {verdict.carried_by} in {counted(len(verdict.test.carriers), 'photo')} of {verdict.test.donors} "
        f"(basis {verdict.basis})"
    )


def write_tables(audit: FolderAudit, found: list[Verdict], folder: Path) -> None:
    """verdicts.csv and photos.csv, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("verdicts", verdict_table(audit, found)), ("photos", photo_table(audit, found))):
        with replacing(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)


def verdict_table(audit: FolderAudit, found: list[Verdict]) -> pd.DataFrame:
    """A row a class: verdict, figures, the p-value of each kind."""
    rows = []
    for label, verdict in enumerate(found):
        test = verdict.test
        figures = {"kind": test.kind, "p": test.p, "reliance": verdict.reliance}
        figures |= dict(zip(("effect", "effect_low", "effect_high"), test.effect, strict=True))
        figures |= {"donors": test.donors, "carriers": len(test.carriers), "recall": audit.recall(label)}
        figures |= {f"p_{kind}": p for kind, p in test.by_kind.items()}
        words = {"verdict": verdict.word, "basis": verdict.basis, "reason": verdict.reason}
        rows.append({"class": verdict.name, **words, **figures})
    return pd.DataFrame(rows)


def photo_table(audit: FolderAudit, found: list[Verdict]) -> pd.DataFrame:
    """A row a donor, those first that carry most of what their class rests on."""
    labels = audit.effects.labels
    kinds = np.array([audit.effects.kinds.index(verdict.test.kind) for verdict in found])[labels]
    rise = audit.effects.probabilities[kinds, np.arange(len(labels)), labels]
    carriers = np.zeros(len(labels), bool)
    for verdict in found:
        carriers[verdict.test.carriers] = verdict.word == "shortcut"
    known = [name for name in ("path", "class", "group", "seen", "observer", "url") if name in audit.photos]
    table = audit.photos.iloc[audit.donors][known].reset_index(drop=True)
    table = table.assign(kind=[found[label].test.kind for label in labels], rise=rise.round(5), carries=carriers)
    return table.sort_values(["class", "carries", "rise"], ascending=[True, False, False], kind="stable")


def metrics_of(audit: FolderAudit, found: list[Verdict]) -> dict[str, float]:
    """Names as in MLflow; those without a figure are left out."""
    names = slugs(audit.classes)
    values = {
        "audit/reliance_max": reliance_max(found),
        "audit/shortcuts": float(sum(verdict.word == "shortcut" for verdict in found)),
        "audit/accuracy": audit.accuracy,
        **{f"audit/reliance/{slug}": v.reliance for slug, v in zip(names, found, strict=True) if v.word != "withheld"},
    }
    return {name: value for name, value in values.items() if np.isfinite(value)}
