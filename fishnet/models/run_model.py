"""The run's `model/`: the best epoch's weights and how to use them, so that a run of a server can be used anywhere."""

import json
from pathlib import Path
from typing import Any

from fishnet.files import replacing, write_whole
from fishnet.models.checkpoint import is_gan, write_checkpoint
from fishnet.models.classifier import ImageClassifier

# What predictions need; the optimiser's state, which would double the file, stays in the run's own checkpoints.
KEPT = ("state_dict", "hyper_parameters", "seen", "mended", "epoch", "global_step", "pytorch-lightning_version")

AUDIT = "audit.json"
MODELS = ("checkpoints/best.ckpt", "model/model.ckpt")  # of a run, with the same weights

NOTE = """model.ckpt: the weights of the best epoch (epoch {epoch}), with the temperature fitted on validation photos.

    fishnet predict checkpoint=model.ckpt images=PHOTOS
    fishnet evaluate checkpoint=model.ckpt data.root=FOLDER

    from fishnet import ImageClassifier
    model = ImageClassifier.load_from_checkpoint("model.ckpt")

It holds tensors and plain values only, and no optimiser:
a stopped run goes on with `fishnet train resume=RUN_ID` where it was trained.
"""


GAN_NOTE = """model.ckpt: the weights of the epoch with the best KID on held-out photos (epoch {epoch}).

    fishnet generate checkpoint=model.ckpt n=64 out=FOLDER

It holds tensors and plain values only, and no optimiser:
a stopped run goes on with `fishnet train resume=RUN_ID` where it was trained.
"""


def with_weights_of(model: ImageClassifier, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds for predictions, with the weights of a changed model, and what was done to it."""
    kept = {key: checkpoint[key] for key in KEPT if key in checkpoint}
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    own = {"mended": model.mended, "seen": model.seen and model.seen.state()}
    return {**kept, "state_dict": weights, **{key: value for key, value in own.items() if value}}


def keep_model(checkpoint: dict[str, Any], folder: Path, logger) -> None:
    """Written in the run's folder, delivered in the background while the test goes on."""
    write_checkpoint({key: checkpoint[key] for key in KEPT if key in checkpoint}, folder / "model.ckpt")
    with replacing(folder / "README.txt") as temporary:
        temporary.write_text(
            (GAN_NOTE if is_gan(checkpoint) else NOTE).format(epoch=checkpoint["epoch"]), encoding="utf-8"
        )
    logger.log_artifacts(folder, "model")
    logger.set_tags({"fishnet.best_epoch": checkpoint["epoch"]})


def keep_result(checkpoint: Path, result: dict[str, Any]) -> None:
    """Keep what an audit of a run's model has shown as `audit.json` in the folder of that run.

    Nothing is written for a checkpoint that is not the run's model, or lies in no run.
    """
    run = checkpoint.parent.parent
    if f"{checkpoint.parent.name}/{checkpoint.name}" in MODELS and (run / "model").is_dir():
        write_whole(run / AUDIT, json.dumps(result, indent=1, ensure_ascii=False))
