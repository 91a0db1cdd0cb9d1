"""What the service counts, in the text format of Prometheus."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one service.

    Args:
        held: gives the number of photos on their way.
    """

    def __init__(self, held: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        known: dict[str, Any] = {"registry": self.registry, "namespace": "fishnet"}
        Gauge("queue_photos", "Photos on their way.", **known).set_function(held)
        self.batch = Histogram(
            "batch_photos", "Photos that the model was asked about at once.", buckets=(1, 2, 4, 8, 16, 32, 64), **known
        )
        self.wait = Histogram("wait_seconds", "From decoded to asked about.", buckets=SECONDS, **known)
        self.request = Histogram("request_seconds", "From a request's head to its answer.", buckets=SECONDS, **known)
        self.requests = Counter("requests", "Answers to /predict.", ["code"], **known)
        self.refusals = Counter("refusals", "Requests that found no place.", ["reason"], **known)
        self.photos = Counter("photos", "Photos by what became of them.", ["outcome"], **known)
        self.decode_failures = Counter("decode_failures", "Photos that could not be decoded.", **known)

    def observe_batch(self, size: int, waited: list[float]) -> None:
        self.batch.observe(size)
        for seconds in waited:
            self.wait.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
