"""The reef as a data module: drawn on first use, then a class folder like any other."""

from dataclasses import replace
from typing import Any

from fishnet.data.datamodule import ImageFolderData
from fishnet.data.listing import ReefSource


class ReefData(ImageFolderData):
    """The drawn reef, below `root`.

    What it will hold is known without a brush stroke: whatever else can be refused is refused before it is drawn.

    Args:
        root: The folder in which the reef is drawn.
        species: How many species of fish, each a class.
        photos: Photos of each species, or how many of each: `{bandfin_perch: 540, ladder_perch: 60}`.
        draw_size: The photos' longer side, in pixels.
        draw_seed: What the drawing follows from.
        plant: A cue that is not the fish, or a list of them: `{cue: float, class: arrow_pike, share: 0.5, leak: 0.02}`
            plants a float in half of the photos of a class, and in 2 % of those of each other; `class: all` in all.
        layout: `centred`, or `free`: fish off the middle, near and far, cut by the frame, two in a photo.
        folder: The settings of ImageFolderData.
    """

    def __init__(
        self, *, root: str = "data", species: int = 6, photos: int | dict = 150, draw_size: int = 224,
        draw_seed: int = 0, plant: dict | list | None = None, layout: str = "centred", **folder: Any,
    ) -> None:  # fmt: skip
        super().__init__(root=root, **folder)
        drawing = {"species": species, "photos": photos, "size": draw_size, "seed": draw_seed}
        self.folder = replace(self.folder, source=ReefSource(root, plant=plant, layout=layout, **drawing))
