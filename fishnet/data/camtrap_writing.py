"""Answers of a model as a Camtrap DP package (https://camtrap-dp.tdwg.org, 1.0.2): an observation a photo."""

import csv
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from fishnet import __version__
from fishnet.data.camtrap import Row
from fishnet.data.camtrap_classes import BLANK, link_photo
from fishnet.data.camtrap_passing import written
from fishnet.data.camtrap_planning import Photo, Plan
from fishnet.files import new_folder, write_whole
from fishnet.text import slug

VERSION = "1.0.2"
SOURCE = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
DEPLOYMENTS = (
    *("deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty"),
    *("deploymentStart", "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight"),
    *("cameraDepth", "cameraTilt", "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType"),
    *("habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
)
MEDIA = (
    *("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype"),
    *("exifData", "favorite", "mediaComments"),
)
OBSERVATIONS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID"),
    *("individualPositionRadius", "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth"),
    *("bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp", "classificationProbability"),
    *("observationTags", "observationComments"),
)
COLUMNS = {"deployments": DEPLOYMENTS, "media": MEDIA, "observations": OBSERVATIONS}
NO_SPECIES = (BLANK, "human", "vehicle")  # classes that are kinds of observation


class Classified(NamedTuple):
    """The answer on a photo: its class and its probability, or why it has none."""

    name: str
    probability: float
    sure: bool
    problem: str
    strange: bool = False  # looks like none of the classes


def write_package(folder: Path, plan: Plan, answers: Sequence[Classified], classified_by: str) -> None:
    """Write a package into a new folder, which takes its name when all of it is there.

    Args:
        folder: does not exist yet.
        plan: of these photos.
        answers: on all photos that were given, by number.
        classified_by: the model, by name and version.
    """
    now = written(datetime.now(UTC))
    observations = [_observation(photo, answers[photo.row], classified_by, now) for photo in plan.photos]
    tables = {
        "deployments": plan.deployments, "media": [photo.media for photo in plan.photos], "observations": observations,
    }  # fmt: skip
    with new_folder(folder) as temporary:
        for photo in plan.photos:
            target = temporary / photo.media["filePath"]
            target.parent.mkdir(parents=True, exist_ok=True)
            link_photo(photo.source, target)
        for name, rows in tables.items():
            with open(temporary / f"{name}.csv", "x", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, COLUMNS[name], restval="", extrasaction="ignore", lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
        about = _about(plan, sorted({row["scientificName"] for row in observations} - {""}), now)
        write_whole(temporary / "datapackage.json", json.dumps(about, indent=1, ensure_ascii=False))


def _observation(photo: Photo, answer: Classified, classified_by: str, now: str) -> Row:
    """What is not sure, or like none of the classes, is of an unknown animal, with a note of what is most probable."""
    row = {
        "observationID": f"{photo.media['mediaID']}-{hashlib.sha256(classified_by.encode()).hexdigest()[:8]}",
        "deploymentID": photo.media["deploymentID"],
        "mediaID": photo.media["mediaID"],
        "eventID": photo.event,
        "eventStart": photo.media["timestamp"],
        "eventEnd": photo.media["timestamp"],
        "observationLevel": "media",
        "observationType": "unclassified",
        "scientificName": "",
    }
    if answer.problem:
        return row | {"observationComments": f"the photo cannot be read: {answer.problem}"}
    made = {"classificationMethod": "machine", "classifiedBy": classified_by, "classificationTimestamp": now}
    if answer.strange or not answer.sure:
        why = "it looks like none of the classes" if answer.strange else "not sure"
        note = f"{why}; most probable: {answer.name} ({answer.probability:.6f})"
        return row | made | {"observationType": "unknown", "observationComments": note}
    kind = {"observationType": answer.name} if answer.name in NO_SPECIES else {
        "observationType": "animal", "scientificName": answer.name,
    }  # fmt: skip
    return row | made | kind | {"classificationProbability": f"{answer.probability:.6f}"}


def _about(plan: Plan, names: Sequence[str], now: str) -> dict[str, Any]:
    """`datapackage.json`: what a package of the photos says of itself, and what the format asks for beyond it."""
    resources = [
        {
            "name": name, "path": f"{name}.csv", "profile": "tabular-data-resource", "format": "csv",
            "mediatype": "text/csv", "encoding": "utf-8", "schema": f"{SOURCE}/{name}-table-schema.json",
        }
        for name in COLUMNS
    ]  # fmt: skip
    project = {
        "title": plan.about["name"], "samplingDesign": "opportunistic", "captureMethod": ["activityDetection"],
        "individualAnimals": False,
    }  # fmt: skip
    places = sorted({(float(row["longitude"]), float(row["latitude"])) for row in plan.deployments})
    return {
        "resources": resources,
        "profile": f"{SOURCE}/camtrap-dp-profile.json",
        "name": f"{slug(plan.about['name'])}-classified",
        "created": now,
        "contributors": [{"title": f"fishnet {__version__}", "role": "contributor"}],
        **{key: value for key, value in plan.about.items() if key != "name"},
        "project": {**project, **plan.about.get("project", {}), "observationLevel": ["media"]},
        "spatial": {"type": "MultiPoint", "coordinates": [list(place) for place in places]},
        "temporal": {
            "start": min(row["deploymentStart"] for row in plan.deployments)[:10],
            "end": max(row["deploymentEnd"] for row in plan.deployments)[:10],
        },
        "taxonomic": _taxa(plan, names),
    }


def _taxa(plan: Plan, names: Sequence[str]) -> list[dict[str, Any]]:
    """An entry for each name, as the package of the photos describes it."""
    known = {each.get("scientificName"): each for each in plan.about.get("taxonomic", []) if isinstance(each, dict)}
    return [known.get(name, {"scientificName": name}) for name in names]
