"""Where runs are kept: an embedded database in a folder, or a tracking server. The only file that opens MLflow.

Importing this file costs nothing; `import_mlflow` pays the two seconds of MLflow's own import. Every path is absolute,
because MLflow would follow the working directory. A fresh database is made in a temporary file under a lock and
renamed, because processes that start together would else migrate it at the same time.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from fishnet.errors import BadInput, WorkFailed, disk_trouble
from fishnet.files import LockHeld, locked, replacing
from fishnet.text import slug

from .links import PORT, view_tags
from .names import cut

if TYPE_CHECKING:
    from mlflow import MlflowClient

Answer = TypeVar("Answer")

DATABASE = "mlflow.db"
PATIENCE = 30.0  # seconds that a server has to answer

# Set before MLflow is first imported: it reads many of them only then.
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow's defaults (7 retries, 120 s) block for minutes; a delivery tries again by itself, in the background.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

# MLflow's codes for a record that the store will never accept, however often it is sent.
REFUSALS = {
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "INVALID_STATE",
}


def import_mlflow() -> None:
    """Import MLflow with its switches set, unless the user has set them in the environment, and with its logs quiet."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for noisy in ("alembic", "git"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that it raises
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def client_for(uri: str) -> MlflowClient:
    """MLflow's client; that of a database makes it at once where there is none, so `open_store` comes first."""
    import_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def is_refusal(error: Exception) -> bool:
    """Whether the record is at fault, or its file gone; otherwise the store is away or busy and may accept it later."""
    return getattr(error, "error_code", None) in REFUSALS or isinstance(error, FileNotFoundError)


def one_line(error: BaseException, limit: int = 160) -> str:
    """The message of an error, or its class where it has none, as one line of at most `limit` letters."""
    return cut(" ".join(str(error).split()) or type(error).__name__, limit)


@dataclass(frozen=True)
class Store:
    """An opened store; plain values only, so that it can be handed to other processes.

    Args:
        uri: the address of the server or of the database, as MLflow wants it.
        artifacts: the folder of an embedded store's artifacts; None for a server, which keeps them itself.
    """

    uri: str
    artifacts: Path | None = None

    @property
    def is_server(self) -> bool:
        return self.artifacts is None

    def client(self) -> MlflowClient:
        """A client of this store."""
        return client_for(self.uri)

    def patiently(self, call: Callable[[], Answer], patience: float = PATIENCE) -> Answer:
        """What the call returns, which may be made again: a server that fails now and then has `patience` seconds.

        One that fails for so long, and a database that cannot be written, is a sentence.
        """
        from mlflow.exceptions import MlflowException

        deadline, pause = time.monotonic() + patience, 0.25
        while True:
            try:
                return call()
            except MlflowException as error:
                if known := _not_written(self.uri, error):
                    raise known from error
                if is_refusal(error) or not self.is_server:
                    raise
                if time.monotonic() + pause > deadline:
                    raise BadInput(
                        f"The tracking server {self.uri} fails ({one_line(error)}): mend it, or set tracking.uri."
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, 4.0)

    def ui_address(self, port: int = PORT) -> str:
        """The server's own address, or the one at which `fishnet ui` will serve an embedded store."""
        return self.uri if self.is_server else f"http://127.0.0.1:{port}"

    def experiment(self, name: str) -> str:
        """The id of the experiment; created where it is missing, and only here, for this fixes its artifact root."""
        from mlflow.exceptions import MlflowException

        if not name.strip():
            raise BadInput("tracking.experiment is empty: give the experiment a name.")
        client = self.client()
        known = client.get_experiment_by_name(name)
        if known is None:
            root = None if self.artifacts is None else (self.artifacts / slug(name)).as_uri()
            try:
                return client.create_experiment(name, artifact_location=root, tags=view_tags())
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            known = client.get_experiment_by_name(name)
        if known is None or known.lifecycle_stage != "active":
            raise BadInput(f"The experiment {name!r} was deleted: restore it in MLflow, or choose another name.")
        for key, value in view_tags().items():
            if known.tags.get(key) != value:
                client.set_experiment_tag(known.experiment_id, key, value)
        return known.experiment_id


def open_store(uri: str | None, *, home: Path, patience: float = PATIENCE, create: bool = True) -> Store:
    """A store that answers; BadInput says in one sentence what is wrong with it.

    `uri` is a folder, a database, or the address of a server, which has `patience` seconds to answer; None means
    MLFLOW_TRACKING_URI, or else the folder `home`. Commands that only look say `create=False`, so that an empty folder
    stays empty.
    """
    location = _location(uri, home)
    if isinstance(location, str):
        return _open_server(location, patience)
    if not create and not location.exists():
        raise BadInput(f"No runs are kept in {location.parent} yet: `fishnet train` makes the first.")
    return _open_database(location, writes=create)


def check_store(uri: str | None, *, home: Path) -> None:
    """Refuse an address that cannot keep runs, early and without making anything there."""
    location = _location(uri, home)
    if isinstance(location, str):
        open_store(uri, home=home)
    elif location.exists():
        _open_database(location, writes=True)


