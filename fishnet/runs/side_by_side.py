"""The same photos in several runs: each run's answer, and its heat-map where it has kept one."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fishnet.data.photos import read_photo
from fishnet.errors import BadInput
from fishnet.explain.contact import heat_address, photo_address
from fishnet.images import RefusedImage
from fishnet.models.preprocessing import Preprocessing
from fishnet.page.fader import PhotoCard, View, fader
from fishnet.page.page import Chapter
from fishnet.text import counted, few_of

from .arms import ComparedRun
from .gallery import photos_root

SIDE = 224  # pixels of a photo
MOST_VIEWS = 720  # photos times runs: the page stays below some ten megabytes
MOST_RUNS = 12  # beside each other
KINDS = {"differ": "the runs disagree", "wrong": "all are wrong", "right": "all are right"}
Answer = Mapping[Hashable, Any]  # a row of `ComparedRun.tested`
PLAIN = Preprocessing(SIDE, (0.0,) * 3, (1.0,) * 3, "bilinear", 0.875)  # of a run that has kept no maps
OF_THE_NETWORK = ("size", "mean", "std", "interpolation", "steps")  # what of it does not change which part is seen


@dataclass(frozen=True)
class SharedPhoto:
    """A photo with the answers that it got.

    Args:
        digest: of its bytes, or its path where they are not known.
        true: its class.
        answers: by the number of the run.
    """

    digest: str
    true: str
    answers: Mapping[int, Answer] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """A key of KINDS."""
        named = {row["predicted"] for row in self.answers.values()}
        return "differ" if len(named) > 1 else "right" if self.true in named else "wrong"


def shared_photos(runs: Sequence[ComparedRun]) -> list[SharedPhoto]:
    """Every photo that some run was tested on, with the answers of all that were: those first on which the runs
    disagree, then those that all get wrong; in each the photos of the most runs, and the classes in turn."""
    answers: dict[tuple[str, str], dict[int, Answer]] = defaultdict(dict)
    for number, run in enumerate(runs):
        if run.tested is not None:
            for row in run.tested.to_dict("records"):
                answers[row["path"], row["class"]][number] = row
    photos = [SharedPhoto(*key, rows) for key, rows in answers.items()]
    mapped = [set(_rows_of_maps(run)) for run in runs]
    ranked = sorted(
        photos,
        key=lambda photo: (
            [*KINDS].index(photo.kind),
            -len(photo.answers),
            -sum(row["file"] in mapped[number] for number, row in photo.answers.items()),
            hashlib.sha256(photo.digest.encode()).hexdigest(),
        ),
    )
    turns: Counter[tuple] = Counter()
    order = list[tuple]()
    for photo in ranked:
        group = [*KINDS].index(photo.kind), -len(photo.answers)
        turns[*group, photo.true] += 1
        order.append((*group, turns[*group, photo.true]))
    return [ranked[number] for number in sorted(range(len(ranked)), key=order.__getitem__)]


def photos_chapter(runs: Sequence[ComparedRun], names: Sequence[str], most: int) -> Chapter:
    """The photos with a view a run, one at a time; what is not there is said.

    Args:
        runs: in order, the first MOST_RUNS of which are shown.
        names: of these runs.
        most: photos.
    """
    chapter = Chapter("The same photos in all runs")
    left, runs, names = len(runs) - MOST_RUNS, runs[:MOST_RUNS], names[:MOST_RUNS]
    photos = shared_photos(runs)
    room = min(most, MOST_VIEWS // max(1, len(runs)))
    source = _Photos(runs)
    cards = list[PhotoCard]()
    unread = 0
    for photo in photos:
        if len(cards) == room:
            break
        card = _card(photo, names, source)
        cards += [card] if card else []
        unread += card is None
    if not photos:
        chapter.add_text("No run has left its answers on this machine: there are no photos to show.")
        return chapter
    kinds = Counter(photo.kind for photo in photos)
    chapter.add_text(
        f"{counted(len(photos), 'photo')} were tested: the runs disagree on {kinds['differ']}, all are wrong on "
        f"{kinds['wrong']} and all are right on {kinds['right']}. Shown are {len(cards)}, those first on which they "
        "disagree, the classes in turn. Arrow keys turn the pages. Red is what speaks for a run's answer, scaled to "
        "its own hottest spot; the slider fades it.",
        style="soft",
    )
    if left > 0:
        chapter.add_warning(f"The first {MOST_RUNS} runs are shown; {left} more are only in the tables.")
    if unread:
        chapter.add_warning(f"{counted(unread, 'photo')} could not be shown: they are not where they were, or changed.")
    of = list(zip(runs, names, strict=True))
    for missing, words in (
        ([name for run, name in of if run.tested is None], "answers"),
        ([name for run, name in of if run.tested is not None and run.maps is None], "heat-maps"),
    ):
        if missing:
            chapter.add_warning(f"Of {few_of(missing)} no {words} lie on this machine: they are left out.")
    if cards:
        chapter.add_widget(fader(cards, KINDS, paged=True, strength=50))
    return chapter


def _rows_of_maps(run: ComparedRun) -> dict[str, int]:
    """By path in the run's folder of photos, the rows of its maps."""
    return {} if run.maps is None else {path: row for row, path in enumerate(run.maps.table["path"])}


