"""iNaturalist on loopback: its API, its photo host and both generations of its scrolling page, with faults on demand."""

from .faults import FAULTS
from .server import Replica, running
from .world import World

__all__ = ["FAULTS", "Replica", "World", "running"]
