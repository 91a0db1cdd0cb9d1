"""One file for equal bytes: kept once with everybody's name, never under two labels, and never a notice's picture.

All of it follows from the ledger, whatever the order in which the photos came.
"""

from collections.abc import Iterator
from itertools import groupby
from sqlite3 import Row

from fishnet.collect.ledger import COPY, KEPT, REFUSED, Ledger
from fishnet.collect.photo import is_numbered

NOTICE_OBSERVERS = 3  # people do not take one picture three times to the last bit: it is a notice, not a photo
TWO_CLASSES = "the same photo under two classes"
NOTICE = "flagged: a notice is served in its place"


def settle(ledger: Ledger) -> list[str]:
    """Writes the fates of copies, and returns the files that have to go."""
    shared = [(row, REFUSED, TWO_CLASSES) for row in ledger.in_several_classes()]
    verdicts = [*_verdicts(ledger), *shared]
    gone = [f"{row['folder']}/{row['file']}" for row, _, _ in verdicts if row["fate"] == KEPT]
    ledger.end_many((row["folder"], row["photo_id"], fate, reason) for row, fate, reason in verdicts)
    return gone


def _verdicts(ledger: Ledger) -> Iterator[tuple[Row, str, str]]:
    for _, group in groupby(ledger.same_bytes(), key=lambda row: row["sha256"]):
        rows = list(group)
        live = [row for row in rows if row["fate"] != REFUSED]
        if len({_whose(row) for row in rows}) >= NOTICE_OBSERVERS:
            yield from ((row, REFUSED, NOTICE) for row in live)
        elif len({row["folder"] for row in rows}) > 1:
            yield from ((row, REFUSED, TWO_CLASSES) for row in live)
        elif live and live[0]["fate"] == KEPT:
            said = f"the same bytes as {live[0]['photo_id']}"
            yield from ((row, COPY, said) for row in live[1:] if row["fate"] == KEPT)


def _whose(row: Row) -> str:
    """Without an observer a photo of its own number is somebody's; many addresses of one file are nobody's."""
    return row["observer"] or (row["photo_id"] if is_numbered(row["url"]) else "")


def copies_of(ledger: Ledger) -> dict[tuple[str, str], list[Row]]:
    """The copies of each kept photo, for its attribution."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in ledger.photos(COPY):
        found.setdefault((row["folder"], row["sha256"]), []).append(row)
    return found
