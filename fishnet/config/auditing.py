"""What an audit does besides judging a folder: its end by a signal, the share of a job, a test by a set of cues."""

import logging
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from fishnet.audit.cue_test import cue_metrics, cue_test
from fishnet.audit.cues import Cue
from fishnet.audit.folder import effects_of, sample_of, unmeasured
from fishnet.audit.jobs import Job
from fishnet.audit.judged import RegionSource
from fishnet.audit.out_of_fold import check_folds
from fishnet.audit.tables import write_table
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.index import state_folder
from fishnet.environment import as_typed
from fishnet.errors import BadInput, Interrupted, interrupted_by
from fishnet.models.classifier import ImageClassifier

from .measuring import measuring_run

log = logging.getLogger("fishnet")


@contextmanager
def stoppable(config: DictConfig) -> Iterator[None]:
    """A signal ends the block in good order, and a sentence says what is kept for the same command."""
    try:
        with interrupted_by(signal.SIGUSR1):  # Slurm's warning before the time limit; the others end every verb
            yield
    except (Interrupted, KeyboardInterrupt):
        kept = state_folder(Path(config.data.root).expanduser())
        elsewhere = "" if config.out is None else ", with another out="
        log.warning(
            "audit: stopped; donors that were measured and trainings that had ended are kept in %s, and the same "
            "command goes on%s.", kept, elsewhere,
        )  # fmt: skip
        raise


def check_part(config: DictConfig, model: ImageClassifier, data: ImageFolderData) -> None:
    """Refuse part=folds where new classifier layers cannot judge, or where the model's own is to be asked."""
    if config.part != "folds":
        return
    for key in ("job", "cues", "reference"):
        if config[key] is not None:
            raise BadInput(f"part=folds judges by new classifier layers, and {key}= asks the model's: leave one out.")
    check_folds(model, data.folder)


def measure_share(
    config: DictConfig, job: Job, model: ImageClassifier, data: ImageFolderData, rows: np.ndarray,
    regions_of: RegionSource, *, stored: Path, about: dict,
) -> dict[str, float]:  # fmt: skip
    """Measure a job's share of the donors, and print what is missing and the command that brings it; no run is made."""
    sample = sample_of(model, data.folder, rows, regions_of, most_donors=config.donors, hosts=config.hosts)
    effects_of(model, data.folder, sample, stored=stored, about=about, job=job)
    missing = unmeasured(model, sample, stored=stored, about=about)
    jobs = [job._replace(number=number) for number in range(1, job.of + 1)]
    left = [each for each in jobs if missing[each.share(len(missing))].any()]
    print(f"{'measured':12s}{len(missing) - missing.sum()} of {len(missing)} donors, by all jobs")
    for each in left:
        print(f"{'missing':12s}{typed_command(job=f'{each.number}/{each.of}')}")
    print(f"{'then' if left else 'now':12s}{typed_command()}", flush=True)
    return {"audit/donors_missing": float(missing.sum())}


def typed_command(**keys: str) -> str:
    """This command as it was typed, with another job or none."""
    typed = shlex.split(as_typed("audit"))
    kept = [word for word in typed if not word.startswith("job=")]
    return shlex.join([*kept, *(f"{key}={value}" for key, value in keys.items())])


def tested_by_cues(
    config: DictConfig, cues: list[Cue], model: ImageClassifier, data: ImageFolderData, rows: np.ndarray,
    regions_of: RegionSource, checkpoint: Path,
) -> pd.DataFrame:  # fmt: skip
    """Lay the cues of a set into photos of the folder; a row a class is kept as audit/cues.csv and printed."""
    with measuring_run(config, data, "audit", checkpoint=checkpoint) as (folder, logger):
        where = Path(config.cues).expanduser()
        table = cue_test(model, data.folder, rows, regions_of, cues, where, hosts=config.hosts)
        (folder / "audit").mkdir(exist_ok=True)
        write_table(table, folder / "audit" / "cues.csv")
        logger.log_artifacts(folder / "audit", "audit")
        logger.log_metrics(cue_metrics(table))
    for row in table.to_dict("records"):
        figures = f"{row['rise']:+.3f} [{row['rise_low']:.3f}, {row['rise_high']:.3f}]"
        print(f"{row['class']}: {figures} with {row['cues']} cues ({row['kind']}), beyond {row['beyond']}")
    print(f"{'table':12s}{folder / 'audit' / 'cues.csv'}", flush=True)
    return table
