"""Photos under heat-maps that a slider fades in: many at a time, or one after the other, each seen by several."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files

from markupsafe import Markup

from .page import Widget


@dataclass(frozen=True)
class View:
    """A photo under one map.

    Args:
        words: below the picture, e.g. the answer.
        name: of the class that the map speaks for.
        heat: data address of the map as a picture that is clear where the map is cold; empty where there is no map.
        right: whether `words` are a right answer; None where they are none, or nobody knows.
        photo: data address, where the view is of another cut than the card's photo.
        of: stands above the picture: whose view it is.
        note: a remark below the words.
    """

    words: str
    name: str = ""
    heat: str = ""
    right: bool | None = None
    photo: str = ""
    of: str = ""
    note: str = ""


@dataclass(frozen=True)
class PhotoCard:
    """A photo in one view or more, beside each other.

    Args:
        path: of the photo, for people.
        photo: data address.
        views: in the order in which they are shown.
        kind: a key of `fader`'s `kinds`, by which a reader chooses what is shown.
        caption: behind the path.
    """

    path: str
    photo: str
    views: Sequence[View]
    kind: str = ""
    caption: str = ""


def fader(cards: Sequence[PhotoCard], kinds: Mapping[str, str], *, paged: bool = False, strength: int = 0) -> Widget:
    """The cards, and the slider for all of them.

    Args:
        cards: in order.
        kinds: kinds of cards, each with the words under which it is chosen.
        paged: one card at a time, with buttons and arrow keys for the next and the one before.
        strength: of the heat when the page is opened, in percent.
    """
    source = files("fishnet.page")
    markup, script, style = (source.joinpath(f"fader.{kind}").read_text("utf-8") for kind in ("html", "js", "css"))
    data = {"cards": [_filled(card) for card in cards], "kinds": dict(kinds), "paged": paged, "strength": strength}
    return Widget(Markup(markup), script, style, data)


def _filled(card: PhotoCard) -> dict[str, object]:
    """Without empty fields, of which a page of many photos would have thousands."""
    views = [{key: value for key, value in asdict(view).items() if value not in ("", None)} for view in card.views]
    return {"path": card.path, "photo": card.photo, "kind": card.kind, "caption": card.caption, "views": views}
