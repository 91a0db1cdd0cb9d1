"""`trainer.precision=auto` → a setting that Lightning knows, measured once for a network and a machine."""

import json
import logging
import os
import platform
from pathlib import Path

import torch
from omegaconf import DictConfig

from fishnet.environment import PRECISION
from fishnet.files import replacing
from fishnet.models.classifier import ImageClassifier
from fishnet.models.precision import PLAIN, SETTINGS, Setting, fastest, measured

log = logging.getLogger("fishnet")


def settle(config: DictConfig, model: ImageClassifier) -> str:
    """Write the setting into the configuration and give the network its memory format; returns what was measured."""
    said, trainer = "", config.trainer
    if trainer.precision == "auto":
        setting, said = _choice(config, model)
        trainer.precision = setting.precision
        trainer.channels_last = setting.channels_last if trainer.channels_last is None else trainer.channels_last
    if trainer.channels_last:
        model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trainer.compile:
        model.network.compile()
    return said


def plainly(config: DictConfig) -> None:
    """Measuring a finished model is no race: `auto` means float32 there."""
    if config.trainer.precision == "auto":
        config.trainer.precision, config.trainer.channels_last = PLAIN


def _choice(config: DictConfig, model: ImageClassifier) -> tuple[Setting, str]:
    if os.environ.get(PRECISION) and "LOCAL_RANK" in os.environ:
        precision, channels_last = json.loads(os.environ[PRECISION])
        return Setting(precision, channels_last), ""
    if int(config.trainer.num_nodes) > 1:  # each node would measure for itself, and they have to agree
        setting, said = (Setting("bf16-mixed", True) if torch.cuda.is_available() else PLAIN), ""
    else:
        setting, said = _measured_or_known(config, model)
    os.environ[PRECISION] = json.dumps(setting)
    return setting, said


def _measured_or_known(config: DictConfig, model: ImageClassifier) -> tuple[Setting, str]:
    use_gpu = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
    device = torch.device("cuda" if use_gpu else "cpu")
    key = json.dumps(
        {
            "network": [model.hparams[name] for name in ("backbone", "backbone_args", "freeze")],
            "photos": [model.preprocessing.size, config.data.batch_size],
            "device": torch.cuda.get_device_name(device) if use_gpu else _processor(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        default=str,
    )
    speeds = _known().get(key)
    when = "measured before" if speeds else "measured"
    if speeds is None:
        log.info("Trying which arithmetic is fastest for %s here …", model.hparams["backbone"])
        speeds = measured(model, config.data.batch_size, device)
        _remember(key, speeds)
    setting = fastest(speeds)
    figures = ", ".join(f"{one} {speed:.3g}" for one, speed in speeds.items())
    said = f"{setting} ({when}, images/s: {figures})"
    log.info("Training in %s; trainer.precision=32-true keeps plain float32.", said)
    return setting, said


def _file() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fishnet" / "precision.json"


def _known() -> dict[str, dict[Setting, float]]:
    """What earlier runs have measured, so that a repeated run makes the same choice; nothing where that is lost."""
    try:
        saved = json.loads(_file().read_text())
        speeds = {key: {Setting(*one): float(speed) for one, speed in pairs} for key, pairs in saved.items()}
        return {key: pairs for key, pairs in speeds.items() if PLAIN in pairs and set(pairs) <= set(SETTINGS)}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(key: str, speeds: dict[Setting, float]) -> None:
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        saved = {name: [[list(one), speed] for one, speed in pairs.items()] for name, pairs in _known().items()}
        saved[key] = [[list(one), speed] for one, speed in speeds.items()]
        with replacing(_file()) as temporary:
            temporary.write_text(json.dumps(saved))
    except OSError as error:
        log.info("What was measured cannot be kept (%s): the next run measures again.", error.strerror)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
