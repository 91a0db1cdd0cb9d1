"""Camtrap DP, the exchange format of camera traps (https://camtrap-dp.tdwg.org, 1.0): a package → class folders.

A package is a `datapackage.json` and three tables: deployments, media, observations. What lies in it is linked into
class folders beside the package, with a manifest, so that every verb reads it as it reads any other folder.

The class of a photo is the scientific name of the animals in it. What people have classified is taken, and what a
machine has is not; observations of a single photo come before those of an event, which are of each photo between its
start and its end. A photo of two species, or without an animal, is left out; photos of which people say that they are
blank are a class where `data.classes` names it.
"""

import csv
import json
import os
import re
import shutil
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fishnet.errors import BadInput, WorkFailed
from fishnet.files import locked, replacing
from fishnet.text import counted, few_of

BLANK = "blank"
TABLES = ("deployments", "media", "observations")
REQUIRED = {
    "deployments": ("deploymentID",),
    "media": ("mediaID", "deploymentID", "timestamp", "filePath"),
    "observations": ("deploymentID", "mediaID", "observationType", "scientificName"),
}
MANIFEST = ("path", "class", "observation_id", "observer", "taken_on", "lat", "lon", "deployment_id", "media_id")
TABLE = "manifest.csv"
LARGEST_JSON, LARGEST_TABLE = 64 * 2**20, 4 * 2**30  # bytes
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
    if missing := [name for name in TABLES if name not in {each.get("name") for each in resources}]:
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
    if not isinstance(path, str) or _URL.match(path):
        raise BadInput(f"{file}: the table {name} is not a file of the package (path: {path}): put it there.")
    if not _inside(file.parent, path):
        raise BadInput(f"{file}: the path of the table {name} leaves the folder of the package ({path}).")
    table = file.parent / path
    if not table.is_file():
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
    paths = [row["filePath"] for row in package.media if row["filePath"] and not _URL.match(row["filePath"])]
    inside = {folder: _inside(package.folder, folder) for folder in {path.rpartition("/")[0] for path in paths}}
    if outside := [path for path in paths if not _leads_inside(package.folder, path, inside)]:
        raise BadInput(
            f"{package.file}: {counted(len(outside), 'path')} of photos leave the folder of the package "
            f"({few_of(outside, 3)}): put the photos into it."
        )


def _leads_inside(folder: Path, path: str, inside: Mapping[str, bool]) -> bool:
    """Whether a file's path does, where it is known of the folders: links among the files are rare."""
    above = path.rpartition("/")[0]
    return _stays(path) and inside[above] and (not (folder / path).is_symlink() or _inside(folder, path))


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
        elif _URL.match(row["filePath"]):
            left_out[
                "photos that are addresses, which are not fetched: download them, and put paths into filePath"
            ] += 1
        elif not row["filePath"] or not (package.folder / row["filePath"]).is_file():
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
        raise BadInput(f"images={file} holds no photo ({_kinds(left_out)}).")
    _log_left_out(file, left_out)
    seen = _observed(package, media)
    rows = [_known(package, row, seen[row["mediaID"]]) for row in media]
    paths = Counter(row["path"] for row in rows)
    if repeated := [path for path, count in paths.items() if count > 1]:
        raise BadInput(f"{file}: {few_of(repeated, 3)} is the file of several media.")
    return sorted(rows, key=lambda row: Path(row["path"]))


def _log_left_out(file: Path, left_out: Counter[str]) -> None:
    import logging

    if left_out:
        logging.getLogger("fishnet").warning("Left out of %s: %s.", file, _kinds(left_out))


def _kinds(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in left_out.most_common(8)) or "nothing is in it"


# ---- what a photo shows


@dataclass
class _Seen:
    """The observations of a photo: of itself, and of the events that it belongs to."""

    own: list[Row]
    events: list[Row]

    @property
    def event(self) -> str:
        """The first event that an observation names."""
        return next((row["eventID"] for row in (*self.own, *self.events) if row.get("eventID")), "")


def _observed(package: Package, media: Sequence[Row]) -> dict[str, _Seen]:
    """The observations of each of these media, by mediaID."""
    seen = {row["mediaID"]: _Seen([], []) for row in media}
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


def _add_events(events: Sequence[Row], media: Sequence[Row], seen: Mapping[str, _Seen]) -> None:
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
            seen[name].events.append(event)


