"""Camtrap DP, the exchange format of camera traps (https://camtrap-dp.tdwg.org): packages of version 1.0 are read here.

A package is a `datapackage.json` and three tables: deployments, media, observations. Observations are of one photo, or
of an event: then they are of each photo between its start and its end. Whoever sends a package may write anything into
it, so nothing is read outside its folder, and nothing is fetched.
"""

import csv
import json
import os
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fishnet.errors import BadInput
from fishnet.text import counted, few_of

TABLES = ("deployments", "media", "observations")
REQUIRED = {
    "deployments": ("deploymentID",),
    "media": ("mediaID", "deploymentID", "timestamp", "filePath"),
    "observations": ("deploymentID", "mediaID", "observationType", "scientificName"),
}
LARGEST_JSON, LARGEST_TABLE = 64 * 2**20, 4 * 2**30  # bytes
MOST_EVENTS = 1000  # of a photo
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_VERSION = re.compile(r"camtrap-dp/(?:[^/]*?)(\d+)\.(\d+)")
Row = dict[str, str]


@dataclass(frozen=True)
class Package:
    """A package as it is: what `datapackage.json` says, and the rows of its tables as text."""

    file: Path
    about: dict[str, Any]
    deployments: dict[str, Row]  # by deploymentID
    media: list[Row]
    observations: list[Row]

    @property
    def folder(self) -> Path:
        return self.file.parent


def is_address(path: str) -> bool:
    return _URL.match(path) is not None


def is_package(path: Path) -> bool:
    return path.suffix.lower() == ".json" and path.is_file()


# ---- reading


def read_about(file: Path) -> dict[str, Any]:
    """What `datapackage.json` says; BadInput for what is no Camtrap DP package of a version that is understood."""
    if file.stat().st_size > LARGEST_JSON:
        raise BadInput(f"{file} is larger than {LARGEST_JSON >> 20} MB: that is no datapackage.json.")
    try:
        about = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{file} cannot be read as JSON ({type(error).__name__}).") from error
    resources = about.get("resources") if isinstance(about, dict) else None
    if not isinstance(resources, list) or not all(isinstance(each, dict) for each in resources):
        raise BadInput(f"{file} is no datapackage.json: it lists no resources.")
    names = [each.get("name") for each in resources]
    if missing := [name for name in TABLES if name not in names]:
        raise BadInput(f"{file} is no Camtrap DP package: it has no resource {', '.join(missing)}.")
    version = _VERSION.search(str(about.get("profile", "")))
    if version and version[1] != "1":
        raise BadInput(f"{file} is Camtrap DP {version[1]}.{version[2]}; fishnet reads 1.0: convert it first.")
    return about


def read_package(file: Path) -> Package:
    """The package of a `datapackage.json`; a path that leaves its folder is refused."""
    about = read_about(file)
    tables = {name: _read_table(file, about, name) for name in TABLES}
    ids = Counter(row["mediaID"] for row in tables["media"])
    if repeated := [name for name, count in ids.items() if count > 1]:
        raise BadInput(f"{file}: the media have {few_of(repeated, 3)} twice: a mediaID stands for one file.")
    deployments = {row["deploymentID"]: row for row in tables["deployments"]}
    package = Package(file, about, deployments, tables["media"], tables["observations"])
    _check_paths(package)
    return package


def _read_table(file: Path, about: Mapping[str, Any], name: str) -> list[Row]:
    """The rows of a resource; its path lies in the package's folder."""
    resource = next(each for each in about["resources"] if each.get("name") == name)
    path, delimiter = resource.get("path"), (resource.get("dialect") or {})
    delimiter = delimiter.get("delimiter", ",") if isinstance(delimiter, dict) else ","
    path = path[0] if isinstance(path, list) and len(path) == 1 else path
    if not isinstance(path, str) or is_address(path):
        raise BadInput(f"{file}: the table {name} is not a file of the package (path: {path}): put it there.")
    if not _inside(file.parent, path):
        raise BadInput(f"{file}: the path of the table {name} leaves the folder of the package ({path}).")
    table = file.parent / path
    if not os.path.isfile(table):
        raise BadInput(f"{file}: there is no table {path}.")
    if table.suffix.lower() in (".gz", ".zip", ".bz2", ".xz"):
        raise BadInput(f"{table} is compressed: unpack it, and name the CSV in {file.name}.")
    if table.stat().st_size > LARGEST_TABLE:
        raise BadInput(f"{table} is larger than {LARGEST_TABLE >> 30} GB: take fewer deployments.")
    try:
        with open(table, newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, delimiter=delimiter, restval="")
            columns = reader.fieldnames or []
            if lacking := [column for column in REQUIRED[name] if column not in columns]:
                raise BadInput(f"{table} has no column {', '.join(lacking)}: Camtrap DP 1.0 asks for it.")
            return [{key: value.strip() for key, value in row.items() if key is not None} for row in reader]
    except (csv.Error, UnicodeDecodeError, OSError, TypeError) as error:
        raise BadInput(f"{table} cannot be read as a UTF-8 table ({str(error)[:80]}).") from error


def _check_paths(package: Package) -> None:
    """Refuse a package whose photos lie outside it."""
    paths = [row["filePath"] for row in package.media if row["filePath"] and not is_address(row["filePath"])]
    inside = {folder: _inside(package.folder, folder) for folder in {path.rpartition("/")[0] for path in paths}}
    if outside := [path for path in paths if not _leads_inside(package.folder, path, inside)]:
        raise BadInput(
            f"{package.file}: {counted(len(outside), 'path')} of photos leave the folder of the package "
            f"({few_of(outside, 3)}): put the photos into it."
        )


