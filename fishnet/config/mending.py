"""Mending as a verb does it: refused before anything is measured, then by a new classifier layer or a new training."""

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from fishnet.audit import heads
from fishnet.audit.mending import Mending, exchange_of, kinds_found, mend
from fishnet.audit.sections import Audited
from fishnet.audit.tables import write_table
from fishnet.data.datamodule import ImageFolderData
from fishnet.errors import BadInput
from fishnet.models.checkpoint import load_model
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import has_features

from .retraining import BEST, retrain, run_of


def check_mending(config: DictConfig, model: ImageClassifier, data: ImageFolderData, checkpoint: Path) -> None:
    """Refuse what cannot be mended before anything is measured."""
    if config.mend is None:
        return
    if config.mend == "retrain":
        run_of(checkpoint, "mend=retrain", cure=", or say mend=head")
    elif not has_features(model):
        raise BadInput("mend=head: this network has no single linear classifier layer; try mend=retrain.")
    table = data.folder.table
    if "seen" not in table:
        raise BadInput(f"mend={config.mend}: {checkpoint} does not record which photos it was trained on.")
    for parts, purpose in ((["train"], "learn from"), (["val"], "choose by"), (["test", "new"], "report on")):
        if table.loc[table["seen"].isin(parts), "label"].nunique() < 2:
            raise BadInput(
                f"mend={config.mend}: data.root={config.data.root} holds no {' or '.join(parts)} photos of two classes "
                f"to {purpose}; give the folder that the model was trained on."
            )


def mended(
    config: DictConfig, audited: Audited, checkpoint: Path, folder: Path, about: Callable[[ImageClassifier], dict]
) -> tuple[Mending, ImageClassifier] | None:
    """What mending has brought, and the mended model; None where nothing was found.

    The model lies in `mended` and the figures in `audit/mended.csv` of the run's folder, where it is better.

    Args:
        config: of the audit, with `mend`.
        audited: what was found.
        checkpoint: of the model.
        folder: of the audit's run.
        about: names a model.
    """
    if not any(verdict.word == "shortcut" for verdict in audited.found):
        return None
    new, model = folder / "mended" / BEST, audited.model
    kinds, how = kinds_found(audited.found, config.alpha), {"batch_size": config.batch_size, "seed": config.seed}
    if config.mend == "head":
        exchange = exchange_of(model, audited.folder, audited.photos, "train", kinds)
        candidates = heads.mended_models(model, audited.folder, exchange, **how)
    else:
        retrain(
            checkpoint, root=audited.folder.root, kinds=kinds, carriers=folder / "audit" / "photos.csv",
            settings_folder=folder / "audit" / "mend", out=folder / "mended", audit=config,
        )  # fmt: skip
        candidates = [load_model(new).to(model.device)]
    mending, after = mend(
        config.mend, model, candidates, audited.folder, audited.measured, audited.found, audited.photos, checkpoint=new,
        stored=audited.stored / "effects", about=about, alpha=config.alpha, **how,
    )  # fmt: skip
    if mending.checkpoint is not None:
        write_table(mending.figures, folder / "audit" / "mended.csv")
        if config.mend == "head":
            heads.keep_mended(after, new, instead_of=checkpoint, kinds=kinds)
    return mending, after
