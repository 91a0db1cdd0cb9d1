"""fishnet pack: a folder of class folders → a stream of large files, on a disk or in an object store, to learn from

A stream holds the photos' own bytes in chunks that litData can read, and photos.parquet, which says where each photo is
and what the folder's index says of it. data=stream splits, groups and shows it as the folder. A command that was ended
goes on; photos that are new in the folder, or those of another folder, come behind what is there. An object store is
reached as AWS's variables and files say (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL).

Examples
  fishnet pack data.root=photos/lake out=streams/lake
  fishnet pack data.root=photos/lake out=s3://bucket/lake
  fishnet train data=stream data.root=streams/lake
"""

import ast
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, cast

from omegaconf import DictConfig, OmegaConf

from fishnet.config.entry import start
from fishnet.config.validate import check_outside, check_writable, constructor, validate
from fishnet.errors import BadInput
from fishnet.files import LockHeld, locked
from fishnet.ranges import AtLeast, FreeText, Within
from fishnet.text import counted

log = logging.getLogger("fishnet")

POSITION = 25  # in the list of `fishnet --help`
TAKEN = ("_target_", "root", "most_megapixels", "max_refused", "seed")  # of the settings of data


class Keys:
    """Types and ranges of the keys at the top."""

    out: FreeText
    chunk_mb: Annotated[int, Within(1, 2048)]
    seed: Annotated[int, AtLeast(0)]


def pack(config: DictConfig) -> dict[str, float]:
    """Pack what the stream does not hold yet."""
    validate(config, "pack")
    _check_settings(config)
    from fishnet.data.chunks import S3, place_of
    from fishnet.data.listing import folder_source
    from fishnet.data.packing import pack as write_stream

    place, source = place_of(config.out), folder_source(str(config.data.root), None)
    local = not config.out.startswith(S3)
    if local:
        check_writable("out", config.out)
        check_outside(config.out, "data.root", config.data.root)
    with ExitStack() as stack:
        if local:
            _be_alone(Path(config.out).expanduser().absolute(), stack)
        done = write_stream(source, place, chunk_mb=config.chunk_mb, most_refused=config.data.max_refused)
    left = f", {counted(done.refused, 'photo')} left out" if done.refused else ""
    log.info(
        "%s: %s in %s, %d of them added now%s",
        *(config.out, counted(done.photos, "photo"), counted(done.chunks, "chunk"), done.added, left),
    )
    return {"photos": float(done.photos), "added": float(done.added), "refused": float(done.refused)}


def _check_settings(config: DictConfig) -> None:
    """Refuse what is for a training: a stream has all photos of its folder."""
    schema = constructor(config.data["_target_"])
    if "StreamData" in config.data["_target_"] or "ReefData" in config.data["_target_"]:
        raise BadInput("fishnet pack takes class folders: say data.root=FOLDER.")
    for key, value in cast("dict[str, object]", OmegaConf.to_container(config.data, resolve=True)).items():
        default = schema.get(key, (None, None))[1]
        if key not in TAKEN and default is not None and value != ast.literal_eval(default):
            raise BadInput(f"data.{key}={value}: a stream has all photos of its folder; say this when you train.")


def _be_alone(out: Path, stack: ExitStack) -> None:
    """Until the stack is left, no other process of this machine packs there; an object store has no locks."""
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        stack.enter_context(locked(out.with_name(f".{out.name}.lock"), timeout=0))
    except LockHeld:
        raise BadInput(f"{out}: another process packs there; wait for it.") from None


if __name__ == "__main__":
    start(pack, "pack")
