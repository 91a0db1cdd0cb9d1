"""Trainings by which an audit learns more than from the model alone: one without the carriers, and a few short ones."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from fishnet.audit.inherited import dropped_photos, plan_of, reactions
from fishnet.audit.sections import Audited
from fishnet.audit.spread import early_answers
from fishnet.audit.tables import verdict_table, write_table
from fishnet.data.curation import COLUMNS, read_curation
from fishnet.data.datamodule import ImageFolderData
from fishnet.errors import BadInput
from fishnet.models.checkpoint import load_model
from fishnet.models.classifier import ImageClassifier

from .retraining import kept_training, run_of, settings_of

log = logging.getLogger("fishnet")

EPOCHS = 3  # of a short training: what is easy is learned by then, and the other things are not


def check_references(config: DictConfig, data: ImageFolderData, checkpoint: Path) -> None:
    """Refuse trainings that cannot be made before anything is measured."""
    wished = [f"reference={config.reference}"] if config.reference else []
    wished += [f"spread={config.spread}"] if config.spread else []
    for key in wished:
        run_of(checkpoint, key)
        if "seen" not in data.folder.table:
            raise BadInput(f"{key}: {checkpoint} does not record which photos it was trained on.")
        if not (data.folder.table["seen"] == "train").any():
            raise BadInput(
                f"{key}: data.root={config.data.root} holds no photos that the model was trained on; give the folder "
                "of its training."
            )


def with_reference(
    config: DictConfig, audited: Audited, checkpoint: Path, folder: Path, about: Callable[[ImageClassifier], dict]
) -> Audited:
    """The same, and of each shortcut whether it is inherited; verdicts.csv in `audit` of the run's folder says so too.

    Args:
        config: of the audit; nothing is done without `reference`.
        audited: what was found.
        checkpoint: of the model.
        folder: of the audit's run.
        about: names a model.
    """
    plan = plan_of(audited) if config.reference else None
    if plan is None or plan.empty:
        return audited
    for row in plan[plan["reason"] != ""].to_dict("records"):
        log.warning("reference=retrain is not tried for %s: %s.", row["class"], row["reason"])
    tried = (plan["reason"] == "").any()
    reference = reference_model(config, audited, plan, checkpoint, folder / "audit" / "reference") if tried else None
    table = reactions(audited, plan, reference, about(reference) if reference else {})
    inherited = dict(zip(table["class"], table["inherited"], strict=True))
    found = [replace(verdict, inherited=inherited.get(verdict.name, "")) for verdict in audited.found]
    named = audited.called.beside(verdict_table(audited.measured, found), {"class": "class_name"})
    write_table(named, folder / "audit" / "verdicts.csv")
    return replace(audited, found=found, reference=table)


def reference_model(
    config: DictConfig, audited: Audited, plan: pd.DataFrame, checkpoint: Path, settings_folder: Path
) -> ImageClassifier:
    """The model of the run's training without the photos that carry what the planned classes rest on."""
    run = run_of(checkpoint, "reference=retrain")
    settings = settings_of(run, audited.folder.root, config)
    lists = [dropped_photos(audited, plan)]
    if earlier := settings["data"].get("curation"):
        lists.append(read_curation(earlier))
    settings_folder.mkdir(parents=True, exist_ok=True)
    write_table(pd.concat(lists)[[*COLUMNS]], settings_folder / "curation.csv")
    settings["data"]["curation"] = str(settings_folder / "curation.csv")
    how = {"key": "reference=retrain", "name": "reference", "change": "without the photos that carry a shortcut"}
    kept = kept_training(
        settings, run, settings_folder=settings_folder, home=audited.stored / "trainings", **how
    )  # fmt: skip
    return load_model(kept).to(audited.model.device)


def with_early_answers(config: DictConfig, audited: Audited, checkpoint: Path, folder: Path) -> Audited:
    """The same with the answers of `spread` short trainings on the photos that none of them has learned from."""
    if not config.spread:
        return audited
    settings_folder = folder / "audit" / "spread"
    kept = [short_training(config, audited, checkpoint, settings_folder, seed) for seed in range(config.spread)]
    models = (load_model(file).to(audited.model.device) for file in kept)
    rows = np.flatnonzero(audited.folder.table["seen"] != "train")
    return replace(audited, early=early_answers(models, audited.folder, rows, audited.batch_size))


def short_training(config: DictConfig, audited: Audited, checkpoint: Path, settings_folder: Path, seed: int) -> Path:
    """The checkpoint of the run's training with this seed, ended after EPOCHS."""
    key = f"spread={config.spread}"
    run = run_of(checkpoint, key)
    settings = settings_of(run, audited.folder.root, config)
    settings |= {"seed": seed, "trainer": {**settings["trainer"], "max_epochs": EPOCHS}}
    return kept_training(
        settings, run, key=key, name=f"early-{seed}", change=f"for {EPOCHS} epochs, with the seed {seed}",
        settings_folder=settings_folder, home=audited.stored / "trainings",
    )  # fmt: skip
