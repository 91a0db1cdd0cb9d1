"""Folders of runs: each is reserved before anything is read, and given back when there is no run after all.

Of two commands that start in the same second only one can make a folder or a file; the other takes the next name, or
is refused where the user has named the folder.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from fishnet.environment import RUN_FOLDER
from fishnet.errors import BadInput

RESERVED = ".reserved"
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def is_first() -> bool:
    """Of several processes that are one run, the one to which its folder belongs."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


@contextmanager
def run_folder(
    out: str | None, *, name: str, job: Path | None = None, resumable: bool = False, resumed: bool = False
) -> Iterator[Path]:
    """The run's own folder: `out`, the sweep's numbered `job`, or outputs/<time>_<name>; never one that is in use.

    `resumable`: whether a user who names a folder in use may go on with the run in it; `resumed`: this run does so.
    """
    if os.environ.get(RUN_FOLDER) and "LOCAL_RANK" in os.environ:  # a rank that Lightning started: rank 0 has made it
        yield Path(os.environ[RUN_FOLDER])
        return
    wanted = timestamped(name)
    if out is not None or job is not None:
        wanted = Path(out if out is not None else job).expanduser().absolute()  # type: ignore[arg-type]
    if resumed or not is_first():
        reserved: AbstractContextManager[Path] = nullcontext(wanted)
    elif out is None and job is None:
        reserved = make_folder(wanted)
    else:
        reserved = claim_folder(wanted, resumable=resumable)
    with reserved as folder:
        os.environ[RUN_FOLDER] = str(folder)
        yield folder


def timestamped(name: str) -> Path:
    """outputs/<time>_<name> in the working directory."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    return Path("outputs").absolute() / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{plain}"


@contextmanager
def make_folder(wanted: Path) -> Iterator[Path]:
    """A folder of that name, or with -2, -3 … behind it: it belongs to the command that has made it."""
    missing = _make_parents(wanted)
    folder, number = wanted, 2
    while True:
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
        except OSError as error:
            raise _not_writable(wanted, error) from error
    try:
        yield folder
    finally:
        _remove_empty([folder, *missing])


@contextmanager
def claim_folder(folder: Path, *, resumable: bool = True) -> Iterator[Path]:
    """This very folder: new or empty, and claimed by a file that only one command can create."""
    missing = _make_parents(folder / RESERVED) or [folder]  # an empty one is no loss
    try:
        if any(entry.name != RESERVED for entry in folder.iterdir()):
            cure = f", or resume={folder} to go on with that run" if resumable else ""
            raise BadInput(f"out={folder} is in use: give another folder{cure}.")
        (folder / RESERVED).touch(exist_ok=False)
    except FileExistsError as error:
        raise BadInput(
            f"out={folder} was reserved by another command: give another folder, or delete {folder / RESERVED} "
            "if that command was killed."
        ) from error
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        yield folder
    finally:
        (folder / RESERVED).unlink(missing_ok=True)
        _remove_empty(missing)


def _make_parents(path: Path) -> list[Path]:
    """Makes the folders above, and returns those that were missing, the innermost first."""
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(missing)
        raise _not_writable(path.parent, error) from error
    return missing


def _not_writable(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"out={folder} cannot be written ({error.strerror}): give a folder in another place.")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
