"""fishnet predict: a checkpoint on photos → a CSV of probabilities, with a column for 'not sure'

Examples
  fishnet predict checkpoint=outputs/RUN/checkpoints/best.ckpt images=photos/new
  fishnet predict checkpoint=best.ckpt images='my photo.jpg' out=answer.csv sure=0.9
  fishnet predict checkpoint=best.ckpt images='photos/**/*.jpg'                      or '[a.jpg,b.jpg]', or list.txt
  fishnet predict checkpoint=best.ckpt images=photos/lake classes=[perch,pike,roach]     no other lives in this lake
  fishnet predict checkpoint=best.ckpt images=photos/lake sure='{perch: 0.9, pike: 0.7}'
  fishnet predict checkpoint=perch-and-pike images=photos/lake sure=model             as measured on validation photos
  fishnet predict checkpoint=best.ckpt images=photos/lake by=observation_id              one answer an observation
  fishnet predict checkpoint=best.ckpt images=photos/lake by='(.+)_frame'                or for photos named alike
  fishnet predict checkpoint=best.ckpt images=photos/lake out=answers.csv part=2/4       the second of four commands
  fishnet predict join='answers.*-of-4.csv' out=answers.csv
  fishnet predict checkpoint=best.ckpt images=photos/lake out=answers.csv parts=8 executor=submitit \\
      'executor_args={slurm_partition: gpu, gpus_per_node: 1}'                 eight jobs, joined; executor=ray as well
  fishnet predict checkpoint=best.ckpt images=PACKAGE/datapackage.json format=camtrap_dp out=answered
  fishnet predict checkpoint=best.ckpt images=photos format=camtrap_dp out=answered camtrap.latitude=52.1 \\
      camtrap.longitude=4.8 camtrap.timezone=+02:00
"""

import csv
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from omegaconf import DictConfig, OmegaConf

from fishnet import __version__
from fishnet.cells import defused_row
from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.parting import check_many, check_parting, make_parts, parts_are_joined, parts_folder, typed_keys
from fishnet.config.validate import check, check_writable, constructor, validate
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.files import remove_leftovers, replacing
from fishnet.progress import with_progress, working
from fishnet.ranges import AtLeast, FreeText, Probability, Within
from fishnet.text import counted, few_of, reasons_in_lines

if TYPE_CHECKING:
    from fishnet.data.camtrap_planning import Plan
    from fishnet.data.class_names import ClassNames
    from fishnet.data.observations import LoosePhotos, Observation
    from fishnet.models.answer_table import AnswerTable

log = logging.getLogger("fishnet")

POSITION = 60  # in the list of `fishnet --help`
CAMERA = "fishnet.data.camtrap_planning.Camera"  # what the keys of camtrap are


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    images: FreeText
    out: FreeText
    overwrite: bool
    format: Literal["csv", "camtrap_dp"]
    sure: Annotated[float, Probability] | Literal["model"] | dict
    classes: list[str] | None
    by: FreeText | None
    part: FreeText | None
    parts: Annotated[int, AtLeast(1)] | None
    executor: str
    executor_args: dict
    join: FreeText | None
    batch_size: Annotated[int, AtLeast(1)] | None
    most_megapixels: Annotated[int, Within(1, 178)]
    camtrap: dict


def predict(config: DictConfig) -> dict[str, float]:
    """One row a photo or observation, in the order of their paths; what cannot be read is listed and keeps its row."""
    check_parting(config)
    if config.join is not None:
        return join(config)
    bring_checkpoint(config)
    validate(config, "predict")
    require_checkpoint(config)
    for key, (annotation, _) in constructor(CAMERA).items():
        check(f"camtrap.{key}", config.camtrap[key], annotation)
    _check_together(config)
    keep_freed_memory()
    from fishnet.data.observations import blocks_of, loose_photos, observations, part_of
    from fishnet.models.answer_parts import part_file

    out = Path(config.out).expanduser().absolute()
    part = None if config.part is None else part_of(config.part)
    out = out if part is None else part_file(out, part)
    _check_out(config, out)
    if config.parts is not None:
        return predict_in_parts(config, out)
    photos = loose_photos(config.images)
    found = observations(photos.table, config.by)
    if photos.stream is not None and config.format == "camtrap_dp":
        raise BadInput(f"format=camtrap_dp names files, and images={config.images} is a stream: leave it out.")
    plan = package_plan(config, photos) if config.format == "camtrap_dp" else None
    table = answer_table(config, photos)
    blocks = blocks_of(found, table.batch_size)
    if plan is not None:
        counts = write_camtrap(config, table, blocks, plan, out)
    elif part is not None:
        counts = write_one_part(config, table, photos, blocks, out)
    else:
        counts = write_table(table, blocks, out)
    for line in reasons_in_lines(table.problems):
        log.warning(line)
    log.info(
        "%s: %s%s, %d not sure, %d could not be read",
        *(out, counted(counts["photos"], "photo"), f" in {counted(len(found), 'observation')}" if config.by else ""),
        *(counts["not sure"], counts["refused"]),
    )
    warn_of_trained(counts)
    return {name: float(counts[name]) for name in ("not sure", "refused", "trained on")}


