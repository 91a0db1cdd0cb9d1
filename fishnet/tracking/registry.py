"""Models in MLflow's registry: a bundle goes in under a name, and comes out by `models:/name@alias`."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fishnet.errors import BadInput, WorkFailed

from .store import Store, import_mlflow, one_line

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CODE = Path(__file__).with_name("python_function.py")
REFERENCES = ("models:/", "runs:/")


def register(
    bundle: Path, classes: Sequence[str], store: Store, *, none_of_these: bool, experiment: str, name: str,
    alias: str | None,
) -> str:  # fmt: skip
    """Log the bundle as a python function with its signature, as a new version of a registered model.

    Args:
        bundle: its folder.
        classes: of the model.
        store: in which the model is kept.
        none_of_these: whether the model can say that a photo looks like none of its classes.
        experiment: in which a run is made for it.
        name: of the registered model.
        alias: that points to the new version from now on; None for none.

    Returns:
        The version.
    """
    import_mlflow()
    import mlflow
    from mlflow.exceptions import MlflowException

    from fishnet import __version__

    try:
        with (
            _default_store(store.uri),
            warnings.catch_warnings(),
            mlflow.start_run(experiment_id=store.experiment(experiment), run_name=f"export-{name}"),
        ):
            warnings.filterwarnings("ignore", message=".*input example")  # the signature is known without
            made = mlflow.pyfunc.log_model(
                name="model", python_model=str(CODE), artifacts={"bundle": str(bundle)},
                signature=signature(classes, none_of_these=none_of_these),
                pip_requirements=[f"fishnet-vision=={__version__}"], registered_model_name=name,
            )  # fmt: skip
        version = str(made.registered_model_version)
        if alias:
            store.client().set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise WorkFailed(f"MLflow has not registered {name} ({one_line(error)}).") from error
    return version


@contextmanager
def _default_store(uri: str) -> Iterator[None]:
    """Inside, this is MLflow's default store, the only one that its way to log models knows; MLflow writes it into the
    environment, which is as it was afterwards."""
    import mlflow

    before = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        mlflow.set_registry_uri(None)  # type: ignore[arg-type]
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def signature(classes: Sequence[str], *, none_of_these: bool) -> "ModelSignature":
    """What the python function takes and returns; `none_of_these` where the model can say so."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    figures = [ColSpec(DataType.double, name) for name in ("probability", *classes)]
    words = [ColSpec(DataType.string, name) for name in ("predicted", "problem")]
    strange = [ColSpec(DataType.boolean, "none_of_these")] if none_of_these else []
    return ModelSignature(Schema([ColSpec(DataType.binary, "photo")]), Schema([*words, *strange, *figures]))


def fetched(reference: str, store: Store) -> Path:
    """The bundle of `models:/name@alias` or `models:/name/version`, or the checkpoint of `runs:/ID`, brought here."""
    import_mlflow()
    import mlflow
    from mlflow.exceptions import MlflowException

    from fishnet.models.bundle import is_bundle

    where = {"tracking_uri": store.uri, "registry_uri": store.uri}
    try:
        if reference.startswith("models:/"):
            kept = Path(mlflow.artifacts.download_artifacts(reference, **where)) / "artifacts"
            found = [folder for folder in kept.glob("*") if is_bundle(folder)]
            if not found:
                raise BadInput(f"checkpoint={reference} was not registered by `fishnet export`: it holds no bundle.")
            return found[0]
        run = reference.removeprefix("runs:/").strip("/")
        return Path(mlflow.artifacts.download_artifacts(run_id=run, artifact_path="model", **where)) / "model.ckpt"
    except (MlflowException, OSError) as error:
        raise BadInput(f"checkpoint={reference} is not in {store.uri} ({one_line(error)}).") from error
