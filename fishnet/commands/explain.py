"""fishnet explain: a checkpoint on photos → what it looks at, as raw maps and as red pictures

In out/: pictures/, maps.npy (photos × rows × columns, signed and unnormalised), logits.npy, and maps.csv, which says
what each row is.

Examples
  fishnet explain checkpoint=outputs/RUN/checkpoints/best.ckpt images=photos/lake
  fishnet explain checkpoint=best.ckpt images='my photo.jpg' out=why all_classes=true
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import check_outside, check_writable, validate
from fishnet.errors import BadInput
from fishnet.ranges import AtLeast, FreeText
from fishnet.text import counted

from .predict import find_photos

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

log = logging.getLogger("fishnet")

POSITION = 70  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    images: FreeText
    out: FreeText
    all_classes: bool
    pictures: Annotated[int, AtLeast(0)]
    batch_size: Annotated[int, AtLeast(1)]
    cache: FreeText


MOST_LOOSE = 5000  # photos outside class folders are held in memory


def explain(config: DictConfig) -> dict[str, float]:
    """Maps first, resumable; pictures from them."""
    validate(config, "explain")
    place, out = Path(config.images).expanduser(), Path(config.out).expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise BadInput(f"out={config.out} is a file: give the name of a folder.")
    if (out / "maps.npy").exists():
        raise BadInput(f"out={config.out} holds maps already: choose another folder, or delete that one.")
    if place.is_dir():
        check_outside(config.out, "images", config.images)
    check_writable("out", config.out)
    photos = find_photos(place)
    import torch
    from rich.progress import track

    from fishnet.explain.maps import write_maps
    from fishnet.models.checkpoint import load_model

    model = load_model(Path(config.checkpoint)).to("cuda" if torch.cuda.is_available() else "cpu")
    table, batches, views = (_class_folders if _in_class_folders(place, photos) else _loose)(config, model, photos)
    wishes = sorted(model.preprocessing.as_dict().items())
    told = f"{_digest(model)} {wishes} {table['sha256'].tolist()} {config.all_classes}"
    about = hashlib.sha256(told.encode()).hexdigest()
    shown = track(batches, total=-(-len(table) // config.batch_size), description="explaining", transient=True)
    found = write_maps(model, shown, table, out, all_classes=config.all_classes, about=about)
    drawn = _draw(found, views, out / "pictures", config.pictures)
    log.info("%s: maps of %s, %s", out, counted(len(table), "photo"), counted(drawn, "picture"))
    return {"photos": float(len(table)), "pictures": float(drawn)}


Views = Callable[[list[int]], "np.ndarray"]
Shown = tuple["pd.DataFrame", Iterable[dict], Views]


def _in_class_folders(place: Path, photos: list[Path]) -> bool:
    return place.is_dir() and all(photo.parent != place for photo in photos)


def _class_folders(config: DictConfig, model, photos: list[Path]) -> Shown:
    """A data set: indexed, verified, decoded once."""
    import numpy as np

    from fishnet.data.datamodule import ImageFolderData
    from fishnet.runs.run import refused_lines

    data = ImageFolderData(
        root=str(config.images), batch_size=config.batch_size, cache=str(config.cache), duplicates="ignore"
    )
    data.fewest, data.preprocessing = 1, model.preprocessing
    understood = _speaks(data, model.classes)
    for line in refused_lines(data):
        log.warning(line)
    table = data.table.assign(path=[str(data.root / path) for path in data.table["path"]])
    table = table if understood else table.drop(columns="label")
    batches = data.batches(np.arange(len(table)), view=None, device=model.device)
    return table, batches, lambda rows: data.photos(rows).permute(0, 2, 3, 1).numpy()


def _speaks(data, classes: list[str]) -> bool:
    """Whether the folders are classes of the model: only then do they tell what is right."""
    one_against_rest = len(classes) == 2 and classes[0] == f"not {classes[1]}"
    if one_against_rest and classes[1] in data.folder_counts and classes[0] not in data.folder_counts:
        data.positive = classes[1]
    try:
        data.speak(classes)
    except BadInput:
        log.info("The folders are not the classes of the model: its answers are shown, but none is called wrong.")
        return False
    return True


def _loose(config: DictConfig, model, photos: list[Path]) -> Shown:
    """A few photos from anywhere, through the hardened loader."""
    import numpy as np
    import pandas as pd
    import torch

    from fishnet.data.views import centre
    from fishnet.data.working import working_image, working_side
    from fishnet.images import RefusedImage

    if len(photos) > MOST_LOOSE:
        raise BadInput(
            f"images={config.images} holds {len(photos)} photos: put more than {MOST_LOOSE} in class folders."
        )
    wishes, views, rows = model.preprocessing, [], []
    for path in photos:
        try:
            side = working_side(wishes.size, wishes.crop)
            image = working_image(path, sha256="", side=side, interpolation=wishes.interpolation)
            views.append(centre(image, wishes.size))
            rows.append((str(path), hashlib.sha256(views[-1].tobytes()).hexdigest()))
        except RefusedImage as refusal:
            log.warning("%s: %s", path, refusal)
    if not views:
        raise BadInput(f"images={config.images}: none of the photos can be read.")
    images = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
    batches = [{"image": part} for part in images.split(config.batch_size)]
    return pd.DataFrame(rows, columns=["path", "sha256"]), batches, lambda chosen: np.stack([views[k] for k in chosen])


def _digest(model) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _draw(found, views: Views, folder: Path, most: int) -> int:
    """Half surest wrong answers, half surest right ones, where the folder tells what is right."""
    import numpy as np

    from fishnet.explain.overlay import Caption, captioned, overlay, save

    table = found.table
    true = table["class"] if "label" in table else table["explained"]
    wrong = (true != table["explained"]).to_numpy()
    ranked = np.argsort(-table["probability"].to_numpy(), kind="stable")
    mistakes, hits = ranked[wrong[ranked]], ranked[~wrong[ranked]]
    few = mistakes[: max(most // 2, most - len(hits))]
    chosen = np.concatenate([few, hits[: most - len(few)]]).astype(int).tolist() if most else []
    maps = found.maps if found.maps.ndim == 3 else found.maps[np.arange(len(table)), found.logits.argmax(axis=1)]
    if chosen:
        folder.mkdir(parents=True, exist_ok=True)
    for number, (row, view) in enumerate(zip(chosen, views(chosen) if chosen else [], strict=True)):
        said = Caption(str(true[row]), str(table["explained"][row]), float(table["probability"][row]))
        picture = captioned(overlay(view, maps[row].astype(np.float32)), said)
        save(picture, folder / f"{number:03d}_{Path(table['path'][row]).stem[:60]}.jpg")
    return len(chosen)


if __name__ == "__main__":
    start(explain, "explain")
