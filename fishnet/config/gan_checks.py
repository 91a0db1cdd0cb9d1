"""What a configuration that trains a GAN must say, before torch is imported and a photo is read."""

from typing import cast

from omegaconf import DictConfig, OmegaConf

from fishnet.data.sources import source_of
from fishnet.errors import BadInput
from fishnet.text import few_of

GAN = "fishnet.models.gan.ImageGAN"
SIZES = (64, 128)
OF_BOTH, OF_GANS = ("checkpoints",), ("samples", "gan_watch")  # files of fishnet/callbacks/


def is_gan(config: DictConfig) -> bool:
    """Whether the model of this configuration is a GAN."""
    model = config.get("model")
    return isinstance(model, DictConfig) and model.get("_target_") == GAN


def check_gan(config: DictConfig) -> None:
    """Refuse, in one sentence, what a GAN cannot be trained with."""
    data, trainer = config.data, config.trainer
    if config.get("tune") is not None:
        raise BadInput("tune=lr is a range test of a classifier: leave it out, and set model.lr of the GAN itself.")
    if data.image_size not in SIZES:
        raise BadInput(f"data.image_size={data.image_size}: a GAN draws photos of 64 or 128 pixels.")
    if data.get("positive") is not None:
        raise BadInput("data.positive: a GAN learns one class and nothing of the others: say data.classes=[CLASS].")
    if trainer.devices not in (1, "1") or trainer.num_nodes > 1 or "ddp" in str(trainer.strategy):
        raise BadInput("A GAN is trained on one device: say trainer.devices=1.")
    if trainer.accumulate_grad_batches != 1 or trainer.gradient_clip_val is not None:
        raise BadInput(
            "trainer.accumulate_grad_batches and trainer.gradient_clip_val are for one loss, and a GAN has two: leave "
            "them out, and set data.batch_size and model.penalty."
        )
    classes = data.get("classes")
    if classes is None or (OmegaConf.is_list(classes) and len(classes) != 1):  # a text is refused as no list
        raise BadInput(_one_class(config, list(classes or [])))


def check_callbacks(config: DictConfig) -> None:
    """Refuse callbacks of classifiers beside a GAN, and those of a GAN beside a classifier."""
    gan = is_gan(config)
    for name, node in (config.get("callbacks") or {}).items():
        target = str(node.get("_target_", "")) if isinstance(node, DictConfig) else ""
        if not target.startswith("fishnet.callbacks."):
            continue
        home = target.split(".")[2]
        if gan and home not in (*OF_BOTH, *OF_GANS):
            raise BadInput(f"callbacks.{name} is for classifiers: say callbacks=gan, as experiment=fox_gan does.")
        if not gan and home in OF_GANS:
            raise BadInput(f"callbacks.{name} is for a GAN: leave callbacks=gan out, or say experiment=fox_gan.")


def _one_class(config: DictConfig, chosen: list[str]) -> str:
    """The sentence for no class or several, with the classes that are there."""
    source = source_of(cast("dict", OmegaConf.to_container(config.data, resolve=True)))
    known = chosen
    if source is not None:
        source.check()
        known = chosen or list(source.counts())
    given = f"data.classes names {len(chosen)}" if chosen else "data.classes names none"
    example = known[0] if known else "CLASS"
    there = f" of {few_of(known)}" if len(known) > 1 else ""
    return f"A GAN learns the photos of one class, and {given}: say data.classes=[{example}], or another one{there}."