def _leads_inside(folder: Path, path: str, inside: Mapping[str, bool]) -> bool:
    """Whether a file's path does, where it is known of the folders: links among the files are rare."""
    above = path.rpartition("/")[0]
    return _stays(path) and inside[above] and (not os.path.islink(folder / path) or _inside(folder, path))


def _inside(folder: Path, path: str) -> bool:
    """Whether a relative path stays in the folder, also where it meets links."""
    real, root = os.path.realpath(folder / path) if _stays(path) else "", os.path.realpath(folder)
    return real == root or real.startswith(os.path.join(root, ""))


def _stays(path: str) -> bool:
    """Whether a path is relative and never goes up."""
    parts = path.replace("\\", "/").split("/")
    return not (path.startswith(("/", "\\", "~")) or "\0" in path or ".." in parts or re.match(r"[A-Za-z]:", path))


def local_media(package: Package) -> tuple[list[Row], Counter[str]]:
    """The photos that lie in the package, and what is left out, by kind."""
    left_out: Counter[str] = Counter()
    media = []
    for row in package.media:
        kind = row.get("fileMediatype", "")
        if kind and not kind.startswith("image/"):
            left_out[f"media that are {kind.partition('/')[0]}"] += 1
        elif is_address(row["filePath"]):
            left_out[
                "photos that are addresses, which are not fetched: download them, and put paths into filePath"
            ] += 1
        elif not row["filePath"] or not os.path.isfile(package.folder / row["filePath"]):
            left_out["photos that are not there"] += 1
        else:
            media.append(row)
    return media, left_out


def package_photos(file: Path) -> list[Row]:
    """All photos of a package in the order of their paths, with or without a class, and what is known of them: the
    columns of a manifest, and `event_id` as the package has it."""
    package = read_package(file)
    media, left_out = local_media(package)
    if not media:
        raise BadInput(f"images={file} holds no photo ({kinds_of(left_out)}).")
    _log_left_out(file, left_out)
    seen = observed(package, media)
    rows = [known_of(package, row, seen[row["mediaID"]]) for row in media]
    paths = Counter(os.path.normpath(row["path"]) for row in rows)
    if repeated := [path for path, count in paths.items() if count > 1]:
        raise BadInput(f"{file}: {few_of(repeated, 3)} is the file of several media.")
    return sorted(rows, key=lambda row: Path(row["path"]))


def _log_left_out(file: Path, left_out: Counter[str]) -> None:
    import logging

    if left_out:
        logging.getLogger("fishnet").warning("Left out of %s: %s.", file, kinds_of(left_out))


def kinds_of(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in left_out.most_common(8)) or "nothing is in it"


# ---- what is known of a photo


@dataclass
class Seen:
    """The observations of a photo: of itself, and of the events that it belongs to."""

    own: list[Row]
    events: list[Row]

    @property
    def event(self) -> str:
        """The first event that an observation names."""
        return next((row["eventID"] for row in (*self.own, *self.events) if row.get("eventID")), "")


def observed(package: Package, media: Sequence[Row]) -> dict[str, Seen]:
    """The observations of each of these media, by mediaID."""
    seen = {row["mediaID"]: Seen([], []) for row in media}
    events: dict[str, list[Row]] = defaultdict(list)
    for row in package.observations:
        if row["mediaID"] in seen:
            seen[row["mediaID"]].own.append(row)
        elif not row["mediaID"]:
            events[row["deploymentID"]].append(row)
    by_deployment: dict[str, list[Row]] = defaultdict(list)
    for row in media:
        by_deployment[row["deploymentID"]].append(row)
    for deployment, rows in events.items():
        _add_events(rows, by_deployment[deployment], seen)
    return seen


def _add_events(events: Sequence[Row], media: Sequence[Row], seen: Mapping[str, Seen]) -> None:
    """Observations of events, of one deployment, to the photos of each: by the event's name where media carry it, else
    by their time."""
    named: dict[str, list[str]] = defaultdict(list)
    timed = sorted((time, row["mediaID"]) for row in media if (time := moment(row["timestamp"])) is not None)
    times = [time for time, _ in timed]
    for row in media:
        named[row.get("eventID") or row.get("sequenceID") or ""].append(row["mediaID"])
    for event in events:
        start, end = moment(event.get("eventStart", "")), moment(event.get("eventEnd", ""))
        if event.get("eventID") and event["eventID"] in named:
            photos = named[event["eventID"]]
        elif start is not None and end is not None:
            photos = [name for _, name in timed[bisect_left(times, start) : bisect_right(times, end)]]
        else:
            photos = []
        for name in photos:
            if len(seen[name].events) == MOST_EVENTS:
                raise BadInput(f"{name} belongs to more than {MOST_EVENTS} events: no camera sees as many at once.")
            seen[name].events.append(event)


def moment(text: str) -> float | None:
    """Seconds since 1970 of a time with or without a zone (UTC, then); None for what is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def known_of(package: Package, row: Row, seen: Seen) -> Row:
    """What a manifest says of a photo. The camera is the observer; an event is an observation."""
    place = package.deployments.get(row["deploymentID"], {})
    event = row.get("eventID") or row.get("sequenceID") or seen.event
    return {
        "path": row["filePath"],
        "observation_id": f"{row['deploymentID']}:{event}" if event else "",
        "observer": row["deploymentID"],
        "taken_on": row["timestamp"],
        "lat": place.get("latitude", ""),
        "lon": place.get("longitude", ""),
        "deployment_id": row["deploymentID"],
        "media_id": row["mediaID"],
        "event_id": event,
    }
