"""What a Camtrap DP package says of photos before a model is asked: media, deployments, and what has to be asked for.

Of photos that come from a package, deployments and media stay what they are, with their ids. For any other photo the
format asks for more than a photo tells. A deployment is made of all photos of one place; its place is asked for where
neither the manifest nor the user knows it, its start and end are those of the first and the last photo unless they are
given, and a clock whose zone is not known is written as UTC with `timestampIssues`, which the format has for it.
"""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as offset
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd

from fishnet.data.camtrap import Package, Row
from fishnet.data.camtrap_passing import (
    check_files,
    kind_of,
    passed_about,
    passed_deployment,
    passed_medium,
    path_inside,
    written,
)
from fishnet.data.clocks import times_of
from fishnet.errors import BadInput
from fishnet.exif import capture
from fishnet.headers import RefusedImage, read_header
from fishnet.images import read_bytes
from fishnet.ranges import Within
from fishnet.text import counted, few_of

_log = logging.getLogger("fishnet")
NO_TIME = "the time is not known, and is that of the start of the deployment"
ONLY_DAY = "only the day is known"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Photo(NamedTuple):
    """A photo as it will stand in the package; `row` is its number among those that were given."""

    row: int
    source: Path
    media: Row
    event: str


@dataclass(frozen=True)
class Plan:
    """Whatever of a package is known before a photo is answered."""

    photos: list[Photo]
    deployments: list[Row]
    about: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What the user says of the camera of photos that come from no package.

    Args:
        latitude: of photos whose manifest has no `lat`.
        longitude: of photos whose manifest has no `lon`.
        start: when the camera was put up.
        end: when it was taken away.
        timezone: of its clock, such as `+02:00`.
    """

    latitude: Annotated[float, Within(-90, 90)] | None = None
    longitude: Annotated[float, Within(-180, 180)] | None = None
    start: str | None = None
    end: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None and not re.fullmatch(r"Z|[+-](0\d|1[0-4]):[0-5]\d", self.timezone):
            raise BadInput(f"camtrap.timezone={self.timezone}: this is Z or hours and minutes, such as +02:00.")
        for key in ("start", "end"):
            text = getattr(self, key)
            if text is not None and _parsed(text) is None:
                raise BadInput(f"camtrap.{key}={text}: this is a date and a time, such as 2024-05-01T10:00:00.")
        if self.started and self.ended and self.started > self.ended:
            raise BadInput(f"camtrap.start={self.start} is later than camtrap.end={self.end}.")

    @property
    def started(self) -> datetime | None:
        return self.zoned(datetime.fromisoformat(self.start)) if self.start else None

    @property
    def ended(self) -> datetime | None:
        return self.zoned(datetime.fromisoformat(self.end)) if self.end else None

    def zoned(self, time: datetime) -> datetime:
        """A time with its own zone, or with the camera's; UTC where neither is known."""
        time = time.replace(microsecond=0)
        return time if time.tzinfo else time.replace(tzinfo=self._zone)

    @property
    def _zone(self) -> tzinfo:
        if self.timezone is None or self.timezone == "Z":
            return UTC
        hours, minutes = map(int, self.timezone[1:].split(":"))
        return offset((1 if self.timezone[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def planned(folder: Path, table: pd.DataFrame, package: Package | None, camera: Camera) -> Plan:
    """The media and deployments of a package of these photos; BadInput for what the format asks for and nobody knows.

    Args:
        folder: that the paths of the table are in.
        table: `path`, and what a manifest or the package says of each photo.
        package: that the photos come from.
        camera: what the user says of photos that come from none.
    """
    return _of_package(table, package) if package else _of_loose_photos(folder, table, camera)


def _of_package(table: pd.DataFrame, package: Package) -> Plan:
    media = {row["mediaID"]: row for row in package.media}
    photos = [
        Photo(number, package.folder / path, passed_medium(package, media[name]), event)
        for number, (path, name, event) in enumerate(
            zip(table["path"], table["media_id"], table["event_id"], strict=True)
        )
    ]
    used = {photo.media["deploymentID"] for photo in photos}
    if unknown := sorted(used - {*package.deployments}):
        raise BadInput(f"{package.file}: media are of deployments that are not there: {few_of(unknown, 3)}.")
    deployments = [passed_deployment(package, row) for name, row in package.deployments.items() if name in used]
    check_files(package, [photo.media for photo in photos])
    name = str(package.about.get("name") or package.folder.name)
    return Plan(photos, deployments, passed_about(package.about) | {"name": name})


def _of_loose_photos(folder: Path, table: pd.DataFrame, camera: Camera) -> Plan:
    places = _places(table, camera)
    named = times_of(pd.Series([f"/{path}" for path in table["path"]]))["seconds"].tolist()
    photos, undated, unreadable = list[Photo](), list[str](), 0
    doubtful: set[str] = set()  # deployments whose times are not all known
    for number, row in enumerate(table.to_dict("records")):
        source, place = folder / row["path"], places[number]
        data, exif = _bytes_and_clock(source)
        time, note = _time(exif, named[number], str(row.get("taken_on", "")), camera)
        if time is None:
            unreadable += not data
            undated += [row["path"]] if data else []
            continue
        if note or (time.tzinfo is None and camera.timezone is None):
            doubtful.add(place.name)
        photos.append(Photo(number, source, _media(row["path"], data, place, camera.zoned(time), note), ""))
    if undated:
        raise BadInput(
            f"Camtrap DP asks for the time of each photo, and {counted(len(undated), 'photo')} (such as {undated[0]}) "
            "tell none by EXIF, by name or by taken_on in manifest.csv: say camtrap.start=…, which is then written for "
            "them with a note."
        )
    if not photos:
        raise BadInput("No photo can be written into a package: none of them can be read.")
    if unreadable:
        _log.warning("Left out of the package: %s that cannot be read.", counted(unreadable, "photo"))
    taken: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        taken[photo.media["deploymentID"]].append(photo.media["timestamp"])
    by_name = {place.name: place for place in places}
    deployments = [_deployment(by_name[name], taken[name], camera, name in doubtful) for name in taken]
    return Plan(photos, deployments, {"name": folder.absolute().name})


def _bytes_and_clock(source: Path) -> tuple[bytes, str]:
    """The bytes of a photo and the time in its EXIF block; empty where it cannot be read."""
    try:
        data = read_bytes(source)
        return data, capture(read_header(data).exif).taken
    except RefusedImage:
        return b"", ""


class Place(NamedTuple):
    """Where a camera was: the deployment of all photos of one place."""

    name: str
    latitude: float
    longitude: float


def _places(table: pd.DataFrame, camera: Camera) -> list[Place]:
    """The place of each photo: that of its row in the manifest, else the user's."""
    places, unknown = list[Place](), 0
    for row in table.to_dict("records"):
        latitude, longitude = _degrees(row.get("lat"), 90), _degrees(row.get("lon"), 180)
        if latitude is None or longitude is None:
            latitude, longitude = camera.latitude, camera.longitude
        if latitude is None or longitude is None:
            unknown += 1
            continue
        digest = hashlib.sha256(f"{latitude} {longitude}".encode()).hexdigest()[:12]
        places.append(Place(str(row.get("deployment_id") or f"place-{digest}"), latitude, longitude))
    if unknown:
        raise BadInput(
            f"Camtrap DP asks for the place of each camera, and of {counted(unknown, 'photo')} it is not known: say "
            "camtrap.latitude=… and camtrap.longitude=…, or fill lat and lon in the manifest.csv beside the photos."
        )
    by_name: dict[str, Place] = {}
    for place in places:  # photos of one deployment have one place, the first of them
        by_name.setdefault(place.name, place)
    return [by_name[place.name] for place in places]


def _degrees(text: object, most: float) -> float | None:
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if -most <= value <= most else None


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _time(exif: str, named: float, taken_on: str, camera: Camera) -> tuple[datetime | None, str]:
    """When a photo was taken, as its camera's clock or its name tells, and a note where that is not the time."""
    for text in (exif, datetime.fromtimestamp(named, UTC).replace(tzinfo=None).isoformat() if named == named else ""):
        if (time := _parsed(text)) is not None:
            return time, ""
    if (time := _parsed(taken_on)) is not None:
        return time, ONLY_DAY if _DAY.fullmatch(taken_on) else ""
    return (camera.started, NO_TIME) if camera.started else (None, "")


def _media(path: str, data: bytes, place: Place, time: datetime, note: str) -> Row:
    """A row of media of a photo that comes from no package; its id follows from its path and its bytes."""
    name = hashlib.sha256(path.encode() + b"\0" + hashlib.sha256(data).digest()).hexdigest()[:20]
    return {
        "mediaID": name,
        "deploymentID": place.name,
        "timestamp": written(time),
        "filePath": path_inside(f"media/{path}", name),
        "filePublic": "false",
        "fileName": path.rpartition("/")[2],
        "fileMediatype": kind_of(path),
        "mediaComments": note,
    }


def _deployment(place: Place, times: Sequence[str], camera: Camera, doubtful: bool) -> Row:
    """A row of deployments: from the start to the end that are given, else from the first photo to the last."""
    taken = [datetime.fromisoformat(time) for time in times]
    start, end = camera.started or min(taken), camera.ended or max(taken)
    if start > min(taken) or end < max(taken):
        raise BadInput(
            f"camtrap.start and camtrap.end leave out photos, which were taken from {written(min(taken))} to "
            f"{written(max(taken))}."
        )
    filled = [name for name, given in (("start", camera.start), ("end", camera.end)) if given is None]
    return {
        "deploymentID": place.name,
        "latitude": str(place.latitude),
        "longitude": str(place.longitude),
        "deploymentStart": written(start),
        "deploymentEnd": written(end),
        "timestampIssues": "true" if doubtful else "false",
        "deploymentComments": f"{' and '.join(filled)} by the times of the photos" if filled else "",
    }
