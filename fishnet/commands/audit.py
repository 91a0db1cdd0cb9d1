"""fishnet audit: does any class rest on the fisherman and not on the fish?

What surrounds the animal in a class's photos, their light and their coding are laid into photos of other classes. If
the class's probability rises by that, and more than with other donors, the model has learned a shortcut: which classes,
by which photos, and how much it is worth at least. Judged are photos that the model has not learned from. Heat-maps
show a shortcut only to those who know it already; they illustrate here and decide nothing.

Examples
  fishnet audit checkpoint=outputs/RUN/checkpoints/best.ckpt data.root=photos/lake
  fishnet audit checkpoint=best.ckpt data.root=photos/lake region=boxes boxes=observations.csv
  fishnet audit checkpoint=best.ckpt data.root=photos/lake fail_above=0.2
  fishnet audit checkpoint=outputs/RUN/checkpoints/best.ckpt data.root=photos/lake mend=retrain

What is written: verdicts.csv, photos.csv, report.html; where something was found also curation.csv, a list for
`fishnet train … data.curation=curation.csv` that changes nothing until you edit it. mend= chooses on validation photos
that are given the surroundings of others and reports once on photos that nothing was learned or chosen by (mended.csv);
a mended model that is better lies in OUT/mended/checkpoints/best.ckpt.
"""

import hashlib
import json
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.config.compose import job_folder
from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import write_whole
from fishnet.ranges import Above, AtLeast, Between, FreeText, Probability

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    from torch import Tensor

    from fishnet.audit.folder import FolderAudit
    from fishnet.audit.mending import Mending
    from fishnet.audit.regions import Regions
    from fishnet.audit.verdicts import Verdict
    from fishnet.data.datamodule import ImageFolderData
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 55  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    part: Literal["auto", "all", "val", "test"]
    region: Literal["learned", "ellipse", "boxes", "animals"]
    boxes: FreeText | None
    weights: FreeText | None
    network: str
    donors: Annotated[int, AtLeast(2)]
    hosts: Annotated[int, AtLeast(2)]
    alpha: Annotated[float, Between(0, 1)]
    mend: Literal["head", "retrain"] | None
    fail_above: Annotated[float, Probability] | None
    batch_size: Annotated[int, Above(0)]
    seed: Annotated[int, AtLeast(0)]
    name: FreeText | None
    out: FreeText | None


def audit(config: DictConfig) -> dict[str, float]:
    """Judge each class, and keep the figures, the page and the metrics of the run."""
    validate(config, "audit")
    import torch

    from fishnet.audit.carriers import training_carriers
    from fishnet.audit.folder import audit_folder, views
    from fishnet.audit.page import audit_page, mended_chapter
    from fishnet.audit.tables import metrics_of, photo_table, write_tables
    from fishnet.audit.verdicts import reliance_max, verdicts
    from fishnet.config import building
    from fishnet.data.index import state_folder
    from fishnet.models.checkpoint import load_model
    from fishnet.runs import records, run
    from fishnet.runs.folders import run_folder
    from fishnet.tracking import names
    from fishnet.tracking.store import check_store

    building.quieten()
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu").eval()
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time on a CPU
    data = judged_data(config, model)
    rows = judged_rows(config, data)
    check_mending(config, model, data, checkpoint)
    name = f"audit-{data.root.name}"
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        if not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        logger = building.build_logger(config, folder=folder, command="audit", name=name)
        for line in run.refused_lines(data):
            log.warning(line)
        with run.tracked_run(logger.start, config):
            records.write_records(config, data, folder, logger, command="audit")
            logger.set_tags({names.CHECKPOINT: str(checkpoint)})
            regions_of = partial(protected_regions, config, data, model)
            stored, name_of_model = state_folder(data.root) / "effects", about(model)
            measured = audit_folder(
                model, data.folder, rows, regions_of, stored=stored, about=name_of_model, most_donors=config.donors,
                hosts=config.hosts, alpha=config.alpha, batch_size=config.batch_size,
            )  # fmt: skip
            found = verdicts(measured)
            trained = training_carriers(
                model, data.folder, measured, found, regions_of, stored=stored, about=name_of_model
            )
            photos = photo_table(measured, found, trained)
            write_tables(measured, found, photos, folder / "audit")
            views_of = partial(views, model, data.folder, measured.rows, measured.regions.protected)
            result = mended(config, model, data, measured, found, photos, folder, stored) if config.mend else None
            mending = result and result[0]
            chapters = [mended_chapter(measured, found, result[0], (model, result[1]), views_of)] if result else []
            name = checkpoint.parent.parent.name
            page = audit_page(measured, found, model, views_of, name=name, mended=chapters)
            write_whole(folder / "audit" / "report.html", page)
            logger.log_artifacts(folder / "audit", "audit")
            metrics = metrics_of(measured, found, mending)
            logger.log_metrics(metrics)
        note_on_training(config, checkpoint, metrics_of(measured, found))
        print_verdicts(measured, found, folder)
        if config.mend is not None:
            print_mending(mending)
    if config.fail_above is not None and reliance_max(found) > config.fail_above:
        worst = max(found, key=lambda verdict: verdict.reliance)
        raise WorkFailed(
            f"{worst.name} rests on {worst.carried_by} by at least {worst.reliance:.3f}: more than fail_above="
            f"{config.fail_above:g}."
        )
    return metrics


