"""Runs on one page: a table with means and intervals, curves over each other, and the same photos in all of them."""

import math
from collections.abc import Sequence
from pathlib import Path

from fishnet.environment import as_typed
from fishnet.errors import BadInput
from fishnet.files import write_whole
from fishnet.measure.metrics import direction, metric_of
from fishnet.measure.pictures import MOST_CURVES, curves_picture
from fishnet.measure.significance import Spread, Verdict
from fishnet.page.page import Chapter, Number, Row, render_page
from fishnet.text import counted, few_of
from fishnet.tracking import names
from fishnet.tracking.layout import METRICS, OF_A_FOLDER, OF_AN_AUDIT, duration, short_names
from fishnet.tracking.layout import Row as TrackedRow
from fishnet.tracking.runs import metric_curves
from fishnet.tracking.store import Store

from .arms import Arm, ComparedRun, arms_of, compared, differing_parameters
from .side_by_side import photos_chapter

MAIN = ("test/f1_macro", "all/f1_macro", "best/val_f1_macro", "val/f1_macro")  # the first that a run has ranks
CURVES = [f"{part}/{metric}" for metric in ("loss", "f1_macro") for part in ("train", "val")]
COLUMNS = {**METRICS, **OF_A_FOLDER, **OF_AN_AUDIT, "test loss": ("test/loss",)}
MOST_PARAMETERS = 12


def write_comparison(rows: Sequence[TrackedRow], store: Store, target: Path, *, sort: str, most_photos: int) -> None:
    """Write the page of these runs, whole or not at all.

    Args:
        rows: of the tracker; parents are left out, and so are runs without any metric.
        store: which holds them.
        target: the file.
        sort: a metric to rank by; any other order ranks by F1.
        most_photos: see `photos_chapter`.
    """
    parents = {row.parent for row in rows}
    chosen = [row for row in rows if row.run_id not in parents and row.tags.get(names.ROLE) != "parent" and row.metrics]
    if not chosen:
        raise BadInput("out: none of these runs has measured anything yet.")
    curves = metric_curves(store, [row.run_id for row in chosen], CURVES)
    runs = [ComparedRun(row, curves[row.run_id]) for row in chosen]
    key = next((key for key in (sort, *MAIN) if any(key in run.row.metrics for run in runs)), MAIN[0])
    write_whole(target, comparison_page(runs, key, most_photos))


def comparison_page(runs: Sequence[ComparedRun], key: str, most_photos: int) -> str:
    """The whole page as HTML, ranked by the metric `key`."""
    arms = ranked(arms_of(runs), key)
    measured = [arm for arm in arms if arm.values(key)]
    verdicts = compared(measured[0], measured[1:], key) if measured else {}
    ordered = [run for arm in arms for run in arm.runs]
    labels = [_label(arm, run) for arm in arms for run in arm.runs]
    chapters = [
        table_chapter(arms, verdicts, key),
        curves_chapter(arms),
        photos_chapter(ordered, labels, most_photos),
        runs_chapter(ordered, labels, key),
    ]
    experiments = few_of(sorted({run.row.experiment for run in runs}))
    title = f"{counted(len(runs), 'run')} compared"
    about = f"{as_typed('compare')}: {counted(len(runs), 'run')} of {experiments}, {counted(len(arms), 'setting')}"
    return render_page(
        title, about, [chapter for chapter in chapters if chapter.blocks], answers=answers(measured, verdicts, key)
    )


def ranked(arms: Sequence[Arm], key: str) -> list[Arm]:
    """The best first, those without the metric last."""
    sign = 1 if direction(key) == "min" else -1
    means = {arm.name: sign * arm.figure(key).mean for arm in arms}
    return sorted(arms, key=lambda arm: (math.isnan(means[arm.name]), means[arm.name]))


def _label(arm: Arm, run: ComparedRun) -> str:
    """The arm's name, with the fold and the seed where it has several runs."""
    if len(arm.runs) == 1:
        return arm.name
    fold, seed = next(cell for cell, known in arm.cells.items() if known is run)
    return f"{arm.name} · {'' if fold is None else f'fold {fold}, '}seed {seed % 1_000_000}"


def answers(measured: Sequence[Arm], verdicts: dict[str, Verdict], key: str) -> list[str]:
    """The table in a few sentences."""
    if not measured:
        return [f"No run has the metric {key}."]
    best = measured[0]
    lines = [f"Best by {_words(key)}: {best.name}, {figure_text(best.figure(key), key)}."]
    said = {
        "behind": "Behind it, by more than chance explains: {}.",
        "alike": "Not distinguishable from it: {}.",
        "unknown": "Not known to differ from it, for want of paired photos or folds: {}.",
    }
    for word, sentence in said.items():
        if named := [name for name, verdict in verdicts.items() if verdict.word == word]:
            lines.append(sentence.format(few_of(named)))
    return lines


def _words(key: str) -> str:
    """`test F1` for `test/f1_macro`."""
    metric, part = metric_of(key), key.split("/")[0]
    return key if metric is None else f"{'validation' if 'val' in key else part} {metric.label}"


