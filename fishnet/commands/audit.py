"""fishnet audit: does any class rest on the fisherman and not on the fish?

What surrounds the animal in a class's photos, their light and their coding are laid into photos of other classes. If
the class's probability rises by that, and more than with other donors, the model has learned a shortcut: which classes,
by which photos, and how much it is worth at least. Judged are photos that the model has not learned from. Heat-maps
show a shortcut only to those who know it already; they illustrate here and decide nothing. Without data.root the
folder is taken that the checkpoint's run was trained on.

Examples
  fishnet audit checkpoint=outputs/RUN/checkpoints/best.ckpt
  fishnet audit checkpoint=outputs/RUN/checkpoints/best.ckpt data.root=photos/lake
  fishnet audit checkpoint=best.ckpt data.root=photos/lake region=boxes boxes=observations.csv
  fishnet audit checkpoint=best.ckpt data.root=photos/lake fail_above=0.2
  fishnet audit checkpoint=outputs/RUN/checkpoints/best.ckpt data.root=photos/lake mend=retrain
  fishnet audit checkpoint=best.ckpt data.root=photos/lake job=2/4     the second of four processes, then once without
  fishnet audit checkpoint=other.ckpt data.root=photos/lake cues=OUT/audit/cues fail_above=0.05
  fishnet audit checkpoint=new.ckpt data.root=photos/lake before=OUT
  fishnet audit checkpoint=outputs/RUN/checkpoints/best.ckpt reference=retrain spread=5    with six trainings more
  fishnet audit checkpoint=frozen.ckpt data.root=photos/lake part=folds         a small folder, a frozen backbone

What is written: verdicts.csv, photos.csv, report.html; where something was found also curation.csv, a list for
`fishnet train … data.curation=curation.csv` that changes nothing until you edit it, and cues/, pictures of what was
found, without the animal, by which cues= tests any model with classes of these names. The folder of the model's run
gets audit.json. before= shows an earlier audit beside this one. mend= chooses on validation photos
that are given the surroundings of others and reports once on photos that nothing was learned or chosen by (mended.csv);
a mended model that is better lies in OUT/mended/checkpoints/best.ckpt. reference= says of each shortcut whether it is
inherited, and spread= which classes have photos that are learned at once and others that are not. part=folds judges by
new classifier layers, each on photos that it has not learned from, so that a small folder can be judged by all photos.
"""

import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.run_data import use_photos_of_run
from fishnet.config.validate import validate
from fishnet.environment import keep_freed_memory
from fishnet.errors import WorkFailed
from fishnet.files import write_whole
from fishnet.ranges import Above, AtLeast, Between, FreeText, Probability
from fishnet.text import counted, few_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from fishnet.audit.folder import FolderAudit
    from fishnet.audit.judged import RegionSource
    from fishnet.audit.mending import Mending
    from fishnet.audit.sections import Audited
    from fishnet.audit.verdicts import Verdict
    from fishnet.data.class_names import ClassNames
    from fishnet.data.datamodule import ImageFolderData
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 55  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    part: Literal["auto", "all", "val", "test", "folds"]
    region: Literal["auto", "learned", "ellipse", "boxes", "masks", "animals"]
    boxes: FreeText | None
    masks: FreeText | None
    weights: FreeText | None
    network: str
    donors: Annotated[int, AtLeast(2)]
    hosts: Annotated[int, AtLeast(2)]
    job: str | None
    cues: FreeText | None
    before: FreeText | None
    reference: Literal["retrain"] | None
    spread: Annotated[int, AtLeast(0)]
    alpha: Annotated[float, Between(0, 1)]
    power: Literal["quick", "full", "none"]
    mend: Literal["head", "retrain"] | None
    fail_above: Annotated[float, Probability] | None
    batch_size: Annotated[int, Above(0)]
    seed: Annotated[int, AtLeast(0)]
    packages: list[str]
    name: FreeText | None
    out: FreeText | None


def audit(config: DictConfig) -> dict[str, float]:
    """Judge each class, and keep the figures, the page and the metrics of the run."""
    bring_checkpoint(config)
    use_photos_of_run(config)
    validate(config, "audit")
    require_checkpoint(config)
    keep_freed_memory()
    from fishnet.config.auditing import stoppable

    with stoppable(config):
        return measure(config)