def judged_data(config: DictConfig, model: "ImageClassifier") -> "ImageFolderData":
    """The folder with the model's labels and what the model has seen of it."""
    from hydra.utils import instantiate

    part = "all" if config.part in ("auto", "all") else config.part
    data = instantiate(config.data, _convert_="all").for_model(
        classes=model.classes, preprocessing=model.preprocessing, part=part, seen=model.seen
    )
    data.check()
    config.data.group = data.folder.group  # as the run is recorded
    return data


def judged_rows(config: DictConfig, data: "ImageFolderData") -> "np.ndarray":
    """Rows that the model has not learned from, or those of the part that was asked for."""
    import numpy as np

    seen = data.folder.table.get("seen")
    if seen is None:
        log.warning("The checkpoint does not say which photos it was trained on: these may be among them.")
    rows = data.rows(data.part)
    if seen is not None and config.part == "auto":
        rows = rows[(seen.iloc[rows] != "train").to_numpy()]
        log.info("Judged are %d of %d photos: the model was trained on the others.", len(rows), len(seen))
    elif seen is not None and (trained := int((seen.iloc[rows] == "train").sum())):
        log.warning("warning: the model was trained on %d of these %d photos.", trained, len(rows))
    if len(np.unique(data.folder.table["label"].iloc[rows])) < 2:
        raise BadInput(
            f"part={config.part}: there are no photos of two classes that the model has not learned from; train with "
            "a validation and a test part, or name another folder."
        )
    return rows


def protected_regions(
    config: DictConfig, data: "ImageFolderData", model: "ImageClassifier", rows: "np.ndarray"
) -> "Regions":
    """Where the animal may be in the photos of these rows, and how that is known."""
    from fishnet.audit import regions
    from fishnet.explain.gradcam import NothingToExplain

    folder, look, labels = data.folder, model.preprocessing, data.table["label"].to_numpy()[rows]

    def batches() -> "Iterator[Tensor]":
        for batch in folder.batches(rows, look, batch_size=config.batch_size, device=model.device):
            yield batch["image"]

    if config.region == "ellipse":
        return regions.elliptic(len(rows), look.size)
    if config.region == "learned":
        try:
            return regions.learned_regions(model, batches, labels)
        except NothingToExplain as error:
            log.warning("region=learned is not possible (%s): region=ellipse is taken.", str(error).rstrip("."))
            return regions.elliptic(len(rows), look.size)
    if config.region == "boxes":
        from fishnet.audit.boxes import boxed_regions

        if config.boxes is None:
            raise BadInput("region=boxes: name their file with boxes=FILE.")
        return boxed_regions(Path(config.boxes).expanduser(), data.table.iloc[rows], look)
    if config.weights is None:
        raise BadInput("region=animals: name weights of an ImageNet network with weights=FILE (and network=NAME).")
    return regions.animal_regions(batches(), look.size, config.network, Path(config.weights))


def check_mending(config: DictConfig, model: "ImageClassifier", data: "ImageFolderData", checkpoint: Path) -> None:
    """Refuse what cannot be mended before anything is measured."""
    from fishnet.config.retraining import run_of
    from fishnet.models.features import has_features

    if config.mend is None:
        return
    if config.mend == "retrain":
        run_of(checkpoint)
    elif not has_features(model):
        raise BadInput("mend=head: this network has no single linear classifier layer; say mend=retrain.")
    table = data.folder.table
    if "seen" not in table:
        raise BadInput(f"mend={config.mend}: {checkpoint} does not say which photos it was trained on.")
    for parts, purpose in ((["train"], "learn from"), (["val"], "choose by"), (["test", "new"], "report on")):
        if table.loc[table["seen"].isin(parts), "label"].nunique() < 2:
            raise BadInput(
                f"mend={config.mend}: data.root={config.data.root} holds no {' or '.join(parts)} photos of two classes "
                f"to {purpose}; give the folder that the model was trained on."
            )