def _card(photo: SharedPhoto, names: Sequence[str], source: "_Photos") -> PhotoCard | None:
    """None where no run's folder holds the photo any more."""
    views, common = list[View](), ""
    for number, row in photo.answers.items():
        if not (address := source.address(number, row)):
            continue
        common = common or address
        heat = source.heat(number, row["file"])
        views.append(
            View(
                f"{called(row, 'predicted')} {row['probability']:.0%}", called(row, "predicted"), heat,
                right=row["predicted"] == photo.true, photo="" if address == common else address, of=names[number],
                note="" if heat else "no heat-map kept",
            )
        )  # fmt: skip
    first = next(iter(photo.answers.values()))
    return PhotoCard(first["file"], common, views, photo.kind, f"true: {called(first, 'class')}") if views else None


def called(row: Answer, column: str) -> str:
    """What people call the class in a column, where the run knows it."""
    return str(row.get(f"{column}_name", row[column]))


class _Photos:
    """Photos and maps of several runs as addresses; each photo is read once for all runs that cut it alike."""

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        self.runs = runs
        self._roots = [_root_of(run) for run in runs]
        self._cuts = [_cut_of(run) for run in runs]
        self._rows = [_rows_of_maps(run) for run in runs]
        self._known: dict[tuple[str, str], str] = {}

    def address(self, number: int, row: Answer) -> str:
        """Of the photo as the run sees it; empty where it is not there, or is not what was tested."""
        root, cut = self._roots[number], self._cuts[number]
        part = {key: value for key, value in cut.as_dict().items() if key not in OF_THE_NETWORK}
        key = row["path"], json.dumps(part, sort_keys=True)
        if key not in self._known and root is not None:
            try:
                read = read_photo(root / row["file"], replace(cut, size=SIDE))
            except (RefusedImage, OSError):
                return ""
            if row["path"] not in (read.sha256, row["file"]):
                return ""
            self._known[key] = photo_address(read.view)
        return self._known.get(key, "")

    def heat(self, number: int, file: str) -> str:
        """Of the run's map of the photo; empty where it has kept none."""
        row, maps = self._rows[number].get(file), self.runs[number].maps
        return "" if row is None or maps is None else heat_address(maps.maps[row])


def _root_of(run: ComparedRun) -> Path | None:
    try:
        return photos_root(run.folder) if run.folder else None
    except (OSError, BadInput, KeyError):
        return None


def _cut_of(run: ComparedRun) -> Preprocessing:
    """How the run cuts its view out of a photo."""
    file = run.folder / "gradcam" / "seen_as.json" if run.folder else None
    if file is None or not file.is_file():
        return PLAIN
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    values |= {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Preprocessing(**values)
