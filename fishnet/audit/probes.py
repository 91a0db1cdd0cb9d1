"""Blind probes: how much of the label can be predicted, before any training, from what is not the animal.

Each probe looks at one thing beside the animal and is asked for the class of photos of groups that it has not seen.
Something can be told of almost every folder, so that nothing is alarming by itself: a class stands out where hardly any
copy of this very folder, with permuted labels, has a class that stands out as far, and where it is enough to matter.
Probes that see the animal only report. What a probe tells goes with the class in this folder; whether a model uses it
is another question.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fishnet.data.cache import Decoded
from fishnet.data.conditions import whole_groups
from fishnet.data.findings import Finding, Folder
from fishnet.data.store import Stored
from fishnet.progress import with_progress

from . import surroundings
from .circumstances import file_coding, file_density, metadata
from .information import Information, usable_information

MOST = 6000  # photos, of whole groups: enough for the small classes of a folder of a hundred
FEWEST = 5  # groups of a class, one a fold
RARE = 0.01  # of the all-alike copies have a class that stands out as far
WORTH = 0.1  # bits a photo of the class: of two classes, told right for 65 photos of 100 instead of 50
LEADING = 0.5  # of the bits of the class that stands out most: who has less stands out by not being that class
SHOWN = 4  # classes that a line names
COLUMNS = (
    *("probe", "class", "photos", "bits", "low", "accuracy"),
    *("guessing", "likeness", "alarm", "prior", "sees_animal"),
)

Look = Callable[[np.ndarray, np.ndarray], np.ndarray]
Images = Sequence[np.ndarray] | Decoded | Stored


@dataclass(frozen=True)
class Probe:
    """What is looked at. `prior` is why it should not name a class: C position and low level, B environment."""

    name: str
    prior: str
    sees_animal: bool = False


LOOKS: tuple[tuple[Probe, Look], ...] = (
    (Probe("border ring", "C"), surroundings.border_ring),
    (Probe("outside colour", "C"), surroundings.outside_colour),
    (Probe("outside texture", "C"), surroundings.outside_texture),
    (Probe("grey thumbnail", "C", sees_animal=True), surroundings.grey_thumbnail),
    (Probe("colour thumbnail", "C", sees_animal=True), surroundings.colour_thumbnail),
)
FILE = Probe("file coding", "C")
DENSITY = Probe("bytes a pixel", "C", sees_animal=True)


def probe_folder(
    folder: Folder,
    images: Callable[[np.ndarray], Images],
    *,
    masks: Callable[[int], np.ndarray] | None = None,
) -> pd.DataFrame:
    """A row for each probe and class, and for all classes together (empty `class`), with COLUMNS.

    Args:
        folder: as the checks see it.
        images: from rows of its table to their photos, height × width × 3 bytes, in the same order.
        masks: from a row to where the animal is (booleans, as high and wide as the photo); else the central ellipse
            is taken.
    """
    rows = probed_rows(folder)
    if not len(rows):
        return pd.DataFrame(columns=list(COLUMNS))
    names, label = np.unique(folder.table["class"].to_numpy(object)[rows], return_inverse=True)
    groups = folder.groups[rows]
    tables = [
        as_rows(probe, usable_information(values, label, groups), names, np.bincount(label))
        for probe, values in _values(folder, rows, images, masks)
        if differs(values)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def probed_rows(folder: Folder) -> np.ndarray:
    """Rows of classes with FEWEST groups or more, whole groups drawn by lot; none where fewer than two classes have."""
    rows = whole_groups(folder.groups, MOST)
    groups = pd.DataFrame({"class": folder.table["class"].to_numpy(object)[rows], "group": folder.groups[rows]})
    counts = groups.groupby("class")["group"].nunique()
    large = counts.index[counts >= FEWEST]
    return rows[groups["class"].isin(large)] if len(large) > 1 else rows[:0]


def as_rows(probe: Probe, information: Information, names: np.ndarray, photos: np.ndarray) -> pd.DataFrame:
    """What a probe tells as rows of the table: all classes first."""
    alarms = standing_out(information) & (not probe.sees_animal)
    each = {
        "class": ["", *names],
        "photos": [photos.sum(), *photos],
        "bits": [information.bits, *information.class_bits],
        "low": [information.low, *information.class_low],
        "accuracy": [information.accuracy, *information.class_accuracy],
        "guessing": 1 / len(names),
        "likeness": [information.likeness.min(), *information.likeness],
        "alarm": [alarms.any(), *alarms],
    }
    about = {"probe": probe.name, "prior": probe.prior, "sees_animal": probe.sees_animal}
    return pd.DataFrame({**each, **about})[list(COLUMNS)]


def standing_out(information: Information) -> np.ndarray:
    """The classes that a probe names: as few copies of the folder do, worth knowing, and not only by contrast."""
    least = max(WORTH, LEADING * information.class_bits.max())
    return (information.likeness <= RARE) & (information.class_bits >= least)


def findings_of(table: pd.DataFrame) -> Iterator[Finding]:
    """A line a probe."""
    for name, rows in table.groupby("probe", sort=False):
        total, classes = rows.iloc[0], rows.iloc[1:]
        text = f"{name} alone names the class of {total.accuracy:.0%} of the photos, guessing {total.guessing:.0%}"
        text += f" ({round(total.bits, 2) + 0.0:.2f} bits a photo)"
        named = classes[classes["alarm"]].sort_values("bits", ascending=False, kind="stable")
        if total.sees_animal:
            text += "; it sees the animal, so this is no alarm"
        elif named.empty:
            usual = total.likeness > RARE
            text += "; " + (
                "no more than with shuffled labels" if usual else "more than with shuffled labels, but little"
            )
        else:
            words = [f"{row['class']} ({row['bits']:.2f} bits)" for _, row in named.head(SHOWN).iterrows()]
            more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
            text += f"; what stands out is {', '.join(words)}{more} [prior {total.prior}]"
        yield Finding("probe", "notes" if named.empty else "warns", text)


def differs(values: np.ndarray) -> bool:
    """Whether photos differ in these values at all."""
    return len(np.unique(values.astype(str))) > 1 if values.dtype == object else bool(np.ptp(values, axis=0).any())


def _values(
    folder: Folder, rows: np.ndarray, images: Callable, masks: Callable[[int], np.ndarray] | None
) -> Iterator[tuple[Probe, np.ndarray]]:
    """Each probe and what it looks at; photos are gone through once."""
    looked: list[list[np.ndarray]] = [[] for _ in LOOKS]
    free, filled = surroundings.outside_ellipse(), np.zeros(len(rows), bool)
    shown = with_progress(
        zip(rows.tolist(), images(rows), strict=True), len(rows), "probing photos", shown=folder.progress
    )
    for position, (row, image) in enumerate(shown):
        if masks is not None:
            free = surroundings.outside_mask(masks(row))
            filled[position] = not free.any()
        photo, around = surroundings.small_copy(image), free | filled[position]
        for numbers, (_, look) in zip(looked, LOOKS, strict=True):
            numbers.append(look(photo, around))
    for (probe, _), numbers in zip(LOOKS, looked, strict=True):
        values = np.stack(numbers)
        if not probe.sees_animal:  # photos that are all animal have nothing beside it: they carry no information
            values[filled] = 0 if filled.all() else values[~filled].mean(axis=0)
        yield probe, values
    part = folder.table.iloc[rows]
    yield FILE, file_coding(part, folder.root)
    yield DENSITY, file_density(part, folder.root)
    for name, words in metadata(folder, rows):
        yield Probe(name, "B"), words
