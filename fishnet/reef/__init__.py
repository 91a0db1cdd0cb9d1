"""The embedded data set: drawn fish, made on first use, the same for everyone who gives the same seed."""

from fishnet.reef.folder import reef_folder
from fishnet.reef.settings import Settings
from fishnet.reef.species import SPECIES

__all__ = ["SPECIES", "Settings", "reef_folder"]
