"""The photos of the folder that were not judged because they cannot be read, and why."""

import functools

from fishnet.page.page import Chapter, prose

from .sections import Audited, Section

SHOWN = 10  # photos on the page; all are in refused.csv

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def refused_section(audited: Audited) -> Section | None:
    """refused.csv with `path` and `reason`; None where every photo can be read."""
    refused = audited.folder.index.refused
    if not len(refused):
        return None
    chapter = Chapter("Photos that cannot be read")
    chapter.add_text(_prose().refused(len(refused)))
    chapter.add_table(["photo", "reason"], refused[["path", "reason"]].head(SHOWN).to_numpy().tolist())
    return Section(chapter, {"refused": refused[["path", "reason"]]})