def warn_of_trained(counts: Counter[str]) -> None:
    """Answers on photos that the model has learned from say little."""
    if counts["trained on"]:
        log.warning("The model was trained on %s of these (column seen).", counted(counts["trained on"], "photo"))


def join(config: DictConfig) -> dict[str, float]:
    """Write the table of all parts; nothing is asked of a model."""
    for key in ("checkpoint", "images"):
        if not OmegaConf.is_missing(config, key):
            raise BadInput(f"join={config.join} takes the answers of the parts: leave {key}= out.")
        config[key] = ""
    if config.part is not None or config.parts is not None or config.format != "csv":
        raise BadInput(f"join={config.join} writes one CSV: leave part=, parts= and format= out.")
    if given := [key for key in typed_keys() if key not in ("join", "out", "overwrite")]:
        raise BadInput(f"join={config.join} takes the answers of the parts: leave {given[0]}= out.")
    validate(config, "predict")
    out = Path(config.out).expanduser().absolute()
    _check_out(config, out)
    return joined(config.join, out)


def joined(parts: str, out: Path) -> dict[str, float]:
    """Write the table of the parts of a folder, or of a pattern of their names."""
    from fishnet.models.answer_parts import join_parts

    out.parent.mkdir(parents=True, exist_ok=True)
    counts, many = join_parts(parts, out)
    words = counted(many, "part")
    log.info("%s: %s, %d not sure, %d could not be read", out, words, counts["not sure"], counts["refused"])
    warn_of_trained(counts)
    return {name: float(counts[name]) for name in ("not sure", "refused", "trained on")}


def predict_in_parts(config: DictConfig, out: Path) -> dict[str, float]:
    """Each part by a command of its own, all at a time, and their tables joined."""
    from fishnet.data.observations import loose_photos

    photos = loose_photos(config.images)  # what is wrong with them is said here, and not by each part
    check_many(config, len(photos.table))
    make_parts("predict", config, out, photos.digest, own_out="part.csv")
    found = joined(str(parts_folder(out)), out)
    parts_are_joined(out)
    return found


def _check_together(config: DictConfig) -> None:
    """Refuse keys that contradict each other."""
    parted = config.part is not None or config.parts is not None
    if config.format == "camtrap_dp" and (parted or config.by is not None):
        raise BadInput(
            "format=camtrap_dp writes an observation a photo, in one command: leave part=, parts= and by= out."
        )
    if config.sure == "model" and (config.classes is not None or config.by is not None):
        log.warning("sure=model: the thresholds were measured on single photos, among all classes.")


def _check_out(config: DictConfig, out: Path) -> None:
    if config.format == "camtrap_dp":
        if out.exists():
            raise BadInput(f"out={config.out} exists: give the name of a new folder for the package.")
        images = Path(config.images).expanduser().absolute()
        if os.path.isdir(images) and out.is_relative_to(images):
            raise BadInput(
                f"out={config.out} lies among the photos of images={config.images}: give a folder elsewhere."
            )
    if out.is_dir():
        raise BadInput(f"out={config.out} is a folder: give the name of a file.")
    if out.exists() and not config.overwrite:
        raise BadInput(f"out={out if config.part else config.out} exists: choose another name, or say overwrite=true.")
    check_writable("out", config.out)


def package_plan(config: DictConfig, photos: "LoosePhotos") -> "Plan":
    """What is known of a package before its photos are answered."""
    from fishnet.data.camtrap import is_package, read_package
    from fishnet.data.camtrap_planning import Camera, planned

    images = Path(config.images).expanduser()
    camera = Camera(**cast("dict[str, Any]", OmegaConf.to_container(config.camtrap)))
    return planned(photos.folder, photos.table, read_package(images) if is_package(images) else None, camera)


