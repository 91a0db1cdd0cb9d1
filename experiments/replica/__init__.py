"""iNaturalist on loopback: API, photo host, both generations of the scrolling page, and faults on demand.

An instrument of experiments/collect and of the tests, which import it from here.
"""

from .faults import FAULTS
from .server import Replica, running
from .world import World

__all__ = ["FAULTS", "Replica", "World", "running"]
