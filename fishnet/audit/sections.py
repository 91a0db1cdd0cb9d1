"""What an audit adds to its verdicts: each further question is a section with a chapter, tables and figures.

A section is a function from `Audited` to `Section`, or to None where the question does not apply to this model or this
folder; it reads what was measured and changes nothing of it. `questions.py` lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fishnet.data.class_names import ClassNames
from fishnet.data.folder import PhotoFolder
from fishnet.models.classifier import ImageClassifier
from fishnet.page.page import Chapter

from .folder import FolderAudit, views
from .kinds import Views
from .verdicts import Verdict

MANY = 12  # classes, beyond which the page folds what it shows of those for which nothing was found


@dataclass(frozen=True)
class Audited:
    """A model, a folder and what the exchange has shown.

    Args:
        model: on its device, in evaluation.
        folder: with the model's labels and, where known, what the model has seen of it.
        measured: the exchange.
        found: a verdict a class.
        photos: a row a donor, as photos.csv.
        stored: where slow results are kept between audits.
        batch_size: photos at once.
        seed: of what is drawn.
        power: how hard it is tried what would have been found: `quick`, `full` or `none`.
        control: what a cue in all classes has done: `silent`, `accused`, or nothing where it was not tried.
        before: the verdicts of an earlier audit by class, where this one is held against it.
        reference: what a model shows that was trained without the carriers, see `inherited.reactions`.
        early: the answers of a few short trainings, see `spread.early_answers`.
    """

    model: ImageClassifier
    folder: PhotoFolder
    measured: FolderAudit
    found: list[Verdict]
    photos: pd.DataFrame
    stored: Path
    batch_size: int
    seed: int
    power: str = "quick"
    control: str = ""
    before: pd.DataFrame | None = None
    reference: pd.DataFrame | None = None
    early: pd.DataFrame | None = None

    @property
    def called(self) -> ClassNames:
        """What people call the classes, for what they read; verdicts, tables and keys know classes by their folders."""
        return self.folder.names

    def views_of(self, positions: Sequence[int]) -> Views:
        """Photos by their position in `measured.photos`, with their regions."""
        measured = self.measured
        return views(self.model, self.folder, measured.rows, measured.regions.protected, positions)


@dataclass(frozen=True)
class Section:
    """The answer to one further question.

    Args:
        chapter: of the page; None where there is nothing to read.
        tables: by the name of the file, without its ending.
        metrics: by their names in MLflow.
    """

    chapter: Chapter | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
