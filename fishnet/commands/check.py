"""fishnet check: what is wrong with a folder of photos, before an hour is spent on it

Broken, duplicated, tiny and changed photos, placeholders, pictures in two classes, shots of one subject and what to
type for them, missing licences, balance, what tells the classes apart beside the animal, expected time. Where a
training with model.freeze=backbone or fishnet embed has left features in the cache: crops of one photo, which later
trainings keep together, what a split by photo would be worth, and the ten labels that look most wrong. Exit status 1 if
training would refuse the folder, 2 if there are no class folders with photos to look at.

probes=true asks in addition how much of the class can be told from what is not the animal: the photo's border, colour
and texture outside the middle, how the file is coded, and from the manifest observer, place, month and source. A line
each says for how many photos the class is named right, classes counted alike, and which class stands out as none does
when this folder's labels are shuffled; probes.csv beside the folder's index has all figures.

Examples
  fishnet check data.root=data/lake
  fishnet check data.root=data/lake probes=true
  fishnet check data.root=data/lake data.group='(.+)_frame' out=worst.jpg time=false
"""

import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig, OmegaConf

from fishnet.cells import defused_table
from fishnet.config.entry import start
from fishnet.config.settling import settle, settle_fit
from fishnet.config.validate import check_writable, validate
from fishnet.errors import BadInput, WorkFailed
from fishnet.progress import for_terminal
from fishnet.ranges import AtLeast, FreeText
from fishnet.text import counted

if TYPE_CHECKING:
    from fishnet.data.findings import Check, Finding, Folder
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 20  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    seed: Annotated[int, AtLeast(0)]
    out: FreeText | None
    time: bool
    probes: bool


STEP = 2  # photos
SUSPECTS = 10  # photos that are named
PROBES = "probes.csv"
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def check(config: DictConfig) -> None:
    """Print a line for each finding and save the sheet; raise WorkFailed if something blocks a training."""
    if config.out is not None:
        if not str(config.out).lower().endswith(PICTURES):
            raise BadInput(f"out={config.out}: the contact sheet is a picture; let its name end with .jpg or .png.")
        if Path(config.out).expanduser().exists():
            raise BadInput(f"out={config.out} exists: choose another name.")
        check_writable("out", config.out)
    validate(config, "check")
    settings = OmegaConf.to_container(config.data, resolve=True)
    assert isinstance(settings, dict)
    from fishnet.data.checks import CHECKS, blocks, read_folder
    from fishnet.data.checks import check as run
    from fishnet.data.index import state_folder
    from fishnet.data.same_photo import PAIRS, write_pairs
    from fishnet.data.sheet import save_sheet, sheet

    folder = read_folder(config.data.root, settings)  # type: ignore[arg-type]
    of_verb = [
        wrong_labels,
        *([blind_probes(config)] if config.probes else []),
        *([training_time(config)] if config.time else []),
    ]
    findings = run(folder, [*CHECKS, *of_verb])
    print(for_terminal(table(folder, findings), sys.stdout, indent=26), flush=True)
    if folder.features is not None:
        one_photo = [pair for pair in folder.pairs if pair.one_photo]
        write_pairs(one_photo, folder.table, state_folder(folder.root) / PAIRS)
        if one_photo:
            print(
                f"{counted(len(one_photo), 'pair')} of files that show one photo: {state_folder(folder.root) / PAIRS}"
            )
    if any(finding.check == "probe" for finding in findings):
        print(f"all that the probes measured: {state_folder(folder.root) / PROBES}")
    page = sheet(folder.root, findings)
    if page is not None:
        out = Path(config.out).expanduser() if config.out else state_folder(folder.root) / "check.jpg"
        save_sheet(page, out)
        print(f"the worst of them: {out}", flush=True)
    if blocks(findings):
        raise WorkFailed(f"{config.data.root} cannot be trained on as it is: what blocks it stands above.")


def table(folder: "Folder", findings: "list[Finding]") -> str:
    """A line a finding, the gravest first."""
    lines = [f"{folder.root}: {counted(len(folder.table), 'usable photo')} in {counted(len(folder.classes), 'class')}"]
    lines += [f"  {finding.weight:6s}  {finding.check:14s}  {finding.text}" for finding in findings]
    return "\n".join(lines)


