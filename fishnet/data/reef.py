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
        photos: Photos of each species.
        draw_size: The photos' longer side, in pixels.
        draw_seed: What the drawing follows from.
        plant: A cue that is not the fish, and where it is planted: `{cue: angler, class: …, share: 0.9}`.
        folder: The settings of ImageFolderData.
    """

    def __init__(
        self, *, root: str = "data", species: int = 6, photos: int = 150, draw_size: int = 224, draw_seed: int = 0,
        plant: dict | None = None, **folder: Any,
    ) -> None:  # fmt: skip
        super().__init__(root=root, **folder)
        reef = ReefSource(root, species=species, photos=photos, size=draw_size, seed=draw_seed, plant=plant)
        self.folder = replace(self.folder, source=reef)
