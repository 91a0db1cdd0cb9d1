"""Species, observations and drawn photos that follow from a seed, told in the shape of the real API's answers."""

import csv
import gzip
import io
import random
import uuid
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LICENCES = ["cc-by-nc", "cc-by-nc", "cc-by", "cc0", "cc-by-sa", "cc-by-nc-sa", "cc-by-nc-nd", None]
EXTENSIONS = ["jpg", "jpg", "jpeg", "jpg", "JPG"]
SPECIES = [
    (47162, "Perca fluviatilis", "European Perch"),
    (47163, "Esox lucius", "Northern Pike"),
    (47164, "Cyprinus carpio", "European Carp"),
]


@dataclass
class World:
    """Everything in it can be changed by a test: licences withdrawn, photos deleted, taxa added."""

    species: list[tuple[int, str, str]] = field(default_factory=lambda: list(SPECIES))
    observations: int = 60  # a species
    most_photos: int = 3  # an observation
    side: int = 64
    seed: int = 0
    base: str = ""  # where photos are served; the server fills it in
    twins: dict[int, int] = field(default_factory=dict)  # photo id → the id whose bytes it serves
    flagged: set[int] = field(default_factory=set)  # served as a notice
    gone: set[int] = field(default_factory=set)  # 404
    withdrawn: set[int] = field(default_factory=set)  # all rights reserved since
    deleted: set[int] = field(default_factory=set)  # the API has forgotten them

    @cached_property
    def found(self) -> list[dict]:
        """All observations, as the API would tell them to one who may see all."""
        chance = random.Random(self.seed)
        observations, photo_id = [], 1000
        for number in range(self.observations * len(self.species)):
            taxon = self.species[number % len(self.species)]
            photos = []
            for _ in range(chance.randint(1, self.most_photos)):
                photo_id += chance.randint(1, 9)
                photos.append((photo_id, chance.choice(LICENCES), chance.choice(EXTENSIONS)))
            user = chance.randint(1, max(2, self.observations // 3))
            day = f"20{chance.randint(10, 24)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
            where = (round(chance.uniform(40, 60), 5), round(chance.uniform(0, 20), 5))
            grade = "needs_id" if chance.random() < 0.1 else "research"
            told = {"id": 50_000 + 7 * number, "taxon": taxon, "photos": photos, "user": user}
            told["place"] = (6712, 1)[number // len(self.species) % 2]
            observations.append(told | {"day": day, "where": where, "grade": grade})
        return observations

    @cached_property
    def label_of(self) -> dict[int, int]:
        """Photo → the place of its species."""
        places = {taxon: place for place, taxon in enumerate(self.species)}
        return {photo[0]: places[one["taxon"]] for one in self.found for photo in one["photos"]}

    def photo_ids(self, taxon_id: int) -> list[int]:
        return [photo[0] for one in self.found if one["taxon"][0] == taxon_id for photo in one["photos"]]

    def bytes_of(self, photo_id: int) -> bytes:
        shown = self.twins.get(photo_id, photo_id)
        return notice() if photo_id in self.flagged else draw(shown, self.label_of.get(shown, 0), self.side)

    def observation(self, one: dict) -> dict:
        """In the API's shape; of the many keys all those that carry something."""
        photos = [self._photo(photo, one["user"]) for photo in one["photos"] if photo[0] not in self.deleted]
        login = f"observer_{one['user']}"
        lat, lon = one["where"]
        return {
            "quality_grade": one["grade"],
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, str(one["id"]))),
            "id": one["id"],
            "cached_votes_total": 0,
            "created_at": f"{one['day']}T18:00:51+00:00",
            "observed_on": one["day"],
            "observed_on_details": {"date": one["day"], "year": int(one["day"][:4])},
            "updated_at": f"{one['day']}T20:00:00+00:00",
            "species_guess": one["taxon"][2],
            "license_code": "cc-by-nc",
            "captive": False,
            "taxon": self.taxon(one["taxon"]),
            "faves_count": 0,
            "geojson": {"coordinates": [lon, lat], "type": "Point"},
            "geoprivacy": None,
            "location": f"{lat},{lon}",
            "obscured": False,
            "uri": f"https://www.inaturalist.org/observations/{one['id']}",
            "user": {"id": one["user"], "login": login, "name": None, "spam": False, "suspended": False},
            "photos": photos,
            "observation_photos": [
                {"id": photo["id"] + 1, "position": place, "photo": photo} for place, photo in enumerate(photos)
            ],
            "sounds": [],
            "identifications_count": 1,
            "place_ids": [one["place"]],
        }  # fmt: skip

    def _photo(self, photo: tuple, user: int) -> dict:
        number, licence, extension = photo
        licence = None if number in self.withdrawn else licence
        rights = "all rights reserved" if licence is None else f"some rights reserved ({licence.upper()})"
        return {
            "id": number,
            "license_code": licence,
            "original_dimensions": {"width": 2048, "height": 1361},
            "url": f"{self.base}/photos/{number}/square.{extension}" + ("?1545715684" if number % 2 else ""),
            "attribution": f"(c) observer_{user}, {rights}",
            "flags": [],
            "hidden": False,
        }

    def taxon(self, taxon: tuple[int, str, str]) -> dict:
        number, name, common = taxon
        return {
            "id": number,
            "rank": "species" if " " in name else "genus",
            "rank_level": 10,
            "iconic_taxon_id": 47178,
            "iconic_taxon_name": "Actinopterygii",
            "ancestry": "48460/1/2/355675/47178",
            "ancestor_ids": [48460, 1, 2, 355675, 47178, number],
            "is_active": True,
            "name": name,
            "parent_id": 47178,
            "matched_term": name,
            "preferred_common_name": common,
            "observations_count": self.observations,
            "default_photo": None,
        }

    def write_tables(self, folder: Path) -> Path:
        """The monthly open-data files of this world: tab-separated, packed; only openly licensed photos are in them."""
        folder.mkdir(parents=True, exist_ok=True)
        taxa = [["taxon_id", "ancestry", "rank_level", "rank", "name", "active"]]
        taxa += [[one[0], "48460/1/2/355675/47178", 10, "species", one[1], "true"] for one in self.species]
        users = sorted({one["user"] for one in self.found})
        observers = [["observer_id", "login", "name"], *([user, f"observer_{user}", ""] for user in users)]
        observations = [["observation_uuid", "observer_id", "latitude", "longitude", "positional_accuracy"]]
        observations[0] += ["taxon_id", "quality_grade", "observed_on"]
        photos = [["photo_uuid", "photo_id", "observation_uuid", "observer_id", "extension", "license"]]
        photos[0] += ["width", "height", "position"]
        for one in self.found:
            key = str(uuid.uuid5(uuid.NAMESPACE_OID, str(one["id"])))
            observations.append([key, one["user"], *one["where"], "", one["taxon"][0], one["grade"], one["day"]])
            for place, (number, licence, extension) in enumerate(one["photos"]):
                if licence is not None:
                    about = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)), number, key, one["user"], extension]
                    photos.append([*about, licence.upper(), 2048, 1361, place])
        for name, rows in (
            ("taxa", taxa),
            ("observers", observers),
            ("observations", observations),
            ("photos", photos),
        ):
            with gzip.open(folder / f"{name}.csv.gz", "wt", newline="", encoding="utf-8") as out:
                csv.writer(out, delimiter="\t", lineterminator="\n").writerows(rows)
        return folder


@lru_cache(maxsize=4096)
def draw(photo_id: int, label: int, side: int) -> bytes:
    """The shape tells the species, the noise tells the photo."""
    chance = np.random.default_rng((label, photo_id))
    photo = Image.fromarray(chance.integers(0, 90, (side, side, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(photo)
    x, y, r = (int(chance.integers(side // 4, side // 2 + 1)) for _ in range(3))
    tone = tuple(int(c) for c in chance.integers(170, 256, 3))
    if label % 3 == 0:
        pen.ellipse((x - r // 2, y - r // 2, x + r, y + r), fill=tone)
    elif label % 3 == 1:
        pen.rectangle((x - r // 2, y - r // 2, x + r, y + r), outline=tone, width=4)
    else:
        pen.rectangle((0, y - 3, side, y + 3), fill=tone)
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=88)
    return out.getvalue()


@lru_cache(maxsize=1)
def notice() -> bytes:
    """What is served in place of a flagged photo: a PNG that says so."""
    page = Image.new("RGB", (240, 180), "white")
    ImageDraw.Draw(page).text((20, 80), "This photo was removed", fill="black")
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()
