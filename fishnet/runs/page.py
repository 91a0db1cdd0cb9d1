"""`report/report.html`: what came of a run, for those who read no tables. It is made from what the run has left in its
folder, and from its photos; figures are read from the files that hold them and never computed again."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fishnet.callbacks.report import curves_file
from fishnet.cells import restored_table
from fishnet.data.datamodule import ImageFolderData
from fishnet.explain.cards import cards_of
from fishnet.explain.contact import cards_chapter, photo_address
from fishnet.explain.maps import read_maps
from fishnet.files import write_whole
from fishnet.measure.metrics import METRICS
from fishnet.measure.pictures import Curves, curves_picture
from fishnet.models.classifier import ImageClassifier
from fishnet.page.fader import PhotoCard, View, fader
from fishnet.page.figures import picture_address
from fishnet.page.page import Chapter, render_page
from fishnet.text import counted, few_of
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.runs import git_commit

log = logging.getLogger("fishnet")

PAGE = "report/report.html"
ARTIFACTS = "Page"  # MLflow's pages list folders first, by code point: a capital stands above all others
PHOTOS = 24  # under maps: half of them mistakes, where there are as many
MOST_PAIRS, MOST_REFUSED, MOST_NAMED = 12, 200, 300
VERSIONS = ("fishnet-vision", "torch", "torchvision", "timm", "pytorch-lightning", "mlflow", "numpy")
TEXTS = ("class", "predicted", "path", "group", "seen", "first", "second", "note")  # columns
NAMED = {name: f"{name}_name" for name in ("class", "predicted", "first", "second")}  # where people call them otherwise
LABELS = {metric.name: metric.label for metric in METRICS} | {"loss_scaled": "loss with the temperature"}
MEASURED = {  # by the part of the folder
    "test": "test photos, which it neither learned from nor was chosen by",
    "unseen": "photos that it has never seen",
    "all": "photos of the whole folder",
    "train": "photos that it was trained on",
    "val": "photos that it was chosen by",
}


@dataclass(frozen=True)
class RunFiles:
    """What a run has left in its folder; what it has not made is None or empty.

    Args:
        run: the folder.
    """

    run: Path

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        file = self.run / "report" / "metrics.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def table(self, name: str, *, called: bool = True) -> pd.DataFrame:
        """A table of `report/`, without rows where there is none; a class called `nan` stays one, and classes that
        people call by other names than their folders' have these, where they are to be `called` so."""
        file = self.run / "report" / name
        table = pd.read_csv(file, dtype=str, keep_default_na=False) if file.is_file() else pd.DataFrame()
        table = restored_table(table)
        table = table.assign(**{key: table[named] for key, named in NAMED.items() if called and named in table})
        table = table.drop(columns=[named for named in NAMED.values() if named in table])
        return table.assign(**{str(key): pd.to_numeric(table[key]) for key in table if key not in TEXTS})

    @property
    def curves(self) -> Curves:
        file = curves_file(self.run)
        table = pd.read_csv(file).set_index("epoch") if file.is_file() else pd.DataFrame()
        return {str(key): {int(str(e)): float(v) for e, v in table[key].dropna().items()} for key in table}

    def text(self, name: str) -> str:
        file = self.run / name
        return file.read_text(encoding="utf-8") if file.is_file() else ""


def write_page(
    run: Path, data: ImageFolderData, model: Any, logger: MlflowLogger, *, command: str, best: int | None = None
) -> Path | None:
    """Write the page, give it to the tracker as the first of the run's artifacts, and describe the run there.

    A page is no reason to lose a run: where it cannot be made, the reason is logged, and None is returned.

    Args:
        run: the run's folder.
        data: the photos that it was trained or measured on; `data.part` is what was measured.
        model: an ImageClassifier draws maps of what its mistakes should have been; any other model none.
        logger: of the run.
        command: the verb.
        best: the epoch whose weights were measured.
    """
    try:
        files = RunFiles(run)
        answers = essentials(files, data)
        page = render_page(
            logger.run_name or run.name, about(files, data, command), chapters(files, data, model, logger.run_id, best),
            answers=answers,
        )  # fmt: skip
        write_whole(run / PAGE, page)
    except Exception as error:
        log.warning(
            "The page could not be made (%s: %s); the files that it shows are there.", type(error).__name__, error
        )
        return None
    logger.log_artifacts(run / PAGE, ARTIFACTS)
    logger.describe(description(files, data, answers, best), f"{ARTIFACTS}/{Path(PAGE).name}")
    return run / PAGE


