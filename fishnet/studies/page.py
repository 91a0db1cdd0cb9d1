"""report.html: one page a study, without a network: what was tried, what may be believed, what was chosen and why."""

import html
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from fishnet.files import write_whole
from fishnet.text import counted
from fishnet.tracking.layout import duration

from .journal import Journal
from .protocol import Protocol
from .scoring import OTHER_PHOTOS, StageState, photos_differ
from .sections import chosen_names, section
from .table import remaining, write_results

log = logging.getLogger("fishnet")

CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#22303c;max-width:78rem;margin:2rem auto;padding:0 1.2rem;background:#fff}
h1{margin-bottom:.2rem} h2{margin-top:2.6rem;border-top:1px solid #e2e8f0;padding-top:1.2rem}
table{border-collapse:collapse;font-size:13px;margin:.8rem 0;display:block;overflow-x:auto}
th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid #edf2f7;white-space:nowrap}
th:first-child,td:first-child,td.l,th.l{text-align:left}
td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:11rem} td.l{white-space:normal;min-width:11rem}
tr.kept td{background:#f0fff4;font-weight:600} tr.failed td{color:#c53030} tr.pruned td{color:#975a16}
.soft{color:#5a6b7b} svg{max-width:100%;height:auto} code{background:#f4f6f8;padding:.05rem .3rem;border-radius:3px}
summary{cursor:pointer;color:#2b6cb0}
pre{font-size:12px;overflow-x:auto} img{max-width:100%}
figure{display:inline-block;width:47%;min-width:22rem;margin:.6rem 1% .6rem 0;vertical-align:top}
.why{background:#f7fafc;border-left:4px solid #2f855a;padding:.5rem .9rem}
"""
REFRESH = '<meta http-equiv="refresh" content="30">'
EVERY = 60.0  # seconds between two pages of a study that runs


class LivingPage:
    """While a study runs the page follows: at the end of each stage, and now and then between."""

    def __init__(self, protocol: Protocol, journal: Journal, given: Sequence[str]) -> None:
        self.protocol, self.journal, self.given = protocol, journal, given
        self.path = journal.folder / "report.html"
        self._told, self._at = (0, 0), time.monotonic()

    def __call__(self, states: Sequence[StageState]) -> None:
        chosen = sum(state.choice is not None for state in states)
        trials = sum(one.state != "open" for state in states for one in state.scored)
        news = chosen != self._told[0] or (trials != self._told[1] and time.monotonic() - self._at > EVERY)
        if news and chosen < len(states):
            self.write(states, live=True)
            self._told, self._at = (chosen, trials), time.monotonic()

    def write(self, states: Sequence[StageState], *, live: bool = False) -> None:
        try:
            write_results(self.path.with_name("results.csv"), states)
            write_page(self.path, self.protocol, states, self.journal, self.given, live=live)
        except OSError as error:  # a full disk; what was chosen stands in selected.json
            log.warning("The page could not be written: %s", error)


def write_page(
    path: Path,
    protocol: Protocol,
    states: Sequence[StageState],
    journal: Journal,
    given: Sequence[str],
    *,
    live: bool = False,
) -> None:
    parts = [_head(protocol, states, given)]
    parts += [_told(number, state, journal) for number, state in enumerate(states, 1)]
    body = "\n".join(parts)
    title = html.escape(f"{protocol.name}: {protocol.title}")
    write_whole(
        path,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>{REFRESH if live else ""}'
        f'<meta name="viewport" content="width=device-width"><style>{CSS}</style><body>{body}</body></html>\n',
    )


def _told(number: int, state: StageState, journal: Journal) -> str:
    """A study is not stopped by what one of its trainings has left: where that cannot be told, the reason stands."""
    try:
        return section(number, state, journal)
    except Exception as error:
        log.warning("The page cannot tell of stage %s: %s: %s", state.stage.name, type(error).__name__, error)
        return (
            f"<h2 id='s{number}'>{number} · {html.escape(state.stage.name)}</h2>"
            f"<p><b>This stage cannot be shown</b>: {html.escape(f'{type(error).__name__}: {error}')}. "
            "results.csv and selected.json tell what came out.</p>"
        )


def _head(protocol: Protocol, states: Sequence[StageState], given: Sequence[str]) -> str:
    trials = [one for state in states for one in state.scored]
    spent = sum(one.seconds for one in trials)
    failed = sum(one.state == "failed" for one in trials)
    trainings = sum(len(one.results) for one in trials)
    left = remaining(states).whole
    open_stages = [state.stage.name for state in states if state.choice is None]
    told = f"{counted(len(trials), 'trial')} in {counted(trainings, 'training')}, {duration(spent)} of training"
    told += f", {failed} failed" if failed else ""
    if open_stages:
        told += f"; not decided yet: {', '.join(open_stages)}"
        told += f" (about {duration(left)} more)" if left else ""
    beware = f"<p><b>Beware</b>: {OTHER_PHOTOS}</p>" if photos_differ(trials) else ""
    rows = "".join(_summary_row(number, state) for number, state in enumerate(states, 1))
    words = f"<p class=soft>with <code>{html.escape(' '.join(given))}</code></p>" if given else ""
    return (
        f"<h1>{html.escape(protocol.title)}</h1>"
        f"<p class=soft>study <code>{html.escape(protocol.name)}</code> · {told}</p>"
        f"{words}<p>{html.escape(protocol.claim)}</p>{beware}"
        "<table><tr><th>stage</th><th>trials</th><th class=l>chosen</th><th>by</th><th>time spent</th></tr>"
        f"{rows}</table>"
    )


def _summary_row(number: int, state: StageState) -> str:
    shown = ", ".join(chosen_names(state.choice.record)) if state.choice else "–"
    cells = [
        f"<a href='#s{number}'>{number} {html.escape(state.stage.name)}</a>",
        f"{len(state.scored)}",
        html.escape(shown),
        html.escape(state.stage.score if not state.stage.is_range_test else "range test"),
        duration(sum(one.seconds for one in state.scored)),
    ]
    marks = ["", "", " class=l", "", ""]
    return "<tr>" + "".join(f"<td{m}>{c}</td>" for m, c in zip(marks, cells, strict=True)) + "</tr>"
