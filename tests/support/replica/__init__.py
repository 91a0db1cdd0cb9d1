"""iNaturalist on loopback: API, photo host, both generations of the scrolling page, and faults on demand."""

from .faults import FAULTS
from .server import Replica, running
from .world import World

__all__ = ["FAULTS", "Replica", "World", "running"]