def answer_table(config: DictConfig, photos: "LoosePhotos") -> "AnswerTable":
    """The model, and how its answers become rows."""
    import torch

    from fishnet.data.batch_size import photos_at_once
    from fishnet.models.answer_table import AnswerTable, limits_of
    from fishnet.models.checkpoint import load_model
    from fishnet.runs.facts import thresholds_known

    checkpoint = Path(config.checkpoint)
    model = load_model(checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config.batch_size = photos_at_once(config.batch_size, device, model.preprocessing.size)
    classes = possible_classes(model.classes, config.classes, model.names)
    sure = cast("dict", OmegaConf.to_container(config.sure)) if OmegaConf.is_config(config.sure) else config.sure
    limits = limits_of(sure, classes, thresholds_known(checkpoint) if sure == "model" else None, model.names)
    return AnswerTable(
        model, photos.names, photos.read, classes, limits, config.batch_size, joined=config.by is not None
    )


def possible_classes(known: list[str], chosen: list[str] | None, names: "ClassNames") -> list[str]:
    """The classes that a photo may show, in the model's order; all of them where none are named."""
    if chosen is None:
        return known
    chosen = [names.among(each, known) or each for each in chosen]
    if unknown := sorted({*chosen} - {*known}):
        raise BadInput(f"classes: the model does not know {few_of(unknown)}; it knows {few_of(known, 20)}.")
    if len({*chosen}) < 2:
        raise BadInput("classes: name two classes or more, for a photo of one alone is answered before it is seen.")
    return [name for name in known if name in chosen]


def write_table(table: "AnswerTable", blocks: "list[list[Observation]]", out: Path) -> Counter[str]:
    """Into a file beside `out`, which takes its place when all is there; returns what was counted."""
    counts = Counter(photos=len(table.names))
    with replacing(out) as temporary:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(out)
            temporary.touch()
        except OSError as error:
            raise BadInput(f"out={out} cannot be written ({error.strerror}).") from error
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(defused_row(table.columns))
            for block in shown(blocks):
                rows.writerows(map(defused_row, table.rows(block, counts)))
    return counts


def shown(blocks: "Iterable[list[Observation]]") -> "Iterator[list[Observation]]":
    """The blocks, with a bar that tells how many are done."""
    listed = list(blocks)
    return with_progress(listed, len(listed), "predicting")


def write_one_part(
    config: DictConfig, table: "AnswerTable", photos: "LoosePhotos", blocks: "list[list[Observation]]", out: Path
) -> Counter[str]:
    """The blocks of one part; those that an earlier command has left are taken from there."""
    from fishnet.data.observations import blocks_of_part, part_of
    from fishnet.models.answer_parts import write_part
    from fishnet.models.checkpoint import model_digest

    part = part_of(config.part)
    own = blocks_of_part(blocks, part)
    names = [[each.name, *each.photos] for block in blocks for each in block]
    about = {
        "model": model_digest(Path(config.checkpoint)), "classes": table.classes, "limits": table.limits,
        "by": config.by, "batch_size": config.batch_size, "images": config.images,
        "photos": hashlib.sha256(json.dumps([photos.digest, names]).encode()).hexdigest(),
        "most_megapixels": config.most_megapixels,
    }  # fmt: skip
    with working("predicting", len(own)) as work:

        def rows_of(number: int, counts: Counter[str]) -> list[list]:
            work.update(number - own.start)
            return table.rows(blocks[number], counts)

        counts, before = write_part(out, part, about, table.columns, own, rows_of)
    if before:
        log.info("part=%s goes on: %d of %d batches had been answered.", part, before, len(own))
    counts["photos"] = sum(len(each.photos) for number in own for each in blocks[number])
    return counts


def write_camtrap(
    config: DictConfig, table: "AnswerTable", blocks: "list[list[Observation]]", plan: "Plan", out: Path
) -> Counter[str]:
    """A package in a new folder, which takes its name when all is there."""
    from fishnet.data.camtrap_writing import Classified, write_package
    from fishnet.models.checkpoint import model_digest
    from fishnet.runs.facts import run_of

    counts, answered = Counter(photos=len(table.names)), []
    for block in shown(blocks):
        for answer in table.answers(block, counts):
            if answer.problem:
                answered.append(Classified("", 0.0, False, answer.problem))
                continue
            best, unsure = table.best(answer.probabilities)
            counts["not sure"] += unsure
            found = table.model.names.short(table.classes[best]), answer.probabilities[best]  # a scientific name
            answered.append(Classified(*found, not unsure, "", strange=bool(answer.strange)))
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    name = (run_of(checkpoint) or checkpoint).name
    classified_by = f"{name} (fishnet {__version__}, SHA-256 {model_digest(checkpoint)})"
    write_package(out, plan, answered, classified_by)
    return counts


if __name__ == "__main__":
    start(predict, "predict")
