"""A reef without files: which photos it has, and each of them drawn when it is asked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from fishnet.progress import with_progress
from fishnet.reef.observations import Observation, observations_of
from fishnet.reef.photo import Photo, draw_photo
from fishnet.reef.settings import Settings
from fishnet.reef.species import Species


@dataclass(frozen=True)
class Entry:
    """A photo of a reef, drawn or not; `number` counts the photos of its species, `cues` are those planted in it."""

    kind: Species
    number: int
    observation: Observation
    cues: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.kind.name}_{self.number:05d}"

    def draw(self, settings: Settings, *, cues: Collection[str] | None = None, without: Collection[str] = ()) -> Photo:
        """The photo, or what it were with other `cues` or `without` parts of the fish: the same fish in the same pose,
        unless an angler holds it."""
        return draw_photo(
            self.kind, seed=settings.seed, number=self.number, observation=self.observation.number, size=settings.size,
            cues=self.cues if cues is None else cues, layout=settings.layout,
            without=without,
        )  # fmt: skip


def entries(settings: Settings) -> list[Entry]:
    """All photos of a reef, class by class; those of an observation follow each other."""
    return [
        Entry(kind, number, observation, settings.cues_of(kind.name, number))
        for kind in settings.kinds
        for number, observation in enumerate(
            observations_of(kind, seed=settings.seed, photos=settings.counts[kind.name])
        )
    ]


def drawn_photos(settings: Settings, *, progress: bool = False) -> Iterator[tuple[Entry, Photo]]:
    """All photos of a reef, drawn one after the other, as they are before their files are packed."""
    planned = entries(settings)
    for entry in with_progress(planned, len(planned), "drawing the reef", shown=progress):
        yield entry, entry.draw(settings)
