"""Which checkpoint a command is given: a file, a run's or a bundle's folder, or a reference into MLflow."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput
from fishnet.runs.saved_config import literal
from fishnet.tracking.registry import REFERENCES, fetched
from fishnet.tracking.store import open_store

BEST = Path("checkpoints", "best.ckpt")  # of a run


def bring_checkpoint(config: DictConfig) -> None:
    """Put a local path in place of `models:/name@alias` or `runs:/ID`, and its best checkpoint in place of a run's
    folder; files and other folders are left as they are."""
    if OmegaConf.is_missing(config, "checkpoint") or config.checkpoint is None:
        return
    if (best := Path(str(config.checkpoint)).expanduser() / BEST).is_file():
        config.checkpoint = literal(str(best))
    if not str(config.checkpoint).startswith(REFERENCES):
        return
    uri = OmegaConf.select(config, "tracking.uri")
    config.checkpoint = literal(str(fetched(str(config.checkpoint), open_store(uri, home=Path.cwd(), create=False))))


def require_checkpoint(config: DictConfig) -> None:
    """Refuse a checkpoint that is not there, before anything heavy is imported."""
    if config.checkpoint is not None and not Path(str(config.checkpoint)).expanduser().exists():
        raise BadInput(f"{config.checkpoint}: there is no such checkpoint.")
