"""Checkpoints on disk: written whole, known by their digest, read without running anything; and the model in them.

torch is imported where it is needed: whoever only supervises a training asks for the newest whole file without it.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fishnet.errors import BadInput, Interrupted, WorkFailed, disk_trouble
from fishnet.files import flush, replacing, write_whole

if TYPE_CHECKING:
    from .classifier import ImageClassifier
    from .gan import ImageGAN

DIGESTS = ".sha256"
BEFORE_TRAINING = -1  # the epoch of a model that can answer before its first: people count from 1, and read 0
Model = TypeVar("Model", "ImageClassifier", "ImageGAN")


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Temp file in the same folder, flushed to disk, renamed; the digest file knows the old and the new meanwhile."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path, alone=True) as temporary:
            with open(temporary, "wb") as file:
                torch.save(checkpoint, file)
            digest = digest_of(temporary)
            _write_digests(path, [*known_digests(path)[-1:], digest])
        _write_digests(path, [digest])
        flush(path.parent)
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while isinstance(cause, RuntimeError) and isinstance(cause.__context__, (OSError, Interrupted)):
            cause = cause.__context__  # torch, which could not end the file, raises an error of its own
        if isinstance(cause, Interrupted):
            raise cause from None
        if not isinstance(cause, OSError):
            raise
        if full := disk_trouble(cause, path):
            raise full from error
        raise WorkFailed(f"{path} could not be written ({cause.strerror}). What was there is intact.") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint from disk, tensors and plain values only; anything torn or foreign is one sentence."""
    import torch

    if not path.is_file():
        raise BadInput(f"{path}: there is no such checkpoint.")
    if known_digests(path) and not verified(path):
        raise BadInput(f"{path} is not what was written (its digest differs): it is cut short or was changed.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadInput(f"{path} is no checkpoint that can be read safely ({type(error).__name__}).") from error
    if isinstance(checkpoint, dict) and {"hyper_parameters", "state_dict"} <= {*checkpoint}:
        return checkpoint
    if isinstance(checkpoint, dict) and any(isinstance(value, torch.Tensor) for value in checkpoint.values()):
        raise BadInput(
            f"{path} holds weights alone, without the network and its classes: begin a training with them by "
            f"model.backbone=NAME model.pretrained={path}."
        )
    raise BadInput(f"{path} is no checkpoint of this program: it lacks the network's description or its weights.")


def _write_digests(path: Path, digests: list[str]) -> None:
    write_whole(path.with_name(path.name + DIGESTS), json.dumps(digests), alone=True)


def load_model(path: Path) -> "ImageClassifier":
    """The model of a checkpoint, or of a bundle's folder; each alone says what the network is. Torn, foreign and unsafe
    files are refused in one sentence."""
    from fishnet.data.seen import SeenPhotos

    from .bundle import is_bundle, read_bundle
    from .classifier import ImageClassifier

    path = path.expanduser().absolute()
    if path.is_dir() and is_bundle(path):
        return read_bundle(path).model
    checkpoint = read_checkpoint(path)
    if is_gan(checkpoint):
        raise BadInput(
            f"{path} holds a GAN, which draws photos and classifies none: give the checkpoint of a classifier, or draw "
            f"photos with `fishnet generate checkpoint={path}`."
        )
    model = _built(ImageClassifier, checkpoint, refusal=f"{path} is no fishnet checkpoint")
    model.seen = model.seen or SeenPhotos.of_split(path.parent.parent / "split" / "split.csv")
    return model.eval()


def load_gan(path: Path) -> "ImageGAN":
    """The GAN of a checkpoint; a classifier, and what is torn, foreign or unsafe, is refused in one sentence."""
    from .bundle import is_bundle
    from .gan import ImageGAN

    path = path.expanduser().absolute()
    checkpoint = None if path.is_dir() and is_bundle(path) else read_checkpoint(path)
    if checkpoint is None or not is_gan(checkpoint):
        raise BadInput(
            f"{path} holds no GAN but a classifier, which draws no photos: train a GAN with `fishnet train "
            "experiment=fox_gan data.root=FOLDER data.classes=[CLASS]`, and give its checkpoint."
        )
    return _built(ImageGAN, checkpoint, refusal=f"{path} is no GAN of this program").eval()


def _built(kind: type[Model], checkpoint: dict[str, Any], *, refusal: str) -> Model:
    """The module of a checkpoint, from the arguments and weights in it; `refusal` begins the sentence where they do not
    fit."""
    try:
        model = kind(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
        model.on_load_checkpoint(checkpoint)
    except (TypeError, RuntimeError) as error:
        raise BadInput(f"{refusal}: {str(error).splitlines()[0]}") from error
    return model


def is_gan(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint that was read is that of a GAN: no classifier has a latent space."""
    return "latent" in checkpoint["hyper_parameters"]


def model_digest(path: Path) -> str:
    """Equal digests: the same checkpoint, or the same bundle, wherever it lies."""
    from .bundle import SUMS, is_bundle

    path = path.expanduser().absolute()
    return digest_of(path / SUMS if is_bundle(path) else path)


def verified(path: Path) -> bool:
    """Whether the file is what was meant to be written (a file without a digest never is)."""
    return path.is_file() and digest_of(path) in known_digests(path)


def newest(folder: Path) -> Path | None:
    """The most advanced checkpoint of a run that verifies."""
    candidates = sorted(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in sorted(candidates, key=lambda path: path.name != "last.ckpt"):
        if verified(path):
            return path
    return None


def digest_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digests(path: Path) -> list[str]:
    try:
        return json.loads(path.with_name(path.name + DIGESTS).read_text())
    except (OSError, ValueError):
        return []
