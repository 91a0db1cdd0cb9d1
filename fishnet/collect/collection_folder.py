"""The folder of a collection with its ledger: one command at a time, and nothing that is somebody else's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fishnet.collect.ledger import Ledger
from fishnet.collect.manifest import MANIFEST
from fishnet.collect.plan import Plan
from fishnet.errors import BadInput, WorkFailed


@contextmanager
def opened(plan: Plan) -> Iterator[Ledger]:
    with _in_words(plan), _ledger(plan) as ledger:
        yield ledger


def check_settings(plan: Plan, ledger: Ledger) -> None:
    """Other settings would put photos that were found in two ways into one folder."""
    before = ledger.settings()
    for key, value in plan.fixed.items():
        if before and before.get(key) != value:
            was = ",".join(before[key]) if isinstance(before.get(key), list) else before.get(key)
            raise BadInput(f"name={plan.name} was collected with {key}={was}: say the same, or choose another name.")


@contextmanager
def _in_words(plan: Plan) -> Iterator[None]:
    """A full disk, a cache that cannot be written, a ledger that is none: the network's troubles are told elsewhere."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        where = error.filename if isinstance(error, OSError) else plan.ledger
        what = f"{getattr(error, 'strerror', None) or error}{f' ({where})' if where else ''}"
        raise WorkFailed(
            f"name={plan.name}: {what}; what was kept stays, and the same command goes on when that is mended."
        ) from error


@contextmanager
def _ledger(plan: Plan) -> Iterator[Ledger]:
    if plan.root.exists() and not plan.root.is_dir():
        raise BadInput(f"name={plan.name}: {plan.root} is a file.")
    if not plan.ledger.exists() and plan.root.is_dir() and any(plan.root.iterdir()):
        what = "something else already"
        if (plan.root / MANIFEST).exists():
            what = f"a collection whose ledger ({plan.ledger}) is gone, so nothing can be added to it"
        raise BadInput(f"name={plan.name}: {plan.root} holds {what}; choose another name, or move it away.")
    try:
        plan.ledger.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(plan.ledger.with_name("collect.lock"))
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(f"name={plan.name}: another command is collecting into {plan.root} just now.") from None
    except OSError as error:
        raise BadInput(f"name={plan.name}: nothing can be written in {plan.root.parent} ({error.strerror}).") from error
    try:
        if not plan.root.exists():  # whoever removes the photos wants to begin anew
            _forget(plan.ledger)
        ledger = Ledger(plan.ledger, seed=plan.seed)
        try:
            yield ledger
        finally:
            ledger.close()
    finally:
        if not plan.root.exists():  # a command that was refused leaves nothing behind
            _forget(plan.ledger)
            plan.ledger.with_name("collect.lock").unlink(missing_ok=True)
            for folder in (plan.ledger.parent, plan.root.parent):
                with suppress(OSError):
                    folder.rmdir()
        lock.release()


def _forget(ledger: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + ending).unlink(missing_ok=True)
