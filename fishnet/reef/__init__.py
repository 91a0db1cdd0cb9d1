"""The embedded data set: drawn fish, made on first use, the same for everyone who gives the same seed."""

from typing import Any

from fishnet.reef.folder import reef_folder
from fishnet.reef.settings import Settings
from fishnet.reef.species import SPECIES

__all__ = ["SPECIES", "Settings", "make_reef", "read_mask", "reef_folder"]


def __getattr__(name: str) -> Any:
    """What draws needs OpenCV; a folder that is there does not."""
    if name in ("make_reef", "read_mask"):
        from fishnet.reef import make

        return getattr(make, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
