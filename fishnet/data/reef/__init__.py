"""The embedded data set: drawn fish, made on first use, the same for everyone who gives the same seed."""

from fishnet.data.reef.folder import reef_folder
from fishnet.data.reef.make import make_reef, read_mask
from fishnet.data.reef.species import SPECIES

__all__ = ["SPECIES", "make_reef", "read_mask", "reef_folder"]
