"""fishnet generate: a GAN's checkpoint → photos that it draws, and what a classifier makes of them

In out/: photos/, grid.png, strip.png (from one photo to another) and generated.json; with judge= also judged.json and
judged.html: the share that the classifier accepts beside that of held-out real photos and of noise, KID and FID, what
it looks at, and the nearest training photo of each.

Examples
  fishnet generate checkpoint=outputs/RUN/checkpoints/best.ckpt
  fishnet generate checkpoint=best.ckpt n=200 seed=7 out=foxes
  fishnet generate checkpoint=best.ckpt judge=outputs/CLASSIFIER/checkpoints/best.ckpt out=foxes-judged
  fishnet generate checkpoint=best.ckpt judge=wild-bundle data.root=photos/wild out=foxes-judged
"""

import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig, open_dict

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.run_data import use_photos_of_run
from fishnet.config.validate import check_outside, check_writable, validate
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.files import new_folder
from fishnet.progress import with_progress
from fishnet.ranges import FreeText, Seed, Within
from fishnet.text import counted

if TYPE_CHECKING:
    from torch import Tensor

    from fishnet.data.folder import PhotoFolder
    from fishnet.models.classifier import ImageClassifier
    from fishnet.models.gan import ImageGAN

log = logging.getLogger("fishnet")

POSITION = 45  # in the list of `fishnet --help`
MOST_IN_GRID = 100  # photos


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    n: Annotated[int, Within(1, 10_000)]
    seed: Annotated[int, Seed]
    steps: Annotated[int, Within(2, 100)]
    out: FreeText
    judge: FreeText | None


def generate(config: DictConfig) -> dict[str, float]:
    """Draw, judge if asked, and only then let the folder have its name."""
    bring_checkpoint(config)
    if config.judge is None:
        with open_dict(config):
            del config["data"]  # real photos are asked for by a judge alone
    else:
        use_photos_of_run(config)
    validate(config, "generate")
    require_checkpoint(config)
    out = checked_out(config)
    keep_freed_memory()
    import torch

    from fishnet.models.checkpoint import load_gan, load_model

    gan = load_gan(Path(config.checkpoint)).to("cuda" if torch.cuda.is_available() else "cpu")
    judge = None if config.judge is None else load_model(Path(config.judge)).to(gan.device)
    folder = None if judge is None else real_photos(config, gan, judge)
    with new_folder(out) as making:
        photos = write_photos(gan, config, making)
        figures = {"photos": float(len(photos))}
        if judge is not None and folder is not None:
            figures |= write_judged(gan, judge, folder, photos, config, making)
    log.info("%s: %s of %s", out, counted(len(photos), "photo"), gan.classes[0])
    return figures


def checked_out(config: DictConfig) -> Path:
    """The folder to make; one that holds anything is never written to."""
    out = Path(config.out).expanduser().absolute()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BadInput(f"out={config.out} exists: give the name of a new folder.")
    check_writable("out", config.out)
    if config.judge is not None:
        check_outside(config.out, "data.root", config.data.root)
    return out


def write_photos(gan: "ImageGAN", config: DictConfig, folder: Path) -> "Tensor":
    """Write photos, grid and strip; returns the photos, uint8."""
    from PIL import Image

    from fishnet.explain.overlay import sheet
    from fishnet.models.checkpoint import model_digest
    from fishnet.models.gan import as_photos

    photos = as_photos(gan(gan.noise(config.n, config.seed))).cpu()
    pictures = [Image.fromarray(photo.permute(1, 2, 0).contiguous().numpy()) for photo in photos]
    (folder / "photos").mkdir()
    digits = max(3, len(str(config.n - 1)))
    for number, picture in enumerate(with_progress(pictures, len(pictures), "writing photos")):
        picture.save(folder / "photos" / f"{number:0{digits}d}.png")
    shown = pictures[:MOST_IN_GRID]
    sheet(shown, columns=math.ceil(len(shown) ** 0.5)).save(folder / "grid.png")
    between = as_photos(gan(gan.path_between(config.seed, config.steps))).cpu()
    strip = [Image.fromarray(photo.permute(1, 2, 0).contiguous().numpy()) for photo in between]
    sheet(strip, columns=len(strip)).save(folder / "strip.png")
    about = {"class": gan.classes[0], "n": config.n, "seed": config.seed, "steps": config.steps,
             "size": gan.preprocessing.size, "gan": model_digest(Path(config.checkpoint))}  # fmt: skip
    (folder / "generated.json").write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
    return photos


def real_photos(config: DictConfig, gan: "ImageGAN", judge: "ImageClassifier") -> "PhotoFolder":
    """The real photos of the class, with what the GAN has seen of them."""
    from fishnet.audit.gan_judging import FEWEST, label_of
    from fishnet.config.hydra_internals import instantiate, literal

    label_of(judge, gan.classes[0])
    if config.n < FEWEST:
        raise BadInput(f"n={config.n}: to be judged, {FEWEST} photos or more are needed.")
    if gan.seen is None:
        raise BadInput(f"{config.checkpoint} does not say which photos it was trained on: nothing can be held out.")
    config.data.classes = literal(list(gan.classes))
    folder = instantiate(config.data, _convert_="all").folder
    return folder.for_classes(gan.classes).seen_by(gan.seen)


def write_judged(
    gan: "ImageGAN",
    judge: "ImageClassifier",
    folder: "PhotoFolder",
    photos: "Tensor",
    config: DictConfig,
    making: Path,
) -> dict[str, float]:
    """Write judged.json and judged.html; returns the main figures."""
    from dataclasses import replace

    from fishnet.audit.gan_judging import judge_generated
    from fishnet.audit.gan_page import judged_page, sentences
    from fishnet.models.checkpoint import model_digest

    log.info("judging: %s beside real ones and noise", counted(len(photos), "photo"))
    digests = {"gan": model_digest(Path(config.checkpoint)), "judge": model_digest(Path(config.judge))}
    judged = replace(judge_generated(gan, judge, folder, photos), about={**digests, "seed": config.seed})
    (making / "judged.json").write_text(json.dumps(judged.figures(), indent=1, ensure_ascii=False), encoding="utf-8")
    about = f"GAN {digests['gan'][:12]}, classifier {digests['judge'][:12]}, seed {config.seed}"
    (making / "judged.html").write_text(judged_page(judged, judge, about=about), encoding="utf-8")
    for sentence in sentences(judged):
        log.info(sentence)
    return {"accepted": judged.accepted("generated"), "kid": judged.kid, "nearer": judged.near_share}


if __name__ == "__main__":
    start(generate, "generate")
