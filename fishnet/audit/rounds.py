"""Two audits side by side: what each class rested on before, and what it rests on now."""

import functools
from pathlib import Path

import pandas as pd

from fishnet.cells import restored_table
from fishnet.errors import BadInput
from fishnet.page.page import Chapter, Row, prose

from .sections import Audited, Section
from .tables import verdict_table
from .verdicts import CARRIED_BY

SHOWN = ["verdict", "kind", "reliance", "p", "donors"]  # of verdicts.csv

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def read_round(folder: Path) -> pd.DataFrame:
    """The verdicts of an earlier audit from the folder of its run, by class; or BadInput."""
    file = folder / "audit" / "verdicts.csv"
    try:
        table = pd.read_csv(file, dtype={"class": str, "verdict": str, "kind": str}, keep_default_na=False)
        table = restored_table(table)
        return table.set_index("class")[SHOWN].astype({"reliance": float, "p": float, "donors": int})
    except FileNotFoundError:
        raise BadInput(
            f"before={folder}: there is no {file}; give the folder that an audit has written (out=)."
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"before={folder}: {file} is no table of an audit ({error}).") from error


def rounds_section(audited: Audited) -> Section | None:
    """A row a class of either audit; None where no earlier one was named."""
    if audited.before is None:
        return None
    now = verdict_table(audited.measured, audited.found).set_index("class")[SHOWN]
    both = audited.before.join(now, how="outer", lsuffix="_before").reindex(now.index.union(audited.before.index))
    chapter = Chapter("Before and now")
    chapter.add_text(_prose().rounds())
    rows = [_row(audited.called.full(str(name)), row) for name, row in both.iterrows()]
    header = ["class", "rests on", "reliance", "p", "photos tried"]
    chapter.add_table(header, rows, numeric=[2, 3, 4])
    return Section(chapter, {"rounds": both.rename_axis("class").reset_index()})


def _row(name: str, row: pd.Series) -> Row:
    """Cells with an arrow from before to now; green where a shortcut is gone, red where there is one."""
    was, now = (row[f"verdict{when}"] == "shortcut" for when in ("_before", ""))
    on = [_words(row[f"verdict{when}"], row[f"kind{when}"]) for when in ("_before", "")]
    figures = [
        " → ".join(
            "–" if pd.isna(row[f"{key}{when}"]) else form.format(row[f"{key}{when}"]) for when in ("_before", "")
        )
        for key, form in (("reliance", "{:.2f}"), ("p", "{:.1g}"), ("donors", "{:.0f}"))
    ]
    return Row([name, " → ".join(on) if on[0] != on[1] else on[0], *figures], "bad" if now else "good" if was else "")


def _words(verdict: object, kind: object) -> str:
    if verdict == "shortcut":
        return CARRIED_BY.get(str(kind), str(kind))
    return {"nothing": "nothing", "withheld": "no verdict"}.get(str(verdict), "not judged")
