"""What came of a command: found, kept, refused and why, a row a class."""

from dataclasses import dataclass
from pathlib import Path

from fishnet.collect.ledger import COPY, DELETED, FAILED, KEPT, REFUSED, WAITING, WITHDRAWN, Ledger
from fishnet.collect.manifest import NOT_KEPT
from fishnet.errors import WorkFailed
from fishnet.text import counted


@dataclass(frozen=True)
class ClassResult:
    folder: str
    name: str
    found: int
    kept: int
    refused: int
    reasons: dict[str, int]
    told: str


@dataclass(frozen=True)
class Result:
    """`classes` are all that the folder holds, `asked` those of this command."""

    root: Path
    classes: list[ClassResult]
    asked: frozenset[str]
    refused: Path
    failed: int

    def check(self) -> None:
        """A class without a photo is a failure, whether nothing was found or nothing could be kept."""
        said = [_missing(one) for one in self.classes if one.folder in self.asked and not one.kept]
        if said:
            raise WorkFailed(f"{'; '.join(said)}.")


def _missing(one: ClassResult) -> str:
    if not one.found:
        told = f": {one.told}" if one.told else ""
        return f"nothing was found of {one.name} with these filters (licences, quality, place, dates){told}"
    why = next(iter(one.reasons), "unknown")
    return f"of {one.name}, none of {counted(one.found, 'photo')} could be kept (most often: {why})"


def result_of(ledger: Ledger, root: Path, asked: frozenset[str]) -> Result:
    every = (WAITING, KEPT, REFUSED, FAILED, COPY, DELETED, WITHDRAWN)
    classes = [
        ClassResult(
            folder=folder,
            name=taxon.name,
            found=ledger.count(folder, *every),
            kept=ledger.count(folder, KEPT),
            refused=ledger.count(folder, REFUSED, FAILED, COPY, DELETED, WITHDRAWN),
            reasons=ledger.reasons(folder),
            told=ledger.told(folder),
        )
        for folder, taxon in ledger.classes().items()
    ]
    failed = sum(ledger.count(one.folder, FAILED) for one in classes)
    return Result(root, classes, asked, ledger.file.with_name(NOT_KEPT), failed)
