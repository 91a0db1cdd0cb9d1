"""What the network is shown: a few photos, step by step, before an hour is spent on them."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pytorch_lightning as L
import torch
from PIL import Image, ImageDraw

from fishnet.data.folder import PhotoSource
from fishnet.data.views import Preprocessing, view_box
from fishnet.explain.overlay import fixed_panel, labelled, sheet
from fishnet.headers import RefusedImage
from fishnet.images import load_image
from fishnet.models.preprocessing import after_each
from fishnet.ranges import AtLeast, check_ranges

from .outputs import write_artifact

TRAINING = 3  # random views a photo
FRAME, SHADOW, GROUND = (255, 236, 64), (0, 0, 0), (236, 236, 232)


class Views(L.Callback):
    """`views/photos.jpg`: a row a photo: all of it with a frame around what the network sees, what it sees, that after
    each step of `model.preprocess`, and as training shows it.

    Args:
        photos: how many photos, spread over the classes.
    """

    def __init__(self, *, photos: Annotated[int, AtLeast(0)] = 4) -> None:
        check_ranges(Views.__init__, locals())
        self.photos = photos

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not trainer.is_global_zero or not self.photos or not isinstance(data, PhotoSource):
            return
        candidates = data.rows("train")
        labels = data.table["label"].to_numpy()[candidates]
        rows = np.array(fixed_panel(candidates, labels, self.photos))
        page = _page(data, rows, pl_module.preprocessing)  # type: ignore[arg-type]
        write_artifact(trainer, "views/photos.jpg", lambda path: page.save(path, format="JPEG", quality=90))


def _page(data: PhotoSource, rows: np.ndarray, preprocessing: Preprocessing) -> Image.Image:
    photos, steps = data.photos(rows.tolist()), preprocessing.steps  # type: ignore[attr-defined]
    columns = [("inside the frame", photos), *after_each(photos, steps)]
    if root := getattr(data, "root", None):
        files = [Path(root) / path for path in data.table["path"].iloc[rows]]
        columns.insert(0, ("the photo, framed", torch.stack([framed(file, preprocessing) for file in files])))
    if data.augment != "none":
        for view in range(TRAINING):
            batches = data.batches(rows, view=view, device=torch.device("cpu"))
            columns.append((f"{data.augment}, view {view + 1}", torch.cat([batch["image"] for batch in batches])))
    tiles = [
        labelled(Image.fromarray(np.ascontiguousarray(images[row].permute(1, 2, 0).numpy())), name)
        for row in range(len(rows))
        for name, images in columns
    ]
    return sheet(tiles, columns=len(columns))


def framed(file: Path, preprocessing: Preprocessing) -> torch.Tensor:
    """The whole photo on a plain ground, with a frame around what the network sees; 3 × size × size.

    Where the file can no longer be read, the ground alone: its training says so.
    """
    side = preprocessing.size
    tile = Image.new("RGB", (side, side), GROUND)
    try:
        photo = load_image(file)
    except RefusedImage:
        return torch.from_numpy(np.asarray(tile).copy()).permute(2, 0, 1)
    scale = side / max(photo.size)
    columns, rows = (max(1, round(length * scale)) for length in photo.size)
    left, top = (side - columns) // 2, (side - rows) // 2
    tile.paste(photo.convert("RGB").resize((columns, rows), Image.Resampling.BICUBIC), (left, top))
    box, pen = view_box(*photo.size, preprocessing), ImageDraw.Draw(tile)
    edges = [max(0, left + round(box.left * scale)), max(0, top + round(box.top * scale))]
    edges += [
        min(side, left + round((box.left + box.width) * scale)) - 1,
        min(side, top + round((box.top + box.height) * scale)) - 1,
    ]
    pen.rectangle(edges, outline=SHADOW, width=max(2, side // 56))
    pen.rectangle(edges, outline=FRAME, width=max(1, side // 112))
    return torch.from_numpy(np.asarray(tile).copy()).permute(2, 0, 1)
