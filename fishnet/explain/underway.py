"""The folder of an explain that is not finished: what it is of, who works in it, and what parts of it are there.

A mark in the folder names the model, the photos and the method until the page is there. What was made for something
else is made again; but parts, which have cost the work of several machines, are only replaced where that is asked for.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishnet.errors import BadInput
from fishnet.files import LockHeld, locked, write_whole

if TYPE_CHECKING:
    from fishnet.data.observations import Part

MADE = ("maps.npy", "logits.npy", "maps.csv", "pictures", "contents", "page.html")  # in out=
FINISHED = ("maps.npy", "logits.npy", "maps.csv", "page.html")  # of these, in every finished folder
UNDERWAY = ".explaining"  # in out= until the page is there
UNFINISHED = ".unfinished"  # in out= until the maps are there: what is kept of them
WORDS = {  # what a folder is of, and how it is called where that is another
    "model": "another model",
    "preprocessing": "a model that is shown its photos otherwise",
    "photos": "other photos",
    "method": "another method=",
    "all_classes": "another all_classes=",
    "batch_size": "another batch_size=",
}
BEGINNING = 10.0  # seconds that a part waits for another one to begin

Work = Mapping[str, Any]  # a value for each of WORDS


def name_of(work: Work) -> str:
    """What maps of this model, these photos and this method are kept under; batches of another size continue them."""
    given = {key: value for key, value in work.items() if key != "batch_size"}
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def check_free(out: Path, typed: str, overwrite: bool) -> None:
    """Refuse a folder that holds what this verb would write, unless it is that of a run that was ended, or one that
    this verb has filled and that may be written over."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"out={typed} is a file: give the name of a folder.")
    held = [name for name in MADE if (out / name).exists()]
    if not held or (out / UNDERWAY).exists():
        return
    if not overwrite:
        raise BadInput(f"out={typed} holds {held[0]} already: choose another folder, or say overwrite=true.")
    if not all((out / name).exists() for name in FINISHED):
        raise BadInput(f"out={typed} holds {held[0]}, which is not of an earlier explain: choose another folder.")


@contextmanager
def whole_alone(out: Path, work: Work, *, overwrite: bool) -> Iterator[bool]:
    """No other process of this verb writes there meanwhile; yields whether all maps are there already, from a run that
    was ended before its page was written."""
    with _alone_in(out, timeout=0):
        if working := _parts_at_work(out):
            raise BadInput(f"{out}: another process makes part {working[0]} there; wait for it.")
        yield _go_on(out, work, overwrite=overwrite, parted=bool(parts_in(out)))


@contextmanager
def part_alone(out: Path, part: "Part", work: Work, *, overwrite: bool) -> Iterator[bool]:
    """No other process makes this part, nor all of it, there meanwhile; yields as `whole_alone` does."""
    with ExitStack() as stack:
        with _alone_in(out, timeout=BEGINNING):
            kept = _go_on(out, work, overwrite=overwrite, parted=True)
            (out / UNFINISHED).mkdir(exist_ok=True)
            try:
                stack.enter_context(locked(_lock_of(out, str(part)), timeout=0))
            except LockHeld:
                raise BadInput(f"{out}: another process makes part {part} there; wait for it.") from None
        yield kept


def part_name(part: "Part") -> str:
    """What a part's maps are kept under."""
    return f"part-{part.number}-of-{part.of}"


def parts_in(out: Path) -> list[str]:
    """The parts that were begun, such as 1/2."""
    names = sorted(path.name for path in (out / UNFINISHED).glob("part-*-of-*.lock"))
    return [name.removeprefix("part-").removesuffix(".lock").replace("-of-", "/") for name in names]


def _lock_of(out: Path, part: str) -> Path:
    return out / UNFINISHED / f"part-{part.replace('/', '-of-')}.lock"


def _parts_at_work(out: Path) -> list[str]:
    """Those that a process of this machine makes just now; none begins while the caller is alone there."""
    found = []
    for part in parts_in(out):
        try:
            with locked(_lock_of(out, part), timeout=0):
                pass
        except LockHeld:
            found.append(part)
    return found


@contextmanager
def _alone_in(out: Path, *, timeout: float) -> Iterator[None]:
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(out.with_name(f".{out.name}.page.lock"), timeout=timeout):
            yield
    except LockHeld:
        raise BadInput(f"{out}: another process writes there; wait for it, or choose another folder.") from None


def _go_on(out: Path, work: Work, *, overwrite: bool, parted: bool) -> bool:
    """Mark the folder; returns whether all maps of this work are there already. What an ended run has made of maps, or
    as maps of something else, is taken away; so is all that a finished one has made, where it may be written over."""
    mark = out / UNDERWAY
    if overwrite and (out / "maps.npy").exists() and not mark.exists():
        write_whole(mark, "")  # from here on it is a run that was ended, whatever happens
        (out / "page.html").unlink()
    if mark.exists():
        _take_away_others(out, mark, work, overwrite=overwrite, parted=parted)
        for name in ("pictures", "contents"):
            shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(mark, json.dumps(work, sort_keys=True))
    kept = (out / "maps.npy").exists()
    if kept:  # the last of the maps' files: it was ended before it took away what these were made of
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    return kept


def _take_away_others(out: Path, mark: Path, work: Work, *, overwrite: bool, parted: bool) -> None:
    """Maps of something else; a run that is not parted takes those of batches of another size for its own."""
    before: Any = None
    with suppress(ValueError):
        before = json.loads(mark.read_text(errors="replace"))
    before = before if isinstance(before, dict) else {}
    differing = [word for key, word in WORDS.items() if before.get(key) != work[key]]
    if not differing or (differing == [WORDS["batch_size"]] and not parted):
        return
    if (parts := parts_in(out)) and not overwrite:
        raise BadInput(f"{out} holds part {parts[0]} of {differing[0]}: choose another folder, or say overwrite=true.")
    if working := _parts_at_work(out):
        raise BadInput(f"{out}: another process makes part {working[0]} of {differing[0]} there; wait for it.")
    (out / "maps.npy").unlink(missing_ok=True)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)
