"""A bundle with all that answers about it: places, decoding, the model, the answer's words, and what is counted."""

import asyncio
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from fishnet.data.photos import ReadPhoto
from fishnet.images import RefusedImage
from fishnet.models.arithmetic import Setting
from fishnet.models.bundle import Bundle

from .answering import Answer, Answering, PhotoAnswer
from .batching import Batcher, Computed, Full
from .decoding import Decoders
from .metrics import Metrics
from .uploads import Limits, Upload, Uploads, digest


@dataclass(frozen=True)
class Settings:
    """How a bundle is served.

    Args:
        arithmetic: of the network.
        tolerance: the largest difference of a logit from float32 that was measured for it.
        workers: processes that decode.
        queue: photos that may be on their way at once.
        batch_size: photos that the model is asked about at once.
        wait: seconds that a batch waits for photos that are being decoded.
        patience: seconds after which a request that has no answer is refused.
        full_status: 503, or 429 for load balancers that leave out whoever answers 5xx.
        sure: threshold of classes that the bundle has none for.
        token: that requests have to bring, or None.
        hosts: names that the service may be called by.
        limits: of uploads.
    """

    arithmetic: Setting
    tolerance: float
    workers: int
    queue: int
    batch_size: int
    wait: float
    patience: float
    full_status: int
    sure: float
    token: str | None
    hosts: tuple[str, ...]
    limits: Limits


class Service:
    """A bundle with all that answers about it.

    A request takes places for its photos, each photo is decoded in a worker process and then answered by the model's
    thread together with those of other requests. Nothing of a photo is stored or logged.

    Args:
        bundle: its model is on its device.
        settings: how it is served.
    """

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self.bundle, self.settings, self.draining = bundle, settings, False
        self.answering = Answering(bundle.model, bundle.about.get("thresholds", {}), settings.sure)
        self.metrics = Metrics(lambda: self.batcher.held)
        self.batcher = Batcher(
            bundle.model, setting=settings.arithmetic, places=settings.queue, size=settings.batch_size,
            wait=settings.wait, observe=self.metrics.observe_batch,
        )  # fmt: skip
        self.decoders = Decoders(settings.workers, bundle.model.preprocessing)
        self.uploads = Uploads(settings.limits, self.refusal)

    def start(self) -> None:
        self.decoders.start()
        self.batcher.start()

    def stop(self) -> None:
        """After the last answer."""
        self.batcher.stop()
        self.decoders.stop()

    def class_numbers(self, names: list[str] | None, key: str) -> list[int]:
        """Positions of classes, in the model's order, by any of their names; all where none are named."""
        model = self.bundle.model
        known = model.classes
        if names is None:
            return [*range(len(known))]
        meant = {name: model.names.among(name, known) for name in names}
        if unknown := sorted(name for name, known_as in meant.items() if known_as is None):
            raise HTTPException(422, f"{key}: the model does not know {', '.join(unknown)[:200]}.")
        if len({*meant.values()}) < len(names):
            raise HTTPException(422, f"{key}: a class is named twice.")
        return sorted(known.index(name) for name in meant.values() if name is not None)

    async def answer(
        self, photos: list[Upload], chosen: list[int], top: int, maps_of: tuple[int, ...], together: bool
    ) -> Answer:
        """Of a request's photos, in their order; HTTPException where they find no place."""
        try:
            self.batcher.hold(len(photos))
        except Full as error:
            raise self.refusal("full", f"{self.settings.queue} photos are on their way.") from error
        try:
            async with asyncio.timeout(self.settings.patience):
                found = await asyncio.gather(*(self._computed(upload, maps_of) for upload in photos))
        except TimeoutError as error:
            raise self.refusal("slow", "The answer takes too long.") from error
        finally:
            self.batcher.leave(len(photos))
        answers = [self._photo_answer(*each, chosen, top) for each in zip(photos, found, strict=True)]
        computed = [each[1] for each in found if not isinstance(each, str)]
        combined = self.answering.together(computed, chosen, top) if together and computed else None
        return Answer(bundle=self.bundle.digest, photos=answers, together=combined)

    def refusal(self, reason: str, text: str) -> HTTPException:
        """For now: whoever is refused may come again."""
        self.metrics.refusals.labels(reason).inc()
        return HTTPException(self.settings.full_status, text, headers={"Retry-After": "1"})

    async def _computed(self, upload: Upload, maps_of: tuple[int, ...]) -> tuple[ReadPhoto, Computed] | str:
        """The photo and what the model computed, or why it cannot be read."""
        try:
            read = await asyncio.wrap_future(self.decoders.decode(upload.data))
        except RefusedImage as refusal:
            self.metrics.decode_failures.inc()
            self.metrics.photos.labels("refused").inc()
            return str(refusal)
        computed = await asyncio.wrap_future(self.batcher.ask(read.view, maps_of))
        self.metrics.photos.labels("answered").inc()
        return read, computed

    def _photo_answer(
        self, upload: Upload, found: tuple[ReadPhoto, Computed] | str, chosen: list[int], top: int
    ) -> PhotoAnswer:
        if isinstance(found, str):
            return PhotoAnswer(name=upload.name, sha256=digest(upload.data), problem=found)
        return self.answering.photo(upload.name, *found, chosen, top)
