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

What is written: verdicts.csv, photos.csv, report.html; where something was found also curation.csv, a list for
`fishnet train … data.curation=curation.csv` that changes nothing until you edit it. mend= chooses on validation photos
that are given the surroundings of others and reports once on photos that nothing was learned or chosen by (mended.csv);
a mended model that is better lies in OUT/mended/checkpoints/best.ckpt.
"""

import hashlib
import json
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.config.compose import job_folder
from fishnet.config.entry import start
from fishnet.config.run_data import use_photos_of_run
from fishnet.config.validate import validate
from fishnet.environment import TYPED_COMMAND
from fishnet.errors import WorkFailed
from fishnet.files import write_whole
from fishnet.ranges import Above, AtLeast, Between, FreeText, Probability

if TYPE_CHECKING:
    import numpy as np

    from fishnet.audit.folder import FolderAudit
    from fishnet.audit.jobs import Job
    from fishnet.audit.judged import RegionSource
    from fishnet.audit.mending import Mending
    from fishnet.audit.sections import Audited
    from fishnet.audit.verdicts import Verdict
    from fishnet.data.datamodule import ImageFolderData
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 55  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    part: Literal["auto", "all", "val", "test"]
    region: Literal["learned", "ellipse", "boxes", "masks", "animals"]
    boxes: FreeText | None
    masks: FreeText | None
    weights: FreeText | None
    network: str
    donors: Annotated[int, AtLeast(2)]
    hosts: Annotated[int, AtLeast(2)]
    job: str | None
    alpha: Annotated[float, Between(0, 1)]
    mend: Literal["head", "retrain"] | None
    fail_above: Annotated[float, Probability] | None
    batch_size: Annotated[int, Above(0)]
    seed: Annotated[int, AtLeast(0)]
    name: FreeText | None
    out: FreeText | None


def audit(config: DictConfig) -> dict[str, float]:
    """Judge each class, and keep the figures, the page and the metrics of the run."""
    use_photos_of_run(config)
    validate(config, "audit")
    import torch

    from fishnet.audit.jobs import Job
    from fishnet.audit.judged import RegionSource, judged_rows
    from fishnet.audit.tables import metrics_of
    from fishnet.audit.verdicts import reliance_max
    from fishnet.config import building
    from fishnet.config.mending import check_mending
    from fishnet.models.checkpoint import load_model
    from fishnet.runs import records, run
    from fishnet.runs.folders import run_folder
    from fishnet.tracking import names
    from fishnet.tracking.store import check_store

    job = None if config.job is None else Job.named(config.job)
    building.quieten()
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu").eval()
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time on a CPU
    data = judged_data(config, model)
    rows = judged_rows(data, config.part)
    files = {key: config[key] and Path(config[key]).expanduser() for key in ("boxes", "masks", "weights")}
    regions_of = RegionSource(config.region, data, model, config.batch_size, **files, network=config.network)
    if job is not None:
        return measure_share(config, job, model, data, rows, regions_of)
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
            audited = audited_folder(config, model, data, rows, regions_of, folder)
            result, more = reported(config, audited, checkpoint, folder)
            logger.log_artifacts(folder / "audit", "audit")
            measured, found, mending = audited.measured, audited.found, result and result[0]
            metrics = metrics_of(measured, found, mending) | more
            logger.log_metrics(metrics)
        note_on_training(config, checkpoint, metrics_of(measured, found) | more)
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


def measure_share(
    config: DictConfig, job: "Job", model: "ImageClassifier", data: "ImageFolderData", rows: "np.ndarray",
    regions_of: "RegionSource",
) -> dict[str, float]:  # fmt: skip
    """Measure a job's share of the donors, and print what is missing and the command that brings it; no run is made."""
    from fishnet.audit.folder import effects_of, sample_of, unmeasured
    from fishnet.data.index import state_folder

    keep = {"stored": state_folder(data.root) / "effects", "about": about(model)}
    sample = sample_of(model, data.folder, rows, regions_of, most_donors=config.donors, hosts=config.hosts)
    effects_of(model, data.folder, sample, job=job, **keep)
    missing = unmeasured(model, sample, **keep)
    jobs = [job._replace(number=number) for number in range(1, job.of + 1)]
    left = [each for each in jobs if missing[each.share(len(missing))].any()]
    print(f"{'measured':12s}{len(missing) - missing.sum()} of {len(missing)} donors, by all jobs")
    for each in left:
        print(f"{'missing':12s}{typed_command(job=f'{each.number}/{each.of}')}")
    print(f"{'then' if left else 'now':12s}{typed_command()}", flush=True)
    return {"audit/donors_missing": float(missing.sum())}


def typed_command(**keys: str) -> str:
    """This command as it was typed, with another job or none."""
    typed = shlex.split(os.environ.get(TYPED_COMMAND, shlex.join(["fishnet", "audit", *sys.argv[1:]])))
    kept = [word for word in typed if not word.startswith("job=")]
    return shlex.join([*kept, *(f"{key}={value}" for key, value in keys.items())])


def audited_folder(
    config: DictConfig, model: "ImageClassifier", data: "ImageFolderData", rows: "np.ndarray",
    regions_of: "RegionSource", folder: Path,
) -> "Audited":  # fmt: skip
    """Measure, judge, and write verdicts.csv, photos.csv and curation.csv into `audit` of the run's folder."""
    from fishnet.audit.carriers import training_carriers
    from fishnet.audit.folder import audit_folder
    from fishnet.audit.sections import Audited
    from fishnet.audit.tables import photo_table, write_tables
    from fishnet.audit.verdicts import verdicts
    from fishnet.data.index import state_folder

    stored, name = state_folder(data.root), about(model)
    measured = audit_folder(
        model, data.folder, rows, regions_of, most_donors=config.donors, hosts=config.hosts, alpha=config.alpha,
        batch_size=config.batch_size, stored=stored / "effects", about=name,
    )  # fmt: skip
    found = verdicts(measured)
    trained = training_carriers(model, data.folder, measured, found, regions_of, stored=stored / "effects", about=name)
    photos = photo_table(measured, found, trained)
    write_tables(measured, found, photos, folder / "audit")
    return Audited(model, data.folder, measured, found, photos, stored, config.batch_size, config.seed)


def reported(
    config: DictConfig, audited: "Audited", checkpoint: Path, folder: Path
) -> "tuple[tuple[Mending, ImageClassifier] | None, dict[str, float]]":
    """Ask what else there is to ask, mend where that is wished, and write the tables and the page; what mending has
    brought, and the further metrics."""
    from fishnet.audit.page import audit_page, mended_chapter
    from fishnet.audit.sections import sections_of
    from fishnet.audit.tables import write_table
    from fishnet.config.mending import mended

    measured, found = audited.measured, audited.found
    sections = sections_of(audited)
    for section in sections:
        for name, table in section.tables.items():
            write_table(table, folder / "audit" / f"{name}.csv")
    result = mended(config, audited, checkpoint, folder, about) if config.mend else None
    mending = (
        [mended_chapter(measured, found, result[0], (audited.model, result[1]), audited.views_of)] if result else []
    )
    page = audit_page(audited, name=checkpoint.parent.parent.name, mended=mending, sections=sections)
    write_whole(folder / "audit" / "report.html", page)
    return result, {name: value for section in sections for name, value in section.metrics.items()}


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
