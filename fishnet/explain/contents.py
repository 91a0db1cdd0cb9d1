"""What is inside a network: the maps of each stage's channels on a photo, and the photos that excite a channel most."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fishnet.files import replacing
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.models.taps import recorded
from fishnet.page.figures import picture_address
from fishnet.page.page import Chapter

from .overlay import labelled, overlay, save, sheet, with_legend

SHOWN = 16  # channels of a stage
TILE = 96  # pixels


class Stage(NamedTuple):
    """The layer that gives out the last maps of their size, with its dotted name in the network."""

    name: str
    layer: nn.Module
    channels: int
    side: int


def stages_of(model: Classifier) -> list[Stage]:
    """A stage for each size of maps that the network goes through, from large to small, tried on a blank photo.

    A network of tokens has none.
    """
    network, size = model.network, model.preprocessing.size
    names = {module: name for name, module in network.named_modules() if name}
    weight = next(network.parameters())
    blank = torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype)
    with (
        recorded(names, keep=lambda call: (call.layer, getattr(call.output, "shape", ()))) as calls,
        eval_mode_restored(model),
        torch.no_grad(),
    ):
        network(blank)
    last: dict[int, Stage] = {}
    for layer, shape in calls:  # a block ends after the layers in it
        if len(shape) == 4 and shape[2] == shape[3] > 1 and shape[2] <= size:
            last[shape[2]] = Stage(names[layer], layer, shape[1], shape[2])
    return list(last.values())


def stage_maps(model: Classifier, images: Tensor, stages: Sequence[Stage]) -> list[Tensor]:
    """What each stage gives out for a batch: (photos, channels, side, side), float32 on the CPU."""
    with (
        recorded([stage.layer for stage in stages], keep=lambda call: call.output) as outputs,
        eval_mode_restored(model),
        torch.no_grad(),
        torch.autocast(images.device.type, enabled=False),
    ):
        model.network(model.pixels(images))
    return [output.float().cpu() for output in outputs]


class Excitement(NamedTuple):
    """How strongly each photo excites each channel of a stage: (photos, channels), the highest value of its map."""

    stage: Stage
    values: np.ndarray

    def liveliest(self, count: int) -> list[int]:
        """The channels that tell photos apart the most: whose excitement varies most, for its mean."""
        spread = self.values.std(axis=0) / (np.abs(self.values).mean(axis=0) + 1e-6)
        spread[self.values.max(axis=0) <= 0] = -1  # never excited
        return np.argsort(-spread, kind="stable")[:count].tolist()

    def photos(self, channel: int, count: int) -> list[int]:
        """The photos that excite a channel most."""
        return np.argsort(-self.values[:, channel], kind="stable")[:count].tolist()


def excitement(model: Classifier, batches: Iterable[Tensor], stages: Sequence[Stage]) -> list[Excitement]:
    """Of a folder's photos, batch by batch; nothing larger than photos × channels is kept."""
    highest: list[list[np.ndarray]] = [[] for _ in stages]
    for images in batches:
        for number, maps in enumerate(stage_maps(model, images, stages)):
            highest[number].append(maps.amax(dim=(2, 3)).numpy())
    return [Excitement(stage, np.concatenate(parts)) for stage, parts in zip(stages, highest, strict=True)]


def feature_sheet(photo: np.ndarray, maps: Tensor, stage: Stage) -> Image.Image:
    """The photo, then the maps of its most active channels, each named by its number; dark is 0, white its maximum.

    Args:
        photo: (side, side, 3) bytes.
        maps: (channels, side, side) of one photo.
        stage: which.
    """
    order = torch.argsort(maps.clamp(min=0).mean(dim=(1, 2)), descending=True, stable=True)[:SHOWN].tolist()
    base = Image.fromarray(photo).resize((TILE, TILE), Image.Resampling.BICUBIC)
    tiles = [labelled(base, "photo")]
    for channel in order:
        values = maps[channel].clamp(min=0).numpy()
        grey = (255 * values / max(float(values.max()), 1e-12)).astype(np.uint8)
        picture = Image.fromarray(grey).resize((TILE, TILE), Image.Resampling.NEAREST).convert("RGB")
        tiles.append(labelled(picture, f"channel {channel}"))
    title = (
        f"{stage.name}: {len(order)} of {stage.channels} channels, the most active first, {stage.side} × {stage.side}"
    )
    return sheet(tiles, columns=6, title=title)


