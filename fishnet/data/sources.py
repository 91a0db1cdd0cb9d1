"""Where the photos of a data module come from, by its settings alone."""

from collections.abc import Mapping
from typing import Any

from fishnet.data.listing import FolderSource, ReefSource, folder_source
from fishnet.data.packed import StreamSource


def source_of(settings: Mapping[str, Any]) -> FolderSource | None:
    """The source of a data module with these settings, known before torch is imported; None for a user's own module."""
    match settings["_target_"]:
        case "fishnet.data.datamodule.ImageFolderData":
            return folder_source(str(settings["root"]), settings.get("classes"))
        case "fishnet.data.reef.ReefData":
            names = ("species", "photos", "plant", "layout")
            drawing = {name: settings[name] for name in names if name in settings}  # a run of before has no layout
            drawing |= {"size": settings["draw_size"], "seed": settings["draw_seed"]}
            return ReefSource(str(settings["root"]), **drawing)
        case "fishnet.data.stream.StreamData":
            return StreamSource(str(settings["root"]))
    return None
