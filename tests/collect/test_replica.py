"""The replica answers as the real API does: keys and kinds were read off answers recorded by others (pyinaturalist's
sample data, version 1 of the API)."""

import pytest

from experiments.replica.world import World

TEXT, NUMBER, TRUTH, LIST, TABLE, NOTHING = str, int, bool, list, dict, type(None)
OBSERVATION = {
    "id": {NUMBER},
    "uuid": {TEXT},
    "quality_grade": {TEXT},
    "observed_on": {TEXT},
    "license_code": {TEXT, NOTHING},
    "location": {TEXT, LIST},
    "geojson": {TABLE},
    "geoprivacy": {TEXT, NOTHING},
    "obscured": {TRUTH},
    "captive": {TRUTH},
    "taxon": {TABLE},
    "user": {TABLE},
    "photos": {LIST},
    "observation_photos": {LIST},
    "place_ids": {LIST},
}
PHOTO = {
    "id": {NUMBER},
    "license_code": {TEXT, NOTHING},
    "url": {TEXT},
    "attribution": {TEXT},
    "original_dimensions": {TABLE},
    "flags": {LIST},
    "hidden": {TRUTH},
}
TAXON = {
    "id": {NUMBER},
    "name": {TEXT},
    "rank": {TEXT},
    "rank_level": {NUMBER},
    "is_active": {TRUTH},
    "ancestor_ids": {LIST},
    "preferred_common_name": {TEXT},
    "observations_count": {NUMBER},
}
USER = {"id": {NUMBER}, "login": {TEXT}, "name": {TEXT, NOTHING}, "spam": {TRUTH}, "suspended": {TRUTH}}


@pytest.fixture(scope="module")
def told() -> dict[str, list[dict]]:
    world = World(base="http://127.0.0.1:1")
    observations = [world.observation(one) for one in world.found]
    return {
        "observation": observations,
        "photo": [photo for one in observations for photo in one["photos"]],
        "taxon": [one["taxon"] for one in observations] + [world.taxon(one) for one in world.species],
        "user": [one["user"] for one in observations],
    }


@pytest.mark.parametrize(
    ("what", "shape"), [("observation", OBSERVATION), ("photo", PHOTO), ("taxon", TAXON), ("user", USER)]
)
def test_keys_and_kinds_are_the_real_ones(told, what, shape):
    for one in told[what]:
        assert shape.keys() <= one.keys()
        wrong = {key: one[key] for key, kinds in shape.items() if type(one[key]) not in kinds}
        assert not wrong


def test_licences_are_written_as_the_api_writes_them(told):
    found = {photo["license_code"] for photo in told["photo"]}
    assert found == {"cc-by-nc", "cc-by", "cc0", "cc-by-sa", "cc-by-nc-sa", "cc-by-nc-nd", None}
