"""Rows of a Camtrap DP package that are passed on into another one, in the form that the format asks for.

People's packages are mostly right and seldom quite: times without a zone, a table without a column that must be there.
What can be put right without a guess is; what cannot is said before a model is asked.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fishnet.data.camtrap import TABLES, Package, Row, moment
from fishnet.errors import BadInput
from fishnet.text import few_of

KINDS = {  # else image/jpeg
    ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".bmp": "image/bmp", ".tif": "image/tiff",
    ".tiff": "image/tiff", ".avif": "image/avif", ".heic": "image/heic", ".heif": "image/heif",
}  # fmt: skip
OWN = ("datapackage.json", *(f"{name}.csv" for name in TABLES))  # files that a package has beside its photos
DEGREES = {"latitude": 90.0, "longitude": 180.0}
TIMES = ("deploymentStart", "deploymentEnd")
NO_ZONE = "without a zone in the package it comes from, and read as UTC"


def written(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def kind_of(path: str) -> str:
    """The media type of a photo, by its name."""
    return KINDS.get(Path(path).suffix.lower(), "image/jpeg")


def path_inside(path: str, name: str) -> str:
    """Where a photo lies in a package: where it lay, as far as the format allows that and no table has its place."""
    path = os.path.normpath(path)
    taken = path.split("/")[0].casefold() in OWN or path.startswith((".", "~"))
    if ".." in path:  # two dots are not allowed anywhere
        return f"media/{name}{Path(path).suffix.lower()}"
    return f"media/{path}" if taken else path


def passed_medium(package: Package, row: Row) -> Row:
    """A row of media; BadInput where its time is none."""
    text = row["timestamp"]
    if moment(text) is None:
        raise BadInput(
            f"{package.file}: the time of the medium {row['mediaID']} is {text or 'empty'}: Camtrap DP asks for one "
            "such as 2024-05-01T10:00:00Z."
        )
    time = datetime.fromisoformat(text)
    comments = [row.get("mediaComments", ""), "" if time.tzinfo else f"the time is {NO_ZONE}"]
    return row | {
        "timestamp": written(time if time.tzinfo else time.replace(tzinfo=UTC)),
        "filePath": path_inside(row["filePath"], row["mediaID"]),
        "filePublic": row.get("filePublic") or "false",
        "fileMediatype": row.get("fileMediatype") or kind_of(row["filePath"]),
        "mediaComments": "; ".join(filter(None, comments)),
    }


def passed_deployment(package: Package, row: Row) -> Row:
    """A row of deployments; BadInput where it does not say when and where the camera was."""
    name = row["deploymentID"]
    for key, most in DEGREES.items():
        if not _is_degrees(row.get(key, ""), most):
            raise BadInput(f"{package.file}: the {key} of the deployment {name} is {row.get(key) or 'empty'}: {_RULE}.")
    passed = dict(row)
    for key in TIMES:
        if moment(row.get(key, "")) is None:
            raise BadInput(f"{package.file}: the {key} of the deployment {name} is {row.get(key) or 'empty'}: {_RULE}.")
        time = datetime.fromisoformat(row[key])
        passed[key] = written(time if time.tzinfo else time.replace(tzinfo=UTC))
        if not time.tzinfo:
            passed["timestampIssues"] = "true"
    return passed


_RULE = "Camtrap DP asks for the place and the time of each"


def _is_degrees(text: str, most: float) -> bool:
    try:
        return abs(float(text)) <= most
    except ValueError:
        return False


def passed_about(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a package says of itself, without values that are not of the form that the format gives them."""
    kept = {key: about[key] for key in ("title", "licenses") if key in about}
    if isinstance(about.get("project"), dict):
        kept["project"] = about["project"]
    people = _descriptions(about.get("contributors"), "title")
    taxa = _descriptions(about.get("taxonomic"), "scientificName")
    return kept | ({"contributors": people} if people else {}) | {"taxonomic": taxa}


def _descriptions(values: Any, name: str) -> list[dict[str, Any]]:
    """Those that have a name."""
    listed = values if isinstance(values, list) else []
    return [each for each in listed if isinstance(each, dict) and isinstance(each.get(name), str)]


def check_files(package: Package, media: list[Row]) -> None:
    """Refuse a package in which two photos would have one place."""
    paths: dict[str, str] = {}
    for row in media:
        if (other := paths.setdefault(row["filePath"], row["mediaID"])) != row["mediaID"]:
            raise BadInput(f"{package.file}: {few_of(sorted([other, row['mediaID']]), 2)} are media of one file.")
