"""Photos of many requests → one forward pass: a bounded number of them, in one thread that owns the model."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fishnet.explain.additive import additive_maps, is_additive
from fishnet.explain.gradcam import explained, last_convolution
from fishnet.models.arithmetic import MIXED, PLAIN_LAST, Setting, in_setting
from fishnet.models.backbones import single_head
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import features_and_logits


@dataclass
class Asked:
    """A photo on its way through the model.

    Args:
        view: size × size × 3 bytes.
        maps_of: classes whose heat-maps are wanted, by number.
    """

    view: np.ndarray
    maps_of: tuple[int, ...] = ()
    since: float = field(default_factory=time.monotonic)
    answered: Future["Computed"] = field(default_factory=Future)


@dataclass(frozen=True)
class Computed:
    """`logits` of all classes, and `maps` (h × w, what each place adds to the logit) of those that were asked for.

    `strange` says whether the photo looks like none of the classes, where the model knows that.
    """

    logits: np.ndarray
    maps: dict[int, np.ndarray]
    strange: bool | None = None


class Full(Exception):
    """There is no place for another photo."""


class Batcher:
    """Gathers photos and asks the model about them together.

    A photo holds one of `places` from before it is decoded until it is answered, so that what waits is bounded. While
    the model works the next batch gathers by itself; only where further photos are being decoded does a batch wait for
    them, `wait` seconds at most, so that a lone request is never late.

    Args:
        model: in evaluation, on its device.
        setting: the arithmetic.
        places: photos that may be on their way at once.
        size: photos that the model is asked about at once.
        wait: seconds.
        observe: is called with the size of each batch and the seconds that each of its photos waited.
    """

    def __init__(
        self, model: ImageClassifier, *, setting: Setting = PLAIN_LAST, places: int, size: int, wait: float,
        observe: Callable[[int, list[float]], None] = lambda size, waited: None,
    ) -> None:  # fmt: skip
        if setting.channels_last:
            model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.setting, self.places, self.size, self.wait = model, setting, places, size, wait
        self.observe = observe
        self.additive = is_additive(model)
        self.head = single_head(model.network) if model.familiarity else None
        self.layer = None if self.additive else last_convolution(model.network, model.preprocessing.size)
        self._asked: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._held = self._arrived = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    @property
    def has_maps(self) -> bool:
        """Whether there are heat-maps: not of networks of tokens."""
        return self.additive or self.layer is not None

    @property
    def held(self) -> int:
        """Photos on their way."""
        return self._held

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        """Ask the model about a blank photo, so that the first request meets a warm one, and begin."""
        blank = np.zeros((self.model.preprocessing.size,) * 2 + (3,), np.uint8)
        self.compute([Asked(blank)])
        self._thread.start()

    def stop(self) -> None:
        """Answer what has been asked, and end."""
        self._asked.put(None)
        self._thread.join()

    def hold(self, count: int) -> None:
        """Take places for so many photos; Full where they are not free."""
        with self._lock:
            if self._held + count > self.places:
                raise Full
            self._held += count

    def leave(self, count: int) -> None:
        """Give places back."""
        with self._lock:
            self._held -= count

    def ask(self, view: np.ndarray, maps_of: tuple[int, ...] = ()) -> Future[Computed]:
        """Of a photo that holds a place."""
        asked = Asked(view, maps_of)
        with self._lock:
            self._arrived += 1
        self._asked.put(asked)
        return asked.answered

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            now = time.monotonic()
            wanted = [asked for asked in batch if asked.answered.set_running_or_notify_cancel()]
            try:
                if wanted:
                    self.observe(len(wanted), [now - asked.since for asked in wanted])
                    answers = self.compute(wanted)
                    for asked, answer in zip(wanted, answers, strict=True):
                        asked.answered.set_result(answer)
            except Exception as error:  # of one batch; the next may go well
                for asked in wanted:
                    if not asked.answered.done():
                        asked.answered.set_exception(error)
            finally:
                with self._lock:
                    self._arrived -= len(batch)

    def compute(self, batch: list[Asked]) -> list[Computed]:
        """Logits of all photos and the maps that are wanted, from one forward pass where the network allows it."""
        images = stacked([asked.view for asked in batch], self.model.device)
        wanted = [number for number, asked in enumerate(batch) if asked.maps_of]
        maps: list[dict[int, np.ndarray]] = [{} for _ in batch]
        if wanted and self.additive:
            parts = additive_maps(self.model, images, self.setting)
            logits, features = parts.logits, parts.features
            for number in wanted:
                chosen = batch[number].maps_of
                maps[number] = dict(zip(chosen, parts.maps[number, list(chosen)].cpu().numpy(), strict=True))
        else:
            with torch.inference_mode(), in_setting(self.setting, images.device):
                logits, features = self._logits(images)
            for number in wanted:
                for c in batch[number].maps_of:
                    found = explained(self.model, images[number][None], [c], layer=self.layer)
                    maps[number][c] = found.maps[0].numpy()
        known = self.model.familiarity
        strange = known.is_strange(features, logits).tolist() if known else [None] * len(batch)
        rows = zip(logits.float().cpu().numpy(), maps, strange, strict=True)
        return [Computed(*row) for row in rows]

    def _logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """And the features, where the model can say something by them."""
        if self.head is None:
            return self.model(images), images.new_empty(0)
        features, logits = features_and_logits(self.model.network, self.head, self.model.pixels(images))
        return logits.float(), features.float()

    def _next_batch(self) -> list[Asked] | None:
        """The photos that are there, and those that come while others are being decoded; None at the end."""
        first = self._asked.get()
        if first is None:
            return None
        batch, until = [first], time.monotonic() + self.wait
        while len(batch) < self.size:
            coming = self._held > self._arrived
            patience = until - time.monotonic() if coming else 0.0
            try:
                further = self._asked.get(timeout=patience) if patience > 0 else self._asked.get_nowait()
            except queue.Empty:
                break
            if further is None:
                self._asked.put(None)  # for the next turn
                break
            batch.append(further)
        return batch


def stacked(views: list[np.ndarray], device: torch.device) -> Tensor:
    """uint8, photos × 3 × size × size, on the device."""
    images = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
    return images.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else images


def logit_difference(model: ImageClassifier, setting: Setting) -> float:
    """The largest difference of a logit from float32's, on fixed pictures of noise and of colours; 0 in float32."""
    if setting != MIXED:
        return 0.0
    size, rng = model.preprocessing.size, np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, size, size, 3), np.uint8)
    colours = np.broadcast_to(rng.integers(0, 256, (8, 1, 1, 3), np.uint8), noise.shape)
    images = stacked([*noise, *colours], model.device)
    with torch.inference_mode():
        plain = model(images)
        with in_setting(setting, images.device):
            return float((model(images) - plain).abs().max())
