"""The reef as a data module: drawn on first use, then a class folder like any other."""

from typing import Any

from fishnet.data.datamodule import ImageFolderData

from . import reef_folder


class ReefData(ImageFolderData):
    """`root` is where the drawn folder is put; everything else is as with any folder."""

    def __init__(
        self,
        *,
        root: str = "data",
        species: int = 6,
        photos: int = 150,
        draw_size: int = 224,
        draw_seed: int = 0,
        plant: dict | None = None,
        **folder: Any,
    ) -> None:
        drawn = reef_folder(root, species=species, photos=photos, size=draw_size, seed=draw_seed, plant=plant)
        super().__init__(root=str(drawn), **folder)
