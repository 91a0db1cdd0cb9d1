"""Which loose photos are answered together, and which of several commands answers them.

Photos of one observation have one answer. Observations are put into blocks of about one batch, whatever the number of
parts: a block is asked about in one go, by whichever command, so that its answers are the same to the last digit.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fishnet.data.camtrap import is_package, package_photos
from fishnet.data.listing import find_photos
from fishnet.data.manifest import comparable, read_manifest
from fishnet.data.packed import StreamSource, is_stream
from fishnet.data.subjects import stated_keys
from fishnet.errors import BadInput

READERS = 8  # photos of a stream that are waited for at a time


class LoosePhotos(NamedTuple):
    """Photos from anywhere: `table` has their `path` below `folder`, and what a manifest or a package says of them.

    Those of a `stream` are no files.
    """

    folder: Path
    table: pd.DataFrame
    stream: StreamSource | None = None

    @property
    def files(self) -> list[Path]:
        return [self.folder / path for path in self.table["path"]]

    @property
    def names(self) -> list[str]:
        """What people call them: the files, or the address of the stream with the path behind it."""
        if self.stream is not None:
            return [f"{self.stream.given.rstrip('/')}/{path}" for path in self.table["path"]]
        return [str(file) for file in self.files]

    @property
    def digest(self) -> str:
        """Of which photos these are: their paths with their sizes, or, of a stream, with their digests."""
        if self.stream is not None:
            photos = self.stream.photos
            about = photos.loc[photos["chunk"] >= 0, ["path", "sha256"]].to_numpy().tolist()
        else:
            about = [[path, _size(file)] for path, file in zip(self.table["path"], self.files, strict=True)]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def read(self, rows: Sequence[int]) -> list[Path] | list[bytes]:
        """The photos' files, or their bytes where they are none."""
        paths = [self.table["path"].iloc[row] for row in rows]
        if self.stream is None:
            return [self.folder / path for path in paths]
        with ThreadPoolExecutor(READERS) as readers:  # an object store is far away
            return list(readers.map(self.stream.photo, paths))


class Observation(NamedTuple):
    """Photos, by row, that are answered together."""

    name: str
    photos: list[int]


class Part(NamedTuple):
    """The part that one of several commands answers, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def share(self, count: int) -> range:
        """Its positions among so many: consecutive ones, as many as any other part has, or one more or fewer."""
        return range(count * (self.number - 1) // self.of, count * self.number // self.of)


def _size(file: Path) -> int:
    """0 where there is no such file. Its time is left out: copies on several machines differ in that."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def loose_photos(images: str | Path) -> LoosePhotos:
    """The photos of `find_photos`, or those of a Camtrap DP package, whose datapackage.json is named.

    The table has the columns of the `manifest.csv` that lies beside them, as text; photos of a pattern or a list are
    named from the folder that holds all of them.
    """
    if is_stream(images):
        stream = StreamSource(str(images))
        packed = stream.photos.loc[stream.photos["chunk"] >= 0, ["path"]].reset_index(drop=True)
        return LoosePhotos(stream.root, _with_manifest(packed, stream.root), stream)
    path = Path(images).expanduser()
    if is_package(path):
        return LoosePhotos(path.parent, pd.DataFrame(package_photos(path), dtype=object))
    photos, folder = find_photos(path), path
    if not os.path.isdir(path):
        if len({photo.is_absolute() for photo in photos}) > 1 or any(".." in photo.parts for photo in photos):
            photos = [photo.absolute() for photo in photos]
        folder = Path(os.path.commonpath([photo.parent for photo in photos]))
    table = pd.DataFrame({"path": [photo.relative_to(folder).as_posix() for photo in photos]}, dtype=object)
    return LoosePhotos(folder, _with_manifest(table, folder))


def _with_manifest(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return table
    rows = read_manifest(manifest)
    rows = rows.set_index(rows.pop("path").map(comparable))
    rows = rows[~rows.index.duplicated()].reindex(table["path"].map(comparable)).fillna("").reset_index(drop=True)
    return pd.concat([table, rows], axis=1)


def observations(table: pd.DataFrame, by: str | None) -> list[Observation]:
    """The photos that have one value of a column, or of a pattern in their names, in the order of their first photo.

    Without `by`, and where a photo has no value, it is an observation of its own, and its path is its name.
    """
    paths = table["path"].tolist()
    if by is None:
        return [Observation(path, [row]) for row, path in enumerate(paths)]
    found: dict[tuple[bool, str], list[int]] = {}
    for row, key in enumerate(stated_keys(table, by, "by")[0].tolist()):
        found.setdefault((bool(key), key or paths[row]), []).append(row)
    return [Observation(name, rows) for (_, name), rows in found.items()]


def blocks_of(found: Sequence[Observation], size: int) -> list[list[Observation]]:
    """The observations in their order, in blocks of at most `size` photos; a larger observation is a block."""
    blocks: list[list[Observation]] = []
    photos = size
    for observation in found:
        if photos + len(observation.photos) > size:
            blocks.append([])
            photos = 0
        blocks[-1].append(observation)
        photos += len(observation.photos)
    return blocks


def part_of(text: str) -> Part:
    """`2/4`: the second of four."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    part = Part(*map(int, match.groups())) if match else Part(0, 0)
    if not 1 <= part.number <= part.of:
        raise BadInput(f"part={text}: this is i/n, such as part=2/4 for the second of four.")
    return part


def blocks_of_part(blocks: Sequence[Sequence[Observation]], part: Part) -> range:
    """The numbers of the part's blocks: consecutive ones that hold about as many photos as those of any other part."""
    sizes = [sum(len(observation.photos) for observation in block) for block in blocks]
    total, before, owners = sum(sizes), 0, list[int]()
    for size in sizes:
        owners.append(before * part.of // total + 1)
        before += size
    own = [number for number, owner in enumerate(owners) if owner == part.number]
    return range(own[0], own[-1] + 1) if own else range(0)