# ---- in a few sentences


def about(files: RunFiles, data: ImageFolderData, command: str) -> str:
    """What made the page, from what."""
    photos, classes = counted(len(data.table), "photo"), counted(len(data.classes), "class")
    groups = counted(int(data.table["group"].nunique()), "group")
    return f"fishnet {command}: {photos} of {classes} in {groups}, from {data.root}"


def essentials(files: RunFiles, data: ImageFolderData) -> list[str]:
    """What a reader should know who reads no further."""
    if files.metrics is None:
        return ["There is no report on test photos."]
    figures, photos = files.metrics["figures"], files.metrics["photos"]
    of_what = f"{photos} {MEASURED[data.part]}" if photos != 1 else f"1 of the {MEASURED[data.part]}"
    lines = [f"Right on {_percent(figures['accuracy'])} of {of_what} ({counted(files.metrics['groups'], 'group')})."]
    by_class, short = files.table("classification_report.csv", called=False), data.names.short
    most = by_class.sort_values("photos", ascending=False).iloc[0]
    lines.append(f"Always answering {short(most['class'])} would be right on {most['photos'] / photos:.0%} of them.")
    pairs = files.table("confused_pairs.csv", called=False)
    if len(pairs):
        pair = pairs.iloc[0]
        lines.append(
            f"Taken for each other most often: {short(pair['first'])} and {short(pair['second'])}, "
            f"{counted(int(pair['confused']), 'photo')} ({pair['share']:.0%} of both)."
        )
    few = by_class.loc[by_class["note"] != "", "class"].map(short).tolist()
    if few:
        lines.append(f"Photos from too few groups to tell: {few_of(few)}.")
    return lines


