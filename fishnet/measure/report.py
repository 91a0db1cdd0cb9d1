"""The report on photos that a model never saw: metrics with intervals, confusions, calibration, every prediction."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from fishnet.cells import defused_table
from fishnet.data.class_names import ClassNames
from fishnet.errors import WorkFailed
from fishnet.files import replacing

from . import confusions
from .calibration import Reliability, reliability
from .intervals import METHOD, Interval, class_intervals, intervals
from .predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class TestReport:
    """Everything is computed once from the predictions; `write` puts it into files.

    Args:
        predictions: of the photos.
        photos: path and group of each prediction; `seen`, the photo's part in the training, where that is known.
        names: of the classes.
        called: what people call them.
        temperature: that the logits are divided by.
        resamples: draws of groups for the intervals of the losses; without any there are no intervals at all.
        seed: of these draws.
    """

    __test__ = False  # not a test, whatever pytest thinks of the name
    FILES: ClassVar = (
        *("metrics.json", "classification_report.txt", "classification_report.csv", "confusion_matrix.csv"),
        *("confused_pairs.csv", "dendrogram.csv", "predictions.csv", "confusion_matrix.png", "dendrogram.png"),
        "reliability.png",
    )

    predictions: Predictions
    photos: pd.DataFrame
    names: list[str]
    called: ClassNames = field(default_factory=ClassNames)
    temperature: float = 1.0
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        return intervals(
            self.predictions,
            self.photos["group"].to_numpy(),
            len(self.names),
            resamples=self.resamples,
            seed=self.seed,
            temperature=self.temperature,
        )

    @cached_property
    def matrix(self) -> np.ndarray:
        return confusions.confusion_matrix(self.predictions.label, self.predictions.predicted, len(self.names))

    @cached_property
    def calibration_before(self) -> Reliability:
        return reliability(self.predictions.probabilities(), self.predictions.label)

    @cached_property
    def calibration_after(self) -> Reliability:
        return reliability(self.predictions.probabilities(self.temperature), self.predictions.label)

    def metrics(self) -> dict:
        return {
            "photos": len(self.predictions),
            "groups": int(self.photos["group"].nunique()),
            "interval": METHOD.format(draws=self.resamples) if self.resamples else "none",
            "temperature": self.temperature,
            "calibration_error": {"before": self.calibration_before.error, "after": self.calibration_after.error},
            "figures": {
                name: {key: float(value) if np.isfinite(value) else None for key, value in interval._asdict().items()}
                for name, interval in self.intervals.items()
            },
        }

    @cached_property
    def groups(self) -> np.ndarray:
        """How many groups the photos of each class come from."""
        return confusions.groups_of_classes(self.predictions.label, self.photos["group"].to_numpy(), len(self.names))

    def by_class(self) -> pd.DataFrame:
        answers = self.predictions.label, self.predictions.predicted, self.photos["group"].to_numpy()
        ends = class_intervals(*answers, len(self.names))
        if not self.resamples or self.photos["group"].nunique() < 2:
            ends = {name: np.full_like(each, np.nan) for name, each in ends.items()}
        report = confusions.classification_report(self.matrix, self.groups, self.names, ends)
        return self.called.beside(report, {"class": "class_name"})

    def by_photo(self) -> pd.DataFrame:
        names = np.asarray(self.names, object)
        answers = pd.DataFrame(
            {
                "path": self.photos["path"].to_numpy(),
                "class": names[self.predictions.label],
                "predicted": names[self.predictions.predicted],
                "probability": self.predictions.confidence(self.temperature).round(6),
                "group": self.photos["group"].to_numpy(),
            }
        )
        answers = answers.assign(seen=self.photos["seen"].to_numpy()) if "seen" in self.photos else answers
        return self.called.beside(answers, {"class": "class_name", "predicted": "predicted_name"})

    def write(self, folder: Path) -> None:
        """All files, each whole or not at all."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._write_tables(folder)
            self._draw(folder)
        except OSError as error:
            reason = error.strerror or error
            raise WorkFailed(
                f"the report could not be written to {folder} ({reason}): make room and test again."
            ) from error

    @cached_property
    def _tree(self) -> np.ndarray:
        return confusions.class_linkage(self.matrix)

    def _write_tables(self, folder: Path) -> None:
        by_class, pairs = self.by_class(), confusions.confused_pairs(self.matrix, self.groups, self.names)
        matrix = pd.DataFrame(self.matrix, index=pd.Index(self.names, name="true"), columns=self.names)
        texts = {
            "metrics.json": json.dumps(self.metrics(), indent=2, ensure_ascii=False) + "\n",
            "classification_report.txt": confusions.readable(by_class),
            "classification_report.csv": defused_table(by_class).to_csv(index=False),
            "confusion_matrix.csv": defused_table(matrix).to_csv(),
            "confused_pairs.csv": defused_table(
                self.called.beside(pairs, {"first": "first_name", "second": "second_name"})
            ).to_csv(index=False),
            "dendrogram.csv": defused_table(confusions.merges(self._tree, self.groups, self.names)).to_csv(index=False),
            "predictions.csv": defused_table(self.by_photo()).to_csv(index=False),
        }
        for name, text in texts.items():
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def _draw(self, folder: Path) -> None:
        from . import pictures

        names = [self.called.short(name) for name in self.names]
        pictures.draw_confusions(self.matrix, self.groups, names, folder / "confusion_matrix.png")
        pictures.draw_dendrogram(self._tree, self.groups, names, folder / "dendrogram.png")
        before, after = self.calibration_before, self.calibration_after
        pictures.draw_reliability(before, after, self.temperature, folder / "reliability.png")