def figure_text(figure: Spread, key: str) -> str:
    """0.912 [0.880, 0.940]; the interval of a share ends where a share does."""
    if math.isnan(figure.mean):
        return ""
    metric, (low, high) = metric_of(key), (figure.low, figure.high)
    if metric is not None and metric.is_share:
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{figure.mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(figure.low) else "")


# ---- chapters


def table_chapter(arms: Sequence[Arm], verdicts: dict[str, Verdict], key: str) -> Chapter:
    """A row an arm."""
    chapter = Chapter("Figures")
    runs = [run for arm in arms for run in arm.runs]
    (main, _), *others = _columns(runs, key).items()
    parameters = [name for name in differing_parameters(runs) if len({_one(arm, name) for arm in arms}) > 1]
    parameters = parameters[:MOST_PARAMETERS]
    header = ["setting", "runs", main, *(["behind the best by", "p (Holm)"] if verdicts else [])]
    header += [*(heading for heading, _ in others), *short_names(parameters), "time a run"]
    rows = []
    for arm in arms:
        cells: list[object] = [arm.name, len(arm.runs), _figure(arm, key)]
        cells += _behind(verdicts.get(arm.name)) if verdicts else []
        cells += [*(_figure(arm, name) for _, name in others), *(_number(_one(arm, name)) for name in parameters)]
        seconds = sum(run.row.seconds for run in arm.runs) / len(arm.runs)
        best = arm is arms[0] and len(arms) > 1
        rows.append(Row([*cells, Number(duration(seconds), seconds)], "good" if best else ""))
    chapter.add_table(header, rows, numeric=range(1, len(header)), sortable=True)
    chapter.add_text(
        "Runs that differ only in seed and fold are one row: the mean, and the 95 % interval over folds (over seeds "
        "where there is one fold). Of a single run the interval is over its photos, by groups. A click on a column's "
        "name sorts.",
        style="soft",
    )
    if known := sorted({v.difference.how for v in verdicts.values() if v.difference is not None}):
        chapter.add_text(
            f"Differences from the best in {_words(key)} are over the folds and seeds that both have: "
            f"{'; '.join(known)}. The best was picked by looking, so p is corrected for all pairs (Holm).",
            style="soft",
        )
    return chapter


def _columns(runs: Sequence[ComparedRun], key: str) -> dict[str, str]:
    """Heading → metric, the one that ranks first, of those that some run has."""
    found = {_words(key): key}
    for heading, keys in COLUMNS.items():
        known = next((name for name in keys if any(name in run.row.metrics for run in runs)), None)
        if known is not None and known not in found.values():
            found[heading] = known
    return found


def _figure(arm: Arm, key: str) -> Number:
    figure = arm.figure(key)
    return Number(figure_text(figure, key), figure.mean)


def _one(arm: Arm, parameter: str) -> str:
    return arm.runs[0].row.params.get(parameter, "")


def _number(text: str) -> object:
    """A parameter as a number where it is one, so that it is sorted as one."""
    try:
        return Number(text, float(text))
    except ValueError:
        return text


def _behind(verdict: Verdict | None) -> list[object]:
    """The difference from the best with its interval, and its p-value; of the best itself nothing."""
    nothing = Number("", math.nan)
    if verdict is None:
        return [nothing, nothing]
    difference = verdict.difference
    if difference is None:
        return [Number("unknown", math.nan), nothing]
    ends = f" [{difference.low:.3f}, {difference.high:.3f}]" if difference.error else ""
    p = "< 0.001" if verdict.p < 0.001 else f"{verdict.p:.2g}"
    return [Number(f"{difference.value:.3f}{ends}", difference.value), Number(p, verdict.p)]


def curves_chapter(arms: Sequence[Arm]) -> Chapter:
    """Learning curves over each other."""
    chapter = Chapter("Learning curves")
    shown = {arm.name: [run.curves for run in arm.runs] for arm in arms if any(run.curves for run in arm.runs)}
    if drawn := curves_picture(dict(list(shown.items())[:MOST_CURVES]), ["loss", "f1_macro"]):
        more = f" The best {MOST_CURVES} of {len(shown)}." if len(shown) > MOST_CURVES else ""
        chapter.add_figure(
            drawn, f"By epoch, the mean over the runs of a setting: dotted on training photos, solid on validation "
            f"photos.{more}",
        )  # fmt: skip
    return chapter


def runs_chapter(runs: Sequence[ComparedRun], labels: Sequence[str], key: str) -> Chapter:
    """A row a run, and where it lies."""
    chapter = Chapter("Every run")
    columns = _columns(runs, key)
    rows = [
        [
            label, run.row.name, run.row.status.lower(), run.row.started.strftime("%Y-%m-%d %H:%M"),
            *(run.row.metrics.get(name) for name in columns.values()),
            run.row.run_id, str(run.folder or "not on this machine"),
        ]
        for run, label in zip(runs, labels, strict=True)
    ]  # fmt: skip
    header = ["run", "name", "status", "started", *columns, "id", "folder"]
    folded = "Names, ids and folders"
    chapter.add_table(header, rows, numeric=range(3, 4 + len(columns)), folded=folded, sortable=True)
    return chapter