def channel_sheet(
    photos: Sequence[np.ndarray], maps: Sequence[np.ndarray], texts: Sequence[str], title: str
) -> Image.Image:
    """The photos that excite a channel most, each under the channel's own map.

    Args:
        photos: (side, side, 3) bytes each.
        maps: the channel's map on each.
        texts: below each.
        title: above all.
    """
    tiles = []
    for photo, values, text in zip(photos, maps, texts, strict=True):
        picture = overlay(photo, values).resize((TILE * 3 // 2, TILE * 3 // 2), Image.Resampling.BICUBIC)
        tiles.append(labelled(picture, text))
    return with_legend(sheet(tiles, columns=len(tiles), title=title))


MOST_PHOTOS, CHANNELS, EXCITING = 3, 6, 6  # photos with feature maps; channels a stage; photos a channel
Batches = Callable[[], Iterable[Tensor]]  # the photos from the first on, bytes, on the model's device


def contents_chapters(model: Classifier, batches: Batches, names: Sequence[str], folder: Path) -> list[Chapter]:
    """Chapters of a page, and the same pictures in a folder; none for a network without stages.

    Args:
        model: the classifier.
        batches: gives the same photos each time it is called.
        names: of all photos, for people; feature maps are of some from all over the list.
        folder: for `features_<photo>_<stage>.png` and `channel_<stage>_<number>.jpg`.
    """
    stages = stages_of(model)
    if not stages:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    maps_chapter, channels_chapter = Chapter("Feature maps"), Chapter("What excites a channel")
    maps_chapter.add_text(
        "What the channels of each stage give out on a photo, from black (nothing) to white (their own maximum). Early "
        "stages show edges and colours where they are, late ones parts and kinds on a coarse grid.", style="soft",
    )  # fmt: skip
    channels_chapter.add_text(
        "Of each stage the channels whose answers differ most from photo to photo, each with the photos of the folder "
        "that excite it most and, in red, where.", style="soft",
    )  # fmt: skip
    spread = np.unique(np.linspace(0, len(names) - 1, MOST_PHOTOS).round().astype(int)).tolist()
    shown = torch.stack(list(photos_at(batches(), spread).values()))
    for stage, maps in zip(stages, stage_maps(model, shown, stages), strict=True):
        for number, (row, image, own) in enumerate(zip(spread, shown, maps, strict=True)):
            picture, file = feature_sheet(as_bytes(image), own, stage), folder / f"features_{number}_{stage.name}.png"
            with replacing(file) as temporary:
                picture.save(temporary, format="PNG")
            maps_chapter.add_figure(picture_address(file), f"{stage.name}: {names[row]}")
    chosen = [
        (found, channel, found.photos(channel, EXCITING))
        for found in excitement(model, batches(), stages)
        for channel in found.liveliest(CHANNELS)
    ]
    by_row = photos_at(batches(), {row for *_, rows in chosen for row in rows})
    for found, channel, rows in chosen:
        file = folder / f"channel_{found.stage.name}_{channel}.jpg"
        save(_exciting(model, by_row, found, channel, rows), file)
        listed = ", ".join(names[row] for row in rows)
        channels_chapter.add_figure(picture_address(file), f"{found.stage.name}, channel {channel}: {listed}")
    return [maps_chapter, channels_chapter]


def _exciting(
    model: Classifier, by_row: Mapping[int, Tensor], found: Excitement, channel: int, rows: Sequence[int]
) -> Image.Image:
    photos = torch.stack([by_row[row] for row in rows])
    maps = stage_maps(model, photos, [found.stage])[0][:, channel].numpy()
    texts = [f"{found.values[row, channel]:.2f}" for row in rows]
    title = f"{found.stage.name}, channel {channel}"
    return channel_sheet([as_bytes(photo) for photo in photos], list(maps), texts, title)


def photos_at(batches: Iterable[Tensor], rows: Collection[int]) -> dict[int, Tensor]:
    """Some photos of all, by their row."""
    found: dict[int, Tensor] = {}
    first = 0
    for images in batches:
        found |= {row: images[row - first] for row in rows if first <= row < first + len(images)}
        first += len(images)
    return found


def as_bytes(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).cpu().numpy()