def _location(uri: str | None, home: Path) -> str | Path:
    """The address of a server, or the absolute path of a database."""
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or str(home)
    if uri.startswith(("http://", "https://")):
        return uri.rstrip("/")
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
    elif uri.startswith("file:"):
        path = Path(unquote(urlsplit(uri).path)) / DATABASE
    elif "://" in uri:
        raise BadInput(
            f"tracking.uri={uri.split('://')[0]}://…: give a folder, or the http(s) address of an MLflow server."
        )
    else:
        path = Path(uri).expanduser()
        path = path if path.suffix == ".db" else path / DATABASE
    return path.absolute()


def is_same_store(first: str | None, second: str | None, *, home: Path) -> bool:
    """Whether two addresses mean the same store; one that is no address of a store means none."""
    try:
        return _location(first, home) == _location(second, home)
    except BadInput:
        return False


def shown_place(uri: str | None, *, home: Path) -> str:
    """The store as a sentence names it, without a password."""
    try:
        place = str(_location(uri, home))
    except BadInput:
        place = str(uri).split(":")[0] + ":…"
    return "".join(sign if sign.isprintable() else "?" for sign in re.sub(r"//[^/@]*@", "//", place))


# ---- the embedded database


def _open_database(path: Path, *, writes: bool) -> Store:
    import_mlflow()  # its two seconds stay outside the lock
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DatabaseError

    store = Store(uri=f"sqlite:///{path}", artifacts=path.parent / "artifacts")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(Path(f"{path}.lock"), timeout=120):
                _make_database(path)
        _check_database(path, writes=writes)
        store.client().search_experiments(max_results=1)
    except LockHeld as error:
        raise BadInput(f"{path}.lock is held by another process for two minutes: end it and try again.") from error
    except OSError as error:
        if full := disk_trouble(error):
            raise full from error
        raise BadInput(f"Runs cannot be kept in {path.parent} ({error.strerror}): set tracking.uri.") from error
    except (MlflowException, DatabaseError, sqlite3.Error) as error:
        if known := _not_written(str(path), error):
            raise known from error
        if "out-of-date" in str(error):
            raise BadInput(
                f"{path} is of another MLflow version: save a copy, then run `mlflow db upgrade {store.uri}`."
            ) from error
        raise BadInput(f"{path} cannot be read as a run database ({one_line(error, 80)}): move it away.") from error
    return store


def _make_database(path: Path) -> None:
    """A whole database appears, unless another process has made it meanwhile."""
    if not path.exists():  # by a private class, for MLflow's client cannot close the temporary database
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with replacing(path) as temporary:
            made = SqlAlchemyStore(f"sqlite:///{temporary}", (path.parent / "artifacts").as_uri())
            made.engine.dispose()


def _not_written(store: str, error: Exception) -> BadInput | WorkFailed | None:
    """A full disk or a read-only database in one sentence; None for any other error."""
    if any(sign in str(error) for sign in ("disk is full", "disk I/O error")):
        return WorkFailed(f"{store} could not be written: is the disk full? What was there is intact.")
    if any(sign in str(error) for sign in ("readonly", "unable to open")):
        return BadInput(
            f"{store} cannot be written, so no run can be kept in it: make it writable, or set tracking.uri."
        )
    return None


def _check_database(path: Path, *, writes: bool) -> None:
    """Refuse a database that is not MLflow's, or of an earlier MLflow, before MLflow makes its tables in it.

    Raises what sqlite raises where it cannot be read, or not written and `writes` asks for that.
    """
    from mlflow.store.db.base_sql_model import Base

    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=20)) as database:
        known = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"alembic_version", "experiments", "runs"} <= known:
            raise BadInput(
                f"{path} is a database of something else, and nothing was written into it: give another tracking.uri."
            )
        if not {*Base.metadata.tables} <= known:
            raise sqlite3.DatabaseError("out-of-date: it lacks tables of this version")
        if writes:
            try:
                database.execute("BEGIN IMMEDIATE")
                database.execute("CREATE TABLE fishnet_probe (it INTEGER)")  # a lock alone is given for reading, too
                database.rollback()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):  # another process writes: then it can be written
                    raise


# ---- a server


def _open_server(uri: str, patience: float) -> Store:
    if "@" in urlsplit(uri).netloc:
        raise BadInput(
            "tracking.uri holds a password: put it into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    client = client_for(uri)
    answer: list[Exception | None] = []
    deadline = time.monotonic() + patience
    # in a thread of its own, because requests to a server that sends a byte now and then never time out
    request = threading.Thread(target=_request, args=(client, deadline, answer), daemon=True)
    request.start()
    request.join(patience)
    if not answer:
        raise BadInput(
            f"The tracking server {uri} did not answer within {patience:.0f} s: start it, or mend tracking.uri."
        )
    if answer[0] is not None:
        raise BadInput(f"{uri} answers, but not as an MLflow server should ({one_line(answer[0])}).")
    return Store(uri=uri)


def _request(client: MlflowClient, deadline: float, answer: list[Exception | None]) -> None:
    """Try until there is an answer of whatever kind, and append its error, or None; without a connection, nothing."""
    no_connection = ("Max retries", "failed with exception", "timed out", "Connection")
    while True:
        try:
            client.search_experiments(max_results=1)
            answer.append(None)
            return
        except Exception as error:
            failed = re.search(r"(error code|too many) 50[0234]", str(error))
            if not failed and not any(sign in str(error) for sign in no_connection):
                answer.append(error)
                return
            if time.monotonic() > deadline - 1:
                if failed:
                    answer.append(error)
                return
        time.sleep(0.5)