def _percent(figure: Mapping[str, float | None]) -> str:
    """93 % [85 %, 98 %]."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    ends = "" if low is None or high is None else f" [{low:.0%}, {high:.0%}]"
    return f"{value:.0%}{ends}"


def description(files: RunFiles, data: ImageFolderData, answers: Sequence[str], best: int | None) -> str:
    """The essentials as Markdown, for the page of the run in the tracker."""
    photos, classes = counted(len(data.table), "photo"), counted(len(data.classes), "class")
    made = f"{photos} of {classes} in `{data.root}`"
    kept = "" if best is None else f"; the weights are those {weights_of(best)}"
    lines = [*(f"- {answer}" for answer in answers), "", f"{made}{kept}.", ""]
    lines += ["```", files.text("config/command.txt").strip(), "```", ""]
    return "\n".join([*lines, f"On disk: `{files.run / PAGE}`."])


# ---- chapters


def chapters(files: RunFiles, data: ImageFolderData, model: Any, run_id: str | None, best: int | None) -> list[Chapter]:
    """Those for which there is something to show."""
    made = [
        figures_chapter(files),
        curves_chapter(files, best),
        classes_chapter(files),
        confusions_chapter(files),
        sureness_chapter(files),
        photos_chapter(files, data, model),
        samples_chapter(files),
        left_out_chapter(data),
        licences_chapter(data),
        command_chapter(files, run_id),
    ]
    return [chapter for chapter in made if chapter.blocks]


def figures_chapter(files: RunFiles) -> Chapter:
    """A row a metric, with its interval."""
    chapter = Chapter()
    if files.metrics is None:
        return chapter
    rows = []
    for name, figure in files.metrics["figures"].items():
        ends = "–" if figure["low"] is None else f"{figure['low']:.3f} to {figure['high']:.3f}"
        rows.append((LABELS.get(name, name), f"{figure['value']:.3f}", ends))
    chapter.add_table(["on these photos", "value", "95 % interval"], rows, numeric={1, 2})
    chapter.add_text(
        "An interval says where the figure would lie with other photos of the same kind. It counts groups (photos of "
        "one animal, or copies of one picture), for these are not independent. Precision, recall and F1 are means over "
        "the classes, each counted alike.",
        style="soft",
    )
    if leakage := files.text("report/leakage.txt"):
        chapter.add_text(*leakage.splitlines())
    return chapter


def weights_of(best: int) -> str:
    """Which weights were kept, in words."""
    return "before the first epoch, with the fitted layer" if best < 0 else f"of epoch {best + 1}"


def curves_chapter(files: RunFiles, best: int | None) -> Chapter:
    """Learning curves."""
    chapter, curves = Chapter("Learning curves"), files.curves
    wanted = ("loss", "f1_macro", "kid", "generator_loss", "discriminator_loss")
    metrics = [name for name in wanted if f"val/{name}" in curves or f"train/{name}" in curves]
    if metrics and (drawn := curves_picture({"run": [curves]}, metrics, best)):
        kept = "" if best is None else f" The upright line is what was kept: the weights {weights_of(best)}."
        chapter.add_figure(
            drawn, "By epoch. Where the loss on validation photos rises while that on training photos still falls, the "
            f"network learns its photos by heart.{kept}",
        )  # fmt: skip
    return chapter


def classes_chapter(files: RunFiles) -> Chapter:
    """The classification report."""
    chapter, by_class = Chapter("Class by class"), files.table("classification_report.csv")
    if by_class.empty:
        return chapter
    rows = []
    for row in by_class.to_dict("records"):
        cells = [row["class"]]
        for name in ("precision", "recall", "f1"):
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            ends = "" if low != low else f" [{low:.2f}, {high:.2f}]"
            cells.append(f"{row[name]:.2f}{ends}")
        rows.append((*cells, int(row["photos"]), int(row["groups"]), row["note"]))
    header = ["class", "precision", "recall", "F1", "photos", "groups", ""]
    chapter.add_table(header, rows, numeric=range(1, 6), folded=f"{len(rows)} classes" if len(rows) > 40 else "")
    chapter.add_text(
        "Precision: of the photos that got this answer, the share that are of the class. Recall: of the class's "
        "photos, the share that got it.",
        style="soft",
    )
    return chapter


def confusions_chapter(files: RunFiles) -> Chapter:
    """The matrix, the pairs and the tree."""
    chapter, pairs = Chapter("What is taken for what"), files.table("confused_pairs.csv")
    _add_picture(
        chapter, files, "confusion_matrix.png",
        "A row is a true class, a column an answer: on the diagonal the answers are right, and a dark cell beside it "
        "is a confusion. Shares are of the row.",
    )  # fmt: skip
    if len(pairs):
        rows = [
            (
                row["first"],
                row["second"],
                int(row["first_as_second"]),
                int(row["second_as_first"]),
                f"{row['share']:.0%}",
            )
            for row in pairs.head(MOST_PAIRS).to_dict("records")
        ]
        header = ["class", "and class", "first taken for second", "second taken for first", "of both"]
        chapter.add_table(header, rows, numeric={2, 3, 4})
    _add_picture(
        chapter, files, "dendrogram.png",
        "Classes that join on the left are alike to the model; those that join at 1, on the right, are never taken for "
        "each other.",
    )  # fmt: skip
    return chapter


def sureness_chapter(files: RunFiles) -> Chapter:
    """The reliability diagram."""
    chapter = Chapter("Does it know when it is right?")
    _add_picture(
        chapter, files, "reliability.png",
        "On the diagonal a probability means what it says: of answers given with 80 %, eight in ten are right. Below "
        "it the model is surer than it is right. The temperature was fitted on validation photos; answers carry it.",
    )  # fmt: skip
    return chapter


def _add_picture(chapter: Chapter, files: RunFiles, name: str, caption: str) -> None:
    picture = files.run / "report" / name
    if picture.is_file():
        chapter.add_figure(picture_address(picture), caption)


def photos_chapter(files: RunFiles, data: ImageFolderData, model: Any) -> Chapter:
    """The surest mistakes and the surest hits, under their maps where the run has kept maps."""
    title, maps = "Worst mistakes, and what it looks at", files.run / "gradcam" / "maps.npy"
    if maps.is_file() and isinstance(model, ImageClassifier):
        results = read_maps(maps.parent)
        row_of = {path: row for row, path in enumerate(data.table["path"])}
        rows = [row_of[path] for path in results.table["path"]]

        def views(chosen: list[int]) -> np.ndarray:
            return data.photos([rows[row] for row in chosen]).permute(0, 2, 3, 1).numpy()

        cards = cards_of(model, results, views, PHOTOS, "auto", root=data.root)
        return cards_chapter(cards, title) if cards else Chapter(title)
    return _mistakes_chapter(files, data)


def _mistakes_chapter(files: RunFiles, data: ImageFolderData) -> Chapter:
    """The surest mistakes as photos."""
    chapter, answers = Chapter("Worst mistakes"), files.table("predictions.csv")
    if answers.empty:
        return chapter
    wrong = answers[answers["class"] != answers["predicted"]].sort_values("probability", ascending=False, kind="stable")
    wrong = wrong.head(PHOTOS // 2)
    if wrong.empty:
        chapter.add_text("There are none among these photos.")
        return chapter
    row_of = {path: row for row, path in enumerate(data.table["path"])}
    photos = data.photos([row_of[path] for path in wrong["path"]]).permute(0, 2, 3, 1).numpy()
    cards = [
        PhotoCard(
            row["path"], photo_address(photo),
            [View(f"answer: {row['predicted']} {row['probability']:.0%}, true: {row['class']}", right=False)], "wrong",
        )
        for photo, row in zip(photos, wrong.to_dict("records"), strict=True)
    ]  # fmt: skip
    chapter.add_text("The surest first, as the network sees them. There are no heat-maps of this run.", style="soft")
    chapter.add_widget(fader(cards, {}))
    return chapter


def samples_chapter(files: RunFiles) -> Chapter:
    """Of a GAN: what it draws in its first and its last epoch."""
    chapter, grids = Chapter("What it draws"), sorted((files.run / "samples").glob("epoch_*.jpg"))
    for grid in dict.fromkeys(grids[:1] + grids[-1:]):
        chapter.add_figure(picture_address(grid), f"The same noise in {grid.stem.replace('_', ' ')}.")
    return chapter


def left_out_chapter(data: ImageFolderData) -> Chapter:
    """Photos that could not be used, what else should worry, and how the others were divided."""
    chapter, refused = Chapter("What was left out"), data.index.refused
    parts = data.assignment.value_counts()
    chapter.add_text(
        "Of the folder: " + ", ".join(f"{counted(int(n), 'photo')} {name}" for name, n in parts.items()) + "."
    )
    chapter.add_text(
        f"{counted(len(refused), 'photo')} could not be read." if len(refused) else "Every photo could be read."
    )
    if len(refused):
        rows = [(row["path"], row["reason"]) for row in refused.head(MOST_REFUSED).to_dict("records")]
        more = f", the first {MOST_REFUSED}" if len(refused) > MOST_REFUSED else ""
        chapter.add_table(["photo", "why"], rows, folded=f"Which, and why{more}")
    chapter.add_text(*data.index.warnings)
    if data.folder.curation is not None:
        chapter.add_text(f"Photos were left out, re-labelled or weighed as {data.folder.curation} says.")
    return chapter


def licences_chapter(data: ImageFolderData) -> Chapter:
    """Whose the photos are, and on which terms, where a manifest states it."""
    chapter, table = Chapter("Licences to cite"), data.table
    if "licence" not in table:
        chapter.add_text("No manifest states the photos' licences: whoever publishes them has to know them.")
        return chapter
    licences = table["licence"].replace("", "unknown").value_counts()
    chapter.add_table(["licence", "photos"], [(str(name), int(count)) for name, count in licences.items()])
    if "attribution" in table:
        owners = table.loc[table["attribution"] != "", "attribution"].value_counts()
        rows = [(str(name), int(count)) for name, count in owners.head(MOST_NAMED).items()]
        more = f", the first {MOST_NAMED}; the manifest has all" if len(owners) > MOST_NAMED else ""
        if rows:
            chapter.add_table(["attribution", "photos"], rows, folded=f"{counted(len(owners), 'attribution')}{more}")
    return chapter


def command_chapter(files: RunFiles, run_id: str | None) -> Chapter:
    """What the run can be repeated from."""
    chapter = Chapter("How it was made")
    chapter.add_code(files.text("config/command.txt").strip() or "unknown")
    rows = [("run", run_id or "–"), ("folder", str(files.run)), ("settings", str(files.run / "config" / "config.yaml"))]
    rows += [("commit", commit)] if (commit := git_commit()) else []
    rows += [("Python", platform.python_version()), *((name, _version(name)) for name in VERSIONS)]
    chapter.add_table(["", ""], rows)
    return chapter


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "–"
