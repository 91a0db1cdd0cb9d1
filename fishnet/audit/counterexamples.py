"""Photos of a class without what it rests on: the command that collects more, so that a training can do without it.

No source can be asked for photos without a cue. What it can be asked for is another lot, and the days on which fewer of
the class's photos have carried the cue.
"""

import functools
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from fishnet.cells import restored_table
from fishnet.data.folder import PhotoFolder
from fishnet.page.page import Chapter, prose
from fishnet.text import slug

from .sections import Audited, Section
from .significance import FEWEST
from .verdicts import Verdict

SURE = 0.05  # of the test that carriers and others differ in their days

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def counterexamples_section(audited: Audited) -> Section | None:
    """A command for each class that rests on something."""
    resting = [verdict for verdict in audited.found if verdict.word == "shortcut"]
    if not resting:
        return None
    chapter = Chapter("Photos without the cue")
    chapter.add_text(_prose().counterexamples(len(resting)))
    for verdict in resting:
        days = fewer_carriers(audited, verdict)
        chapter.add_text(_prose().counterexamples_of(replace(verdict, name=audited.called.full(verdict.name)), days))
        settings = collect_settings(audited, verdict, days)
        chapter.add_code(" ".join(["fishnet collect", *(f"{key}={shlex.quote(v)}" for key, v in settings.items())]))
    chapter.add_text(_prose().second_round())
    return Section(chapter)


def collect_settings(audited: Audited, verdict: Verdict, days: dict[str, str]) -> dict[str, str]:
    """What `fishnet collect` is given: the species, a folder of its own, as many photos as there are carriers and at
    least as many as a verdict needs, another lot, and the days."""
    root = audited.folder.root
    carriers = int((audited.photos["carries"] & (audited.photos["class"] == verdict.name)).sum())
    settings = {
        "taxa": species_of(audited.folder, verdict.name),
        "name": f"{slug(root.name)}-{slug(verdict.name)}"[:80],
    }
    return {**settings, "limit": str(max(FEWEST, carriers)), "seed": "1", **days}


def species_of(folder: PhotoFolder, name: str) -> str:
    """Its number where the folder was collected, and else the name of the class with blanks for underscores."""
    try:
        classes = restored_table(pd.read_csv(folder.root / "classes.csv", dtype=str, keep_default_na=False))
        numbers = dict(zip(classes["class"], classes["taxon_id"], strict=True))
    except (OSError, ValueError, KeyError):
        numbers = {}
    return numbers.get(name) or name.replace("_", " ")


def fewer_carriers(audited: Audited, verdict: Verdict) -> dict[str, str]:
    """`since` a quartile of the class's days or `until` the day before, where surely fewer of them carry the cue;
    nothing where no days are known or they make no difference."""
    table = audited.folder.table
    if "taken_on" not in table:
        return {}
    own = audited.photos[audited.photos["class"] == verdict.name]
    known = table.drop_duplicates("path").set_index("path")["taken_on"]
    moments = pd.to_datetime(known.reindex(own["path"]), errors="coerce", format="ISO8601", utc=True)
    dated = moments.notna().to_numpy()
    days = moments[dated].dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    carries, ordered = own["carries"].to_numpy()[dated], np.sort(days)
    borders = np.unique(ordered[[len(days) * part // 4 for part in (1, 2, 3)]]) if len(days) else ordered
    best = min((split_by_day(days, carries, border) for border in borders), default=None)
    if best is None or best[0] * len(borders) >= SURE:
        return {}
    return {"since": str(best[1])} if best[2] else {"until": str(best[1] - np.timedelta64(1, "D"))}


def split_by_day(days: np.ndarray, carries: np.ndarray, border: np.datetime64) -> tuple[float, np.datetime64, bool]:
    """Fisher's p that photos since the border and those before it carry the cue alike, the border, and whether the
    later ones carry it less."""
    counts = [[int((carries & part).sum()), int((~carries & part).sum())] for part in (days >= border, days < border)]
    fewer = counts[0][0] * sum(counts[1]) < counts[1][0] * sum(counts[0])
    return float(stats.fisher_exact(counts).pvalue), border, fewer
