"""Camtrap DP 1.0 for tests: what its documentation asks of the three tables, and a small package of drawn photos.

The package has the structure of the published example: four deployments, events with an observation of their own and
one a photo, blank photos among them, local paths and addresses.
"""

import csv
import json
from pathlib import Path

from tests.support.drawing import draw_photo

TIME = {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}


def _field(name, kind="string", required=False, **constraints):
    described = dict(TIME) if kind == "datetime" else {"type": kind}
    return {"name": name, **described, "constraints": {"required": required, **constraints}}


def _texts(*names):
    return [_field(name) for name in names]


def _link(name, table):
    return {"fields": name, "reference": {"resource": table, "fields": name}}


_PATH = r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"  # relative, and never up
_FEATURES = "roadPaved roadDirt trailHiking trailGame roadUnderpass roadOverpass roadBridge culvert burrow nestSite"
_FEATURES += " carcass waterSource fruitingTree"
_TYPES = ["animal", "human", "vehicle", "blank", "unknown", "unclassified"]
SCHEMAS = {
    "deployments": {
        "fields": [
            _field("deploymentID", required=True, unique=True),
            *_texts("locationID", "locationName"),
            _field("latitude", "number", True, minimum=-90, maximum=90),
            _field("longitude", "number", True, minimum=-180, maximum=180),
            _field("coordinateUncertainty", "integer", minimum=1),
            _field("deploymentStart", "datetime", True),
            _field("deploymentEnd", "datetime", True),
            *_texts("setupBy", "cameraID", "cameraModel"),
            _field("cameraDelay", "integer", minimum=0),
            _field("cameraHeight", "number", minimum=0),
            _field("cameraDepth", "number", minimum=0),
            _field("cameraTilt", "integer", minimum=-90, maximum=90),
            _field("cameraHeading", "integer", minimum=0, maximum=360),
            _field("detectionDistance", "number", minimum=0),
            _field("timestampIssues", "boolean"),
            _field("baitUse", "boolean"),
            _field("featureType", enum=_FEATURES.split()),
            *_texts("habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
        ],
        "primaryKey": "deploymentID",
    },
    "media": {
        "fields": [
            _field("mediaID", required=True, unique=True),
            _field("deploymentID", required=True),
            _field("captureMethod", enum=["activityDetection", "timeLapse"]),
            _field("timestamp", "datetime", True),
            _field("filePath", required=True, pattern=_PATH),
            _field("filePublic", "boolean", True),
            _field("fileName"),
            _field("fileMediatype", required=True, pattern="^(image|video|audio)/.*$"),
            _field("exifData", "object"),
            _field("favorite", "boolean"),
            _field("mediaComments"),
        ],
        "primaryKey": "mediaID",
        "foreignKeys": [_link("deploymentID", "deployments")],
    },
    "observations": {
        "fields": [
            _field("observationID", required=True, unique=True),
            _field("deploymentID", required=True),
            *_texts("mediaID", "eventID"),
            _field("eventStart", "datetime", True),
            _field("eventEnd", "datetime", True),
            _field("observationLevel", required=True, enum=["media", "event"]),
            _field("observationType", required=True, enum=_TYPES),
            _field("cameraSetupType", enum=["setup", "calibration"]),
            _field("scientificName"),
            _field("count", "integer", minimum=1),
            _field("lifeStage", enum=["adult", "subadult", "juvenile"]),
            _field("sex", enum=["female", "male"]),
            *_texts("behavior", "individualID"),
            _field("individualPositionRadius", "number", minimum=0),
            _field("individualPositionAngle", "number", minimum=-90, maximum=90),
            _field("individualSpeed", "number", minimum=0),
            _field("bboxX", "number", minimum=0, maximum=1),
            _field("bboxY", "number", minimum=0, maximum=1),
            _field("bboxWidth", "number", minimum=1e-15, maximum=1),
            _field("bboxHeight", "number", minimum=1e-15, maximum=1),
            _field("classificationMethod", enum=["human", "machine"]),
            _field("classifiedBy"),
            _field("classificationTimestamp", "datetime"),
            _field("classificationProbability", "number", minimum=0, maximum=1),
            *_texts("observationTags", "observationComments"),
        ],
        "primaryKey": "observationID",
        "foreignKeys": [_link("deploymentID", "deployments"), _link("mediaID", "media")],
    },
}
PROFILE = {  # of datapackage.json
    "type": "object",
    "required": ["resources", "profile", "created", "contributors", "project", "spatial", "temporal", "taxonomic"],
    "properties": {
        "name": {"pattern": "^[a-z0-9._/-]+$"},
        "profile": {"pattern": r"1\.0\.2/camtrap-dp-profile\.json$"},
        "resources": {
            "minItems": 3,
            "items": {
                "required": ["name", "path", "profile", "schema"],
                "properties": {
                    "profile": {"enum": ["tabular-data-resource"]},
                    "schema": {"pattern": r"1\.0\.2/(deployments|media|observations)-table-schema\.json$"},
                },
            },
        },
        "contributors": {
            "minItems": 1,
            "items": {
                "required": ["title"],
                "properties": {
                    "role": {"enum": ["contact", "principalInvestigator", "rightsHolder", "publisher", "contributor"]}
                },
            },
        },
        "project": {
            "required": ["title", "samplingDesign", "captureMethod", "individualAnimals", "observationLevel"],
            "properties": {
                "samplingDesign": {
                    "enum": [
                        *("simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted"),
                        "opportunistic",
                    ]
                },
                "captureMethod": {"minItems": 1, "items": {"enum": ["activityDetection", "timeLapse"]}},
                "individualAnimals": {"type": "boolean"},
                "observationLevel": {"items": {"enum": ["media", "event"]}},
            },
        },
        "spatial": {"required": ["type", "coordinates"]},
        "temporal": {
            "required": ["start", "end"],
            "properties": {key: {"pattern": r"^\d{4}-\d\d-\d\d$"} for key in ("start", "end")},
        },
        "taxonomic": {"type": "array", "items": {"required": ["scientificName"]}},
    },
}

DEPLOYED = {"00a2c20d": 51.496, "29b7d356": 51.181, "577b543a": 51.184, "62c200a9": 50.699}
SPECIES = ("Anas platyrhynchos", "Rattus norvegicus", "Vulpes vulpes")


def write_package(folder: Path, tables: dict[str, list[dict]], **about) -> Path:
    """A package of these rows; returns its datapackage.json."""
    folder.mkdir(parents=True, exist_ok=True)
    resources = []
    for name, rows in tables.items():
        columns = [field["name"] for field in SCHEMAS[name]["fields"]]
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(dict.fromkeys([*columns, *(key for row in rows for key in row)])))
            table.writeheader()
            table.writerows(rows)
        resources.append({"name": name, "path": f"{name}.csv", "profile": "tabular-data-resource"})
    extra = {"name": "individuals", "data": [{"id": 1, "individualName": "Reinaert"}]}  # a table beyond the format
    profile = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2/camtrap-dp-profile.json"
    content = {"name": "example", "profile": profile, "resources": [*resources, extra], **about}
    (folder / "datapackage.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "datapackage.json"


def deployment(name: str, **values) -> dict:
    times = {"deploymentStart": "2020-05-30T04:57:37+02:00", "deploymentEnd": "2020-07-01T11:41:41+02:00"}
    return {"deploymentID": name, "latitude": 51.496, "longitude": 4.774, **times, **values}


def medium(name: str, deployed: str, timestamp: str, **values) -> dict:
    path = {"filePath": f"media/{name}.jpg", "filePublic": "false", "fileMediatype": "image/jpeg"}
    return {"mediaID": name, "deploymentID": deployed, "timestamp": timestamp, **path, **values}


def seen(name: str, photo: dict, species: str = "", **values) -> dict:
    """An observation of a photo, by a person."""
    kind = {"observationType": "animal" if species else "blank", "scientificName": species}
    times = dict.fromkeys(("eventStart", "eventEnd"), photo["timestamp"])
    ids = {"observationID": name, "deploymentID": photo["deploymentID"], "mediaID": photo["mediaID"]}
    return {**ids, "observationLevel": "media", **times, **kind, "classificationMethod": "human", **values}


def example(folder: Path, events: int = 3, photos: int = 3) -> Path:
    """A package with `events` events of `photos` photos for each species in each of four deployments, photo by photo
    except in the last deployment, which has observations of events alone; the last photo of an event is blank."""
    tables: dict[str, list[dict]] = {"deployments": [], "media": [], "observations": []}
    for place, (deployed, latitude) in enumerate(DEPLOYED.items()):
        tables["deployments"].append(deployment(deployed, latitude=latitude, locationName=f"place {place}"))
        for number in range(events * len(SPECIES)):
            label, event = number % len(SPECIES), f"{deployed}{number:02d}"
            rows = []
            for shot in range(photos):
                name = f"{event}_{shot}"
                rows.append(medium(name, deployed, f"2020-06-{number + 1:02d}T0{label}:00:0{2 * shot}Z"))
                draw_photo(folder / "media" / f"{name}.jpg", label, place * 1000 + number * 10 + shot)
            ids = {"eventID": event, "eventStart": rows[0]["timestamp"], "eventEnd": rows[-1]["timestamp"]}
            whole = seen(event, rows[0], SPECIES[label], observationLevel="event", **ids)
            tables["observations"].append({**whole, "mediaID": ""})
            tables["media"] += rows
            for shot, row in enumerate(rows if place < 3 else []):
                species = SPECIES[label] if shot < photos - 1 else ""
                tables["observations"].append(seen(f"{row['mediaID']}_1", row, species, eventID=event))
    contributors = [{"title": "Research Institute for Nature and Forest", "role": "publisher"}]
    taxa = [{"scientificName": name, "taxonRank": "species"} for name in SPECIES]
    return write_package(folder, tables, contributors=contributors, taxonomic=taxa)
