"""A page of photos under their heat-maps, with a slider that fades the red from nothing; and the same side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from fishnet.data.class_names import ClassNames
from fishnet.page.fader import PhotoCard, View, fader
from fishnet.page.figures import data_address
from fishnet.page.page import Chapter

from .overlay import DARK, LIGHT, SMALLEST, draw_half, heat, overlay
from .scores import Score

STEPS = 32  # of red: few enough to pack well, and too many to be seen


@dataclass(frozen=True)
class ClassMap:
    """What of a photo speaks for a class.

    Args:
        name: of the class.
        probability: that the model gives it.
        values: the raw map.
    """

    name: str
    probability: float
    values: np.ndarray

    def words(self, name: str) -> str:
        """With the class called so."""
        return f"{name} {self.probability:.0%}"


@dataclass(frozen=True)
class Card:
    """A photo with one map or more.

    Args:
        path: of the photo, for people.
        photo: (side, side, 3) bytes, as the model sees it.
        true: its class; None where nobody knows.
        maps: the answer's, then the true class's where that is another.
        called: what people call the classes.
    """

    path: str
    photo: np.ndarray
    true: str | None
    maps: Sequence[ClassMap]
    called: ClassNames = field(default_factory=ClassNames)

    @property
    def right(self) -> bool | None:
        return None if self.true is None else self.true == self.maps[0].name


def photo_card(card: Card) -> PhotoCard:
    """The card as the page's widget takes it."""
    of_answer, full = "" if card.right is None else "answer: ", card.called.full
    before = [of_answer, *["true: "] * (len(card.maps) - 1)]
    views = [
        View(text + m.words(full(m.name)), full(m.name), heat_address(m.values), card.right if number == 0 else None)
        for number, (text, m) in enumerate(zip(before, card.maps, strict=True))
    ]
    kind = {None: "", True: "right", False: "wrong"}[card.right]
    return PhotoCard(card.path, photo_address(card.photo), views, kind)


def photo_address(photo: np.ndarray) -> str:
    """A JPEG that is large enough to be looked at."""
    image = Image.fromarray(photo)
    if max(image.size) < SMALLEST:
        image = image.resize((SMALLEST, SMALLEST), Image.Resampling.BICUBIC)
    file = BytesIO()
    image.save(file, format="JPEG", quality=85)
    return data_address(file.getvalue(), "image/jpeg")


def heat_address(values: np.ndarray) -> str:
    """The map as a red picture that is clear where the map is cold, as large as pages show it: a line that is enlarged
    is a thick one."""
    warmth = heat(values, (SMALLEST, SMALLEST))
    numbers = (warmth * (STEPS - 1)).round().astype(np.uint8)
    draw_half(numbers, warmth, dark=(STEPS,), light=(STEPS + 1,))
    picture = Image.fromarray(numbers, "P")
    picture.putpalette([*(255, 0, 0) * STEPS, *DARK, *LIGHT])
    opacity = np.append(np.linspace(0, 255, STEPS).round(), [255, 255]).astype(np.uint8)
    file = BytesIO()
    picture.save(file, format="PNG", optimize=True, transparency=opacity.tobytes())
    return data_address(file.getvalue(), "image/png")


def side_by_side(card: Card) -> list[Image.Image]:
    """The photo as it is, then under each map."""
    plain = overlay(card.photo, np.zeros((1, 1), np.float32))
    return [plain, *(overlay(card.photo, each.values) for each in card.maps)]


def cards_chapter(cards: Sequence[Card], title: str = "Photos and maps") -> Chapter:
    """The photos, with a sentence on how to read them."""
    chapter = Chapter(title)
    chapter.add_text(
        "Red is what speaks for the class below the picture; each map is scaled to its own hottest spot, and its line "
        "runs at half of that. Move the slider: without the red one sees the markings. A wrong answer stands beside "
        "the map of the true class.",
        style="soft",
    )
    kinds = {"wrong": "wrong answers", "right": "right answers"}
    chapter.add_widget(fader([photo_card(card) for card in cards], kinds))
    return chapter


def scores_chapter(scores: Mapping[str, Score]) -> Chapter:
    """The figures of maps whose animals are known."""
    chapter = Chapter("How right are the maps?")
    chapter.add_text(
        "Held against where the animals are. A map that is honest about a network that looks beside the animal scores "
        "low: the figures compare maps, and do not judge the network.",
        style="soft",
    )
    rows = [
        (score.says, score.value, "{:.3f} to {:.3f}".format(*score.ends) if score.ends else "–", score.chance)
        for score in scores.values()
    ]
    chapter.add_table(["figure", "value", "95 %", "chance"], rows, numeric={1, 2, 3})
    return chapter
