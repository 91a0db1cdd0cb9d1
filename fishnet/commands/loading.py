"""A checkpoint → a model that answers."""

from pathlib import Path

from fishnet.callbacks.checkpoints import read_checkpoint
from fishnet.errors import BadInput
from fishnet.models.classifier import ImageClassifier


def load_model(path: Path) -> ImageClassifier:
    """The checkpoint alone says what the network is; torn, foreign and unsafe files are refused in one sentence."""
    path = path.expanduser().absolute()
    checkpoint = read_checkpoint(path)
    try:
        model = ImageClassifier(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
    except (TypeError, RuntimeError) as error:
        raise BadInput(f"{path} is no fishnet checkpoint: {str(error).splitlines()[0]}") from error
    return model.eval()