def mended(
    config: DictConfig, model: "ImageClassifier", data: "ImageFolderData", measured: "FolderAudit",
    found: "list[Verdict]", photos: "pd.DataFrame", folder: Path, stored: Path,
) -> "tuple[Mending, ImageClassifier] | None":  # fmt: skip
    """What mending has brought, and the mended model; None where nothing was found. The model lies in `mended` and the
    figures in `audit/mended.csv` of the run's folder, where it is better."""
    from fishnet.audit import heads
    from fishnet.audit.mending import exchange_of, kinds_found, mend
    from fishnet.audit.tables import write_table
    from fishnet.config.retraining import BEST, retrain
    from fishnet.models.checkpoint import load_model

    if not any(verdict.word == "shortcut" for verdict in found):
        return None
    checkpoint, new = Path(config.checkpoint).expanduser().absolute(), folder / "mended" / BEST
    kinds, how = kinds_found(found, config.alpha), {"batch_size": config.batch_size, "seed": config.seed}
    if config.mend == "head":
        exchange = exchange_of(model, data.folder, photos, "train", kinds)
        candidates = heads.mended_models(model, data.folder, exchange, **how)
    else:
        retrain(
            checkpoint, root=data.root, kinds=kinds, carriers=folder / "audit" / "photos.csv",
            settings_folder=folder / "audit" / "mend", out=folder / "mended", audit=config,
        )  # fmt: skip
        candidates = [load_model(new).to(model.device)]
    mending, after = mend(
        config.mend, model, candidates, data.folder, measured, found, photos, checkpoint=new, stored=stored,
        about=about, alpha=config.alpha, **how,
    )  # fmt: skip
    if mending.checkpoint is not None:
        write_table(mending.figures, folder / "audit" / "mended.csv")
        if config.mend == "head":
            heads.keep_mended(after, new, instead_of=checkpoint, kinds=kinds)
    return mending, after


def note_on_training(config: DictConfig, checkpoint: Path, metrics: dict[str, float]) -> None:
    """The metrics on the run that made the checkpoint, too, so that trainings can be ranked by what they rest on."""
    from fishnet.runs.records import RECORD
    from fishnet.tracking.runs import add_metrics
    from fishnet.tracking.store import open_store

    record = checkpoint.parent.parent / RECORD
    if record.is_file() and not config.tracking.offline:
        run_id = json.loads(record.read_text(encoding="utf-8"))["run_id"]
        add_metrics(open_store(config.tracking.uri, home=Path.cwd()), run_id, metrics)


def about(model: "ImageClassifier") -> dict[str, str]:
    """Names the model: effects that were measured with another are measured again."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return {"model": digest.hexdigest(), "preprocessing": str(sorted(model.preprocessing.as_dict().items()))}


def print_verdicts(measured: "FolderAudit", found: "list[Verdict]", folder: Path) -> None:
    """A row a class, and where the tables are."""
    from rich.console import Console
    from rich.table import Table

    from fishnet.audit.tables import sentence

    table = Table(title=f"{measured.judged} photos, accuracy {measured.accuracy:.3f}")
    for column in ("class", "verdict", "rises by at least", "p"):
        table.add_column(column, justify="right" if column in ("rises by at least", "p") else "left")
    for verdict in found:
        shown = f"{verdict.reliance:.3f}" if verdict.word == "shortcut" else ""
        table.add_row(verdict.name, sentence(verdict), shown, f"{verdict.test.p:.2g}")
    console = Console()
    console.print(table)
    console.print(f"{'page':12s}{folder / 'audit' / 'report.html'}", soft_wrap=True, highlight=False)


def print_mending(mending: "Mending | None") -> None:
    """What was mended, in a line."""
    if mending is None:
        text = "nothing was found, so that nothing is mended"
    elif mending.checkpoint is None:
        before, after = mending.before, mending.after
        text = f"{mending.how} did not help (macro-F1 on exchanged validation photos {before.exchanged:.3f} before, "
        text += f"{after.exchanged:.3f} after; as they are {before.plain:.3f}, {after.plain:.3f}): the model stays"
    else:
        rows = [row for row in mending.figures.to_dict("records") if row["figure"] != "accuracy"]
        names = [f"reliance of {row['class']}" if row["class"] else "macro-F1" for row in rows]
        pairs = [f"{name} {row['before']:.2f} → {row['after']:.2f}" for name, row in zip(names, rows, strict=True)]
        text = f"{mending.checkpoint}: {', '.join(pairs)}"
    print(f"{'mended':12s}{text}", flush=True)


if __name__ == "__main__":
    start(audit, "audit")
