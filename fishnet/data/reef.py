"""The reef as a data module: drawn on first use, then a class folder like any other."""

from functools import cached_property
from typing import Any

from fishnet.data.datamodule import ImageFolderData
from fishnet.data.listing import Listing, list_photos
from fishnet.reef import Settings, reef_folder
from fishnet.reef.folder import reef_path


class ReefData(ImageFolderData):
    """`root` is where the drawn folder is put; everything else is as with any folder.

    What it will hold is known without a brush stroke: whatever else can be refused is refused before it is drawn.
    """

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
        drawing: dict[str, Any] = {
            "species": species,
            "photos": photos,
            "size": draw_size,
            "seed": draw_seed,
            "plant": plant,
        }
        self._parent, self._drawing = root, drawing
        super().__init__(root=str(reef_path(root, Settings(**drawing))), **folder)

    @cached_property
    def listing(self) -> Listing:
        return list_photos(reef_folder(self._parent, **self._drawing))

    @property
    def folder_counts(self) -> dict[str, int]:
        chosen = Settings(**self._drawing)
        return dict.fromkeys(sorted(kind.name for kind in chosen.kinds), chosen.photos)