def moment(text: str) -> float | None:
    """Seconds since 1970 of a time with or without a zone (UTC, then); None for what is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def class_of(seen: _Seen, blanks: bool) -> tuple[str, str]:
    """The class of a photo, or why it has none."""
    own, events = ([row for row in rows if not _by_machine(row)] for rows in (seen.own, seen.events))
    rows = own or events
    if not rows:
        machine = seen.own or seen.events
        return "", "photos that only a machine has classified" if machine else "photos without an observation"
    names = {row["scientificName"] for row in rows if row["observationType"] == "animal"}
    if len(names) > 1:
        return "", "photos of two species or more"
    if names == {""}:
        return "", "photos of an animal without a name"
    if not names:
        if {row["observationType"] for row in rows} != {BLANK}:
            return "", "photos without an animal"
        return (BLANK, "") if blanks else ("", "blank photos")
    name = names.pop()
    return (name, "") if _can_be_folder(name) else ("", "photos whose name cannot be that of a folder")


def _by_machine(row: Row) -> bool:
    return row.get("classificationMethod", "") == "machine"


def _can_be_folder(name: str) -> bool:
    """A name with a slash (`Martes martes/foina`) is of two species anyway."""
    return not (re.search(r"[/\\\0\r\n]", name) or name.startswith(".") or len(name.encode()) > 200 or name == TABLE)


def _known(package: Package, row: Row, seen: _Seen) -> Row:
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


# ---- class folders


def classes_folder(file: Path, blanks: bool) -> Path:
    """Where the class folders of a package are or would be: beside it, and hidden."""
    folder = file.expanduser().absolute().parent
    return folder.with_name(f".{folder.name}.fishnet") / ("classes_and_blank" if blanks else "classes")


def link_classes(file: Path, blanks: bool) -> Counter[str]:
    """Bring the class folders of a package up to date; returns what is left out, by kind.

    Photos are linked, or copied where the file system has no links; what has gone from the package goes from there. The
    manifest beside them keeps what the package says of each photo.
    """
    file = file.expanduser().absolute()
    package = read_package(file)
    media, left_out = local_media(package)
    seen = _observed(package, media)
    rows: dict[str, Row] = {}
    for row in media:
        name, reason = class_of(seen[row["mediaID"]], blanks)
        if reason:
            left_out[reason] += 1
            continue
        known = _known(package, row, seen[row["mediaID"]]) | {"class": name}
        rows[f"{name}/{os.path.normpath(row['filePath'])}"] = known
    if not rows:
        raise BadInput(f"{file}: no photo of the package has a class ({_kinds(left_out)}).")
    folder = classes_folder(file, blanks)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(
            folder.with_name(f"{folder.name}.lock"), waiting=f"Another process is reading {file}: waiting for it."
        ):
            _bring_up_to_date(folder, {path: package.folder / row["path"] for path, row in rows.items()})
            _write_manifest(folder / TABLE, rows)
    except PermissionError as error:
        raise BadInput(f"{file}: its class folders cannot be made in {folder.parent} ({error.strerror}).") from error
    except OSError as error:
        raise WorkFailed(f"{file}: its class folders could not be made in {folder} ({error.strerror}).") from error
    return left_out


def _bring_up_to_date(folder: Path, photos: Mapping[str, Path]) -> None:
    """Exactly these photos below the folder; what is right is left untouched, so that nothing is read again."""
    for path in [Path(above, name) for above, _, names in os.walk(folder) for name in names]:
        if path.relative_to(folder).as_posix() not in photos and path != folder / TABLE:
            path.unlink()
    for parent in {path.rpartition("/")[0] for path in photos}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for name, source in photos.items():
        link_photo(source, folder / name)
    for empty, _, names in os.walk(folder, topdown=False):
        if not names and Path(empty) != folder:
            with suppress(OSError):  # folders are in it
                os.rmdir(empty)


def link_photo(source: Path, target: Path) -> None:
    """The target as a name of the source's file, or as a copy of it with its time."""
    source = Path(os.path.realpath(source))
    with suppress(FileNotFoundError):
        there, wanted = target.stat(), source.stat()
        if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
            return
        if (there.st_size, there.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns):
            return
        target.unlink()
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        with replacing(target, alone=True) as temporary:
            shutil.copy2(source, temporary)


def _write_manifest(file: Path, rows: Mapping[str, Row]) -> None:
    text = [[path if name == "path" else row[name] for name in MANIFEST] for path, row in sorted(rows.items())]
    with replacing(file, alone=True) as temporary, open(temporary, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([MANIFEST, *text])