def measure(config: DictConfig) -> dict[str, float]:
    """The audit of settings that were checked: a job's share, a test by a set of cues, or the whole."""
    import torch

    from fishnet.audit.cue_test import cue_metrics, known_cues
    from fishnet.audit.jobs import Job
    from fishnet.audit.judged import judged_rows
    from fishnet.audit.rounds import read_round
    from fishnet.config import auditing, building
    from fishnet.config.mending import check_mending
    from fishnet.config.references import check_references
    from fishnet.data.index import state_folder
    from fishnet.models.checkpoint import load_model

    job = None if config.job is None else Job.named(config.job)
    before = None if config.before is None else read_round(Path(config.before).expanduser())
    building.quieten()
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu").eval()
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time on a CPU
    data = judged_data(config, model)
    auditing.check_part(config, model, data)
    rows = judged_rows(data, config.part)
    regions = region_source(config, data, model)
    cues = None if config.cues is None else known_cues(Path(config.cues).expanduser(), model.classes)
    if job is None and cues is None:
        check_mending(config, model, data, checkpoint)
        check_references(config, data, checkpoint)
    regions_of = regions.decided(rows)  # the first photos that are exchanged: what can be refused has been
    if job is not None:
        stored = state_folder(data.root) / "effects"
        return auditing.measure_share(
            config, job, model, data, rows, regions_of, stored=stored, about=about(model)
        )  # fmt: skip
    if cues is not None:
        table = auditing.tested_by_cues(config, cues, model, data, rows, regions_of, checkpoint)
        most = max(table.to_dict("records"), key=lambda row: row["reliance"])
        check_bound(config, most["class"], "the cues of its set", most["reliance"])
        return cue_metrics(table)
    return judge(config, model, data, rows, regions_of, checkpoint, before)


def judge(
    config: DictConfig, model: "ImageClassifier", data: "ImageFolderData", rows: "np.ndarray",
    regions_of: "RegionSource", checkpoint: Path, before: "pd.DataFrame | None",
) -> dict[str, float]:  # fmt: skip
    """Judge every class, keep what was found with the run and with the model's training, and print it."""
    from fishnet.audit.tables import audit_record, metrics_of
    from fishnet.config.measuring import measuring_run
    from fishnet.models.run_model import keep_result

    with measuring_run(config, data, "audit", checkpoint=checkpoint) as (folder, logger):
        audited = audited_folder(config, model, data, rows, regions_of, folder, before)
        audited = more_trained(config, audited, checkpoint, folder)
        result, more = reported(config, audited, checkpoint, folder)
        logger.log_artifacts(folder / "audit", "audit")
        measured, found, mending = audited.measured, audited.found, result and result[0]
        metrics = metrics_of(measured, found, mending) | more
        logger.log_metrics(metrics)
    note_on_training(config, checkpoint, metrics_of(measured, found) | more)
    keep_result(checkpoint, audit_record(audited, model=about(model)["model"], alpha=config.alpha))
    print_verdicts(measured, found, audited.called, folder)
    if config.mend is not None:
        print_mending(mending)
    worst = max(found, key=lambda verdict: verdict.reliance)
    check_bound(config, worst.name, worst.carried_by, worst.reliance)
    return metrics


def region_source(config: DictConfig, data: "ImageFolderData", model: "ImageClassifier") -> "RegionSource":
    """How the animal's region is known, as it was asked for; what is missing for it is refused."""
    from fishnet.audit.judged import RegionSource

    boxes, masks, weights = (config[key] and Path(config[key]).expanduser() for key in ("boxes", "masks", "weights"))
    return RegionSource(
        config.region, data, model, config.batch_size, boxes=boxes, masks=masks, weights=weights,
        network=config.network,
    )  # fmt: skip


def check_bound(config: DictConfig, name: str, what: str, reliance: float) -> None:
    """WorkFailed where the class that rests most on something does so by more than `fail_above`."""
    if config.fail_above is not None and reliance > config.fail_above:
        text = f"{name} rests on {what} by at least {reliance:.3f}: more than fail_above={config.fail_above:g}."
        raise WorkFailed(text)


def audited_folder(
    config: DictConfig, model: "ImageClassifier", data: "ImageFolderData", rows: "np.ndarray",
    regions_of: "RegionSource", folder: Path, before: "pd.DataFrame | None",
) -> "Audited":  # fmt: skip
    """Measure, judge, and write verdicts.csv, photos.csv and curation.csv into `audit` of the run's folder."""
    import pandas as pd

    from fishnet.audit.carriers import training_carriers
    from fishnet.audit.control import checked
    from fishnet.audit.folder import audit_folder
    from fishnet.audit.out_of_fold import audit_folds
    from fishnet.audit.sections import Audited
    from fishnet.audit.tables import photo_table, write_tables
    from fishnet.audit.verdicts import verdicts
    from fishnet.data.index import state_folder

    stored, name = state_folder(data.root), about(model)
    how = {"most_donors": config.donors, "hosts": config.hosts, "alpha": config.alpha, "batch_size": config.batch_size}
    how |= {"stored": stored / "effects", "about": name}
    if config.part == "folds":
        measured = audit_folds(model, data.folder, regions_of, **how)
    else:
        measured = audit_folder(model, data.folder, rows, regions_of, **how)
    settings = {"batch_size": config.batch_size, "seed": config.seed, "power": config.power, "before": before}
    judged = Audited(model, data.folder, measured, verdicts(measured), pd.DataFrame(), stored=stored, **settings)
    judged = checked(judged)
    trained = training_carriers(
        model, data.folder, measured, judged.found, regions_of, stored=stored / "effects", about=name
    )
    audited = replace(judged, photos=photo_table(measured, judged.found, trained))
    write_tables(measured, audited.found, audited.photos, folder / "audit", audited.called)
    return audited


