"""A run that is to go on: its folder, its newest whole checkpoint, and whether it can go on from there."""

import json
from pathlib import Path
from typing import NamedTuple

from fishnet.callbacks.lightning_internals import epochs_begun
from fishnet.errors import BadInput
from fishnet.models.checkpoint import newest, read_checkpoint

from .records import RECORD


class StoppedRun(NamedTuple):
    folder: Path
    checkpoint: Path
    run_id: str
    config: Path


def find_run(what: str, *, uri: str | None) -> StoppedRun:
    """`what` is a run's id (six letters of it), its folder, or one of its checkpoints."""
    path = Path(what).expanduser().absolute()
    if path.suffix == ".ckpt":
        read_checkpoint(path)
        folder, checkpoint = path.parent.parent, path
    else:
        folder = path
        if not (path / RECORD).is_file():
            from fishnet.tracking.runs import folder_of

            known = folder_of(what, uri=uri, home=Path.cwd())
            if known is None or not known.is_dir():
                raise BadInput(f"resume={what}: neither a run, nor a run's folder, nor a checkpoint has that name.")
            folder = known
        newest_whole = newest(folder / "checkpoints")
        if newest_whole is None:
            raise BadInput(f"resume={what}: no whole checkpoint lies in {folder / 'checkpoints'}.")
        checkpoint = newest_whole
    config = folder / "config" / "config.yaml"
    if not config.is_file():
        raise BadInput(f"resume={what}: {folder} holds no configuration of a run.")
    return StoppedRun(folder, checkpoint, json.loads((folder / RECORD).read_text())["run_id"], config)


def check_epochs(wanted: object, checkpoint: Path) -> None:
    """Refuse fewer epochs than the run has begun already."""
    begun = epochs_begun(read_checkpoint(checkpoint))
    if isinstance(wanted, int) and 0 < wanted < begun:
        raise BadInput(
            f"trainer.max_epochs={wanted}: epoch {begun} of this run has begun already; give {begun} or more."
        )


def check_classes(checkpoint: str, classes: list[str], *, root: str, resume: str) -> None:
    """Refuse a folder that no longer holds the classes that the run began with."""
    known = list(read_checkpoint(Path(checkpoint))["hyper_parameters"]["classes"])
    if known == classes:
        return
    lost, new = [name for name in known if name not in classes], [name for name in classes if name not in known]
    parts = [f"{what} {', '.join(names[:5])}" for what, names in (("lacks", lost), ("also holds", new)) if names]
    listed = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
    raise BadInput(
        f"resume={resume}: the run knows the classes {listed}, and {root} "
        f"{' and '.join(parts) or 'has them in another order'}: restore the folder, or give data.root."
    )
