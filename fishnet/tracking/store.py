"""Where runs are kept: an embedded database in a folder, or a tracking server, opened in one place only.

Everything is absolute, because MLflow would follow the working directory; a fresh database is made in a temporary
file under a lock and renamed, because six processes that start together would else migrate it at the same time.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fishnet.errors import BadInput
from fishnet.files import replacing
from fishnet.text import slug

from .client import client_for, one_line, set_switches
from .ui_columns import view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
PATIENCE = 30.0


@dataclass(frozen=True)
class Store:
    """An opened store; plain strings only, so that it can be handed to other processes."""

    uri: str
    artifacts: Path | None = None

    @property
    def is_server(self) -> bool:
        return self.artifacts is None

    def client(self) -> MlflowClient:
        return client_for(self.uri)

    def experiment(self, name: str) -> str:
        """Its id; the artifact root is fixed when an experiment is created, so only this function creates one."""
        from mlflow.exceptions import MlflowException

        if not name.strip():
            raise BadInput("tracking.experiment is empty: give the experiment a name.")
        client = self.client()
        found = client.get_experiment_by_name(name)
        if found is None:
            root = None if self.artifacts is None else (self.artifacts / slug(name)).as_uri()
            try:
                return client.create_experiment(name, artifact_location=root, tags=view_tags())
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            raise BadInput(f"The experiment {name!r} was deleted: restore it in MLflow, or choose another name.")
        for key, value in view_tags().items():
            if found.tags.get(key) != value:
                client.set_experiment_tag(found.experiment_id, key, value)
        return found.experiment_id


def open_store(uri: str | None, *, home: Path, patience: float = PATIENCE, create: bool = True) -> Store:
    """A ready store, or one sentence; `uri` null means MLFLOW_TRACKING_URI, and without that the folder `home`.

    Verbs that only look say `create=False`, so that looking in an empty folder leaves it empty.
    """
    uri = _address(uri, home)
    if _is_server(uri):
        return _open_server(uri.rstrip("/"), patience)
    path = _database_path(uri)
    if not create and not path.exists():
        raise BadInput(f"No runs are kept in {path.parent} yet: `fishnet train` makes the first.")
    return _open_database(path)


def check_store(uri: str | None, *, home: Path) -> None:
    """Refuses an address that cannot keep runs, early and without making anything there."""
    uri = _address(uri, home)
    if _is_server(uri) or _database_path(uri).exists():
        open_store(uri, home=home, create=False)


def _address(uri: str | None, home: Path) -> str:
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or str(home)


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _database_path(uri: str) -> Path:
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


# ---- the embedded database


def _open_database(path: Path) -> Store:
    from filelock import FileLock, Timeout

    store = Store(uri=f"sqlite:///{path}", artifacts=path.parent / "artifacts")
    set_switches()
    import mlflow  # noqa: F401  the two seconds of its import stay outside the lock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=120):
            _ensure_database(store, path)
    except Timeout as error:
        raise BadInput(f"{path}.lock is held by another process for two minutes: end it and try again.") from error
    except OSError as error:
        raise BadInput(f"Runs cannot be kept in {path.parent} ({error.strerror}): set tracking.uri.") from error
    return store


def _ensure_database(store: Store, path: Path) -> None:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DatabaseError

    if not path.exists():
        _make_database(path)
    try:
        store.client().search_experiments(max_results=1)
    except (MlflowException, DatabaseError) as error:
        if "out-of-date" in str(error):
            raise BadInput(
                f"{path} is of another MLflow version: save a copy, then run `mlflow db upgrade {store.uri}`."
            ) from error
        raise BadInput(f"{path} cannot be read as a run database ({one_line(error, 80)}): move it away.") from error


def _make_database(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with replacing(path) as fresh:
        client_for(f"sqlite:///{fresh}")  # quiets the migration's log
        made = SqlAlchemyStore(f"sqlite:///{fresh}", (path.parent / "artifacts").as_uri())
        made.engine.dispose()


# ---- a server


def _open_server(uri: str, patience: float) -> Store:
    if "@" in urlsplit(uri).netloc:
        raise BadInput(
            "tracking.uri holds a password: put it into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    client = client_for(uri)
    answer: list[Exception | None] = []
    asking = threading.Thread(target=_ask, args=(client, time.monotonic() + patience, answer), daemon=True)
    asking.start()
    asking.join(patience)
    if not answer or (answer[0] is not None and _no_connection(answer[0])):
        raise BadInput(
            f"The tracking server {uri} did not answer within {patience:.0f} s: start it, or mend tracking.uri."
        )
    if answer[0] is not None:
        raise BadInput(f"{uri} answers, but not as an MLflow server should ({one_line(answer[0])}).")
    return Store(uri=uri)


def _ask(client: MlflowClient, deadline: float, answer: list[Exception | None]) -> None:
    """Ask until there is an answer of whatever kind; in its own thread, because a dripping server has no timeout."""
    while True:
        try:
            client.search_experiments(max_results=1)
            answer.append(None)
            return
        except Exception as error:
            if not _no_connection(error) or time.monotonic() > deadline - 1:
                answer.append(error)
                return
        time.sleep(0.5)


def _no_connection(error: Exception) -> bool:
    text = str(error)
    return any(sign in text for sign in ("Max retries", "failed with exception", "timed out", "Connection"))
