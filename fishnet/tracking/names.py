"""Every name under which a run keeps something in MLflow, and the form that MLflow accepts for names and values.

Writers and readers of a tag use the same constant. Names that are written to stores must never change: runs that
were recorded by an earlier version are read by them.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

# ---- tags of MLflow itself

PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
USER = "mlflow.user"
SOURCE_TYPE = "mlflow.source.type"
SOURCE_NAME = "mlflow.source.name"
SOURCE_COMMIT = "mlflow.source.git.commit"
DATA_CONTEXT = "mlflow.data.context"  # of a data set: for what it was used
NOTE = "mlflow.note.content"  # of a run: its description
SHARED_VIEW = "mlflow.sharedViewState"  # of an experiment: `<prefix>.<view>` holds the columns of a view

# ---- tags of fishnet

OWN = "fishnet."  # the prefix of all that follow
COMMAND = "fishnet.command"
FOLDER = "fishnet.folder"
CONFIG_DIGEST = "fishnet.config_digest"
GIT_COMMIT = "fishnet.git_commit"
SPLIT_DIGEST = "fishnet.split_digest"
DATA_DIGEST = "fishnet.data_digest"
CURATION_DIGEST = "fishnet.curation_digest"
CHECKPOINT = "fishnet.checkpoint"
PRECISION = "fishnet.precision"
PARAMETERS = "fishnet.parameters"  # of the network: how many numbers it holds
PARAMETERS_TRAINED = "fishnet.parameters_trained"
MENDED_FROM = "fishnet.mended_from"  # the checkpoint in whose place a run puts another
BEST_EPOCH = "fishnet.best_epoch"  # written by fishnet.models.run_model, which stands above this room

PROCESS = "fishnet.process"  # the process that writes the run, as JSON
HEARTBEAT = "fishnet.heartbeat"  # its last sign of life, in seconds since 1970
CLOSED_BY = "fishnet.closed_by"
INFINITE = "fishnet.infinite."  # + a metric that was infinite
CHANGED = "fishnet.changed."  # + a parameter that a resumed run was given another value of

ROLE = "fishnet.role"  # "parent": of a sweep, of folds, of a study
BEST_CHILD = "fishnet.best_child"
BEST_CHILD_NAME = "fishnet.best_child_name"

KEY = "fishnet.key"  # of a run that is sent from files: sent twice, it is found by this
STUDY = "fishnet.study"
STAGE = "fishnet.stage"
TRIAL = "fishnet.trial"
FOLD = "fishnet.fold"
SEED = "fishnet.seed"
DIGEST = "fishnet.digest"
CAUSE = "fishnet.cause"
CHOSEN = "fishnet.chosen"
RULE = "fishnet.rule"

OUR_NOTE = "\n\n*Written by fishnet; what you write in its place is kept.*"  # the end of a description

# ---- prefixes and names of metrics

BEST, TEST, TEST_CLASS, VAL = "best/", "test/", "test_class/", "val/"
BEST_RELIANCE = "best/reliance"  # the largest share of a class's answer that rests on something besides the animal
FINAL = (BEST, TEST, TEST_CLASS)  # metrics that a run has once
MEAN, SD, COUNT = "mean/", "sd/", "n/"  # + a metric: over the children of a parent run
CHILDREN, CHILDREN_FINISHED = "children/all", "children/finished"
LOW, HIGH = "_low", "_high"  # behind a metric: the ends of its interval

# ---- the form of names and values

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000


def safe_key(key: str) -> str:
    """The key itself where MLflow accepts it; else its nearest plain form with a digest, so that two never merge."""
    plain = re.sub(r"[^A-Za-z0-9_/. -]", "_", str(key))
    plain = "/".join(part for part in plain.split("/") if part.strip(" ."))
    if plain == key and 0 < len(plain) <= KEY_LENGTH:
        return key
    digest = hashlib.sha256(str(key).encode()).hexdigest()[:6]
    return f"{plain[: KEY_LENGTH - 7]}_{digest}"


def cut(text: str, length: int) -> str:
    """The text, shortened to `length` letters with an ellipsis at its end."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def as_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags as MLflow accepts them; a value of None makes no tag."""
    return {safe_key(key): cut(str(value), TAG_LENGTH) for key, value in tags.items() if value is not None}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as the columns of a table: `model.lr` → `0.1`; empty branches and nulls make no column."""
    result: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            result.update(flat(value, f"{name}."))
        elif value is not None:
            result[safe_key(name)] = cut(str(value), PARAM_LENGTH)
    return result
