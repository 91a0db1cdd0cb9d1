"""Who shows how far a collection has come."""

from typing import Protocol


class Watcher(Protocol):
    """A line each for what is named: a class folder, or a table that is brought here or made."""

    def listing(self, name: str, found: int) -> None: ...

    def fetching(self, name: str, kept: int, wanted: int | None) -> None:
        """`wanted` is None where nobody knows how much it will be."""

    def fetched(self, name: str, kept: bool) -> None: ...


class Nobody(Watcher):
    """For a collection that nobody looks at."""

    def listing(self, name: str, found: int) -> None: ...

    def fetching(self, name: str, kept: int, wanted: int | None) -> None: ...

    def fetched(self, name: str, kept: bool) -> None: ...