def more_trained(config: DictConfig, audited: "Audited", checkpoint: Path, folder: Path) -> "Audited":
    """The same with what further trainings show, where they are wished for."""
    from fishnet.config.references import with_early_answers, with_reference

    audited = with_reference(config, audited, checkpoint, folder, about)
    return with_early_answers(config, audited, checkpoint, folder)


def reported(
    config: DictConfig, audited: "Audited", checkpoint: Path, folder: Path
) -> "tuple[tuple[Mending, ImageClassifier] | None, dict[str, float]]":
    """Ask what else there is to ask, mend where that is wished, and write the tables and the page; what mending has
    brought, and the further metrics."""
    from fishnet.audit.cues import write_cues
    from fishnet.audit.page import audit_page, mended_chapter, mended_picture
    from fishnet.audit.questions import sections_of
    from fishnet.audit.tables import write_table
    from fishnet.config.mending import mended
    from fishnet.explain.overlay import save

    sections = sections_of(audited)
    for section in sections:
        for name, table in section.tables.items():
            write_table(table, folder / "audit" / f"{name}.csv")
    for name, count in write_cues(audited, folder / "audit" / "cues", model=about(audited.model)["model"]).items():
        if count:
            log.warning("cues: %s of %s may not be changed and passed on: left out.", counted(count, "photo"), name)
    result = mended(config, audited, checkpoint, folder, about) if config.mend else None
    picture = mended_picture(audited, result[1]) if result and result[0].checkpoint else None
    if picture:
        save(picture[0], folder / "audit" / "mended.jpg")
    chapters = [mended_chapter(result[0], picture, audited.called)] if result else []
    page = audit_page(audited, name=checkpoint.parent.parent.name, mended=chapters, sections=sections)
    write_whole(folder / "audit" / "report.html", page)
    return result, {name: value for section in sections for name, value in section.metrics.items()}


def judged_data(config: DictConfig, model: "ImageClassifier") -> "ImageFolderData":
    """The folder with the model's labels and what the model has seen of it."""
    from fishnet.config.hydra_internals import instantiate, literal

    part = "all" if config.part in ("auto", "all", "folds") else config.part
    data = instantiate(config.data, _convert_="all").for_model(
        classes=model.classes, names=model.names, preprocessing=model.preprocessing, part=part, seen=model.seen
    )
    data.check()
    config.data.group = literal(data.folder.group)  # as the run is recorded
    return data


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


def print_verdicts(measured: "FolderAudit", found: "list[Verdict]", called: "ClassNames", folder: Path) -> None:
    """A row a class, and where the tables are."""
    from rich.console import Console
    from rich.table import Table

    from fishnet.audit.tables import sentence

    table = Table(title=f"{measured.judged} photos, accuracy {measured.accuracy:.3f}")
    for column in ("class", "verdict", "share", "rises by at least", "p"):
        table.add_column(column, justify="left" if column in ("class", "verdict") else "right")
    for verdict in found:
        shown = [f"{verdict.share:.0%}", f"{verdict.reliance:.3f}"] if verdict.word == "shortcut" else ["", ""]
        text = "no verdict" if verdict.word == "withheld" else sentence(verdict)
        table.add_row(called.full(verdict.name), text, *shown, f"{verdict.test.p:.2g}")
    console = Console()
    console.print(table)
    for reason in dict.fromkeys(verdict.reason for verdict in found if verdict.word == "withheld"):
        names = [called.full(verdict.name) for verdict in found if verdict.reason == reason]
        of_whom = "" if len(names) == len(found) else f" ({few_of(names)})"
        console.print(f"{'no verdict':12s}{reason}{of_whom}", soft_wrap=True, highlight=False)
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
        rows = mending.figures.query("figure in ['share', 'reliance', 'f1_macro']").to_dict("records")
        names = [f"{row['figure']} of {row['class']}" if row["class"] else "macro-F1" for row in rows]
        pairs = [f"{name} {row['before']:.2f} → {row['after']:.2f}" for name, row in zip(names, rows, strict=True)]
        text = f"{mending.checkpoint}: {', '.join(pairs)}"
    print(f"{'mended':12s}{text}", flush=True)


if __name__ == "__main__":
    start(audit, "audit")