def wrong_labels(folder: "Folder") -> "Iterator[Finding]":
    """The photos that lie most clearly among another class, where features are in the cache."""
    if folder.features is None:
        return
    import numpy as np

    from fishnet.data.findings import Finding
    from fishnet.embed.suspects import suspicious_labels

    rows, features = folder.features
    points = folder.table.iloc[rows]
    if points["label"].nunique() < 2 or len(np.unique(folder.groups[rows])) < 2:
        return
    listed = suspicious_labels(points, features, folder.groups[rows])
    if len(listed):
        photos = [(row["path"], f"like {row['claimed_by']}") for row in listed.head(SUSPECTS).to_dict("records")]
        first = f": the first {len(photos)} are" if len(listed) > 1 else ":"
        text = f"{counted(len(listed), 'photo lies', 'photos lie')} among another class{first} "
        text += ", ".join(f"{path} ({how})" for path, how in photos)
        yield Finding("labels", "notes", f"{text}; fishnet embed shows them", photos)


def blind_probes(config: DictConfig) -> "Check":
    """What can be told from beside the animal; photos come at the size, and from the cache, of the coming training."""

    def check_probes(folder: "Folder") -> "Iterator[Finding]":
        if len(folder.classes) < 2:
            return
        from fishnet.audit.probes import findings_of, probe_folder
        from fishnet.data.cache import working_images
        from fishnet.data.findings import Finding
        from fishnet.data.index import state_folder
        from fishnet.data.views import working
        from fishnet.files import replacing

        model = network(config, folder.classes)
        settle(config)
        settle_fit(config, folder, model)
        preprocessing = model.preprocessing
        images = partial(
            working_images, how=working(preprocessing), cache=config.data.cache, limit=config.data.cache_limit,
            progress=folder.progress,
        )  # fmt: skip
        probed = probe_folder(folder, lambda rows: images(folder.root, folder.table.iloc[rows]))
        with replacing(state_folder(folder.root) / PROBES) as temporary:
            defused_table(probed).to_csv(temporary, index=False, float_format="%.4f")
        if probed.empty:
            yield Finding("probe", "notes", "too few groups of photos for blind probes: two classes need five each")
        elif small := set(folder.classes) - set(probed["class"]):
            yield Finding("probe", "notes", f"not probed, with fewer than five groups: {', '.join(sorted(small)[:5])}")
        yield from findings_of(probed)

    return check_probes


def network(config: DictConfig, classes: list[str]) -> "ImageClassifier":
    """The network of a training with these settings, untrained."""
    from fishnet.models.classifier import ImageClassifier

    return ImageClassifier(
        classes=classes,
        backbone=config.model.backbone,
        backbone_args=OmegaConf.to_container(config.model.backbone_args) or {},  # type: ignore[arg-type]
        image_size=config.data.image_size,
        fit=config.model.fit,
    )


def training_time(config: DictConfig) -> "Check":
    """What a training would take here, from a few steps of its network in float32; the guess is of the right order."""

    def check_time(folder: "Folder") -> "Iterator[Finding]":
        if len(folder.classes) < 2:
            return
        import torch

        from fishnet.data.findings import Finding
        from fishnet.models.arithmetic import PLAIN
        from fishnet.progress import duration
        from fishnet.runs.forecast import Plan, measured

        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = network(config, folder.classes).to(device)
        cost, photos, epochs = measured(model, PLAIN), len(folder.table), config.trainer.max_epochs
        answered = round(config.data.val * photos)
        epoch = Plan(1, photos - answered - round(config.data.test * photos), answered).seconds(cost)
        where = torch.cuda.get_device_name() if device == "cuda" else "this processor"
        text = f"{config.model.backbone} on {where}: about {duration(epoch)} an epoch, {duration(epoch * epochs)}"
        yield Finding("time", "notes", f"{text} for {counted(epochs, 'epoch')} if nothing stops it earlier")

    return check_time


if __name__ == "__main__":
    start(check, "check")
