"""A Camtrap DP package whose photos are addresses is a list as any other."""

import csv

from fishnet.text import slug
from tests.support.camtrap import deployment, medium, seen, write_package
from tests.support.collected import ALL, rows_of


def test_addresses_of_a_package_are_collected(replica, collect, tmp_path):
    found = [(one, photo) for one in replica.world.found for photo in replica.world.observation(one)["photos"]]
    media, observations = [], []
    for number, (one, photo) in enumerate(found):
        address = {"filePath": photo["url"].replace("square", "medium")}
        row = medium(f"m{number}", "d", f"2020-06-01T10:{number % 60:02d}:00Z", **address)
        machine = {"classificationMethod": "machine"} if number == 0 else {}
        media.append(row)
        observations.append(seen(f"o{number}", row, one["taxon"][1], **machine))
    media.append(medium("here", "d", "2020-06-01T10:00:00Z"))
    tables = {"deployments": [deployment("d")], "media": media, "observations": observations}
    licences = [{"name": "CC0-1.0", "scope": "data"}, {"name": "CC-BY-4.0", "scope": "media"}]
    package = write_package(tmp_path / "package", tables, licenses=licences)
    done = collect(replica, "source=list", f"list={package}", *ALL)
    assert done.returncode == 0, done.stdout
    assert "1 photos that lie in the package" in done.stdout and "1 photos that only a machine" in done.stdout
    rows = rows_of(tmp_path)
    assert len({row["photo_id"] for row in rows}) >= len(replica.world.label_of) - 1
    assert {row["class"].partition("-")[2] for row in rows} == {slug(one["taxon"][1]) for one in replica.world.found}
    assert {row["licence"] for row in rows} == {"cc-by"} and {row["observer"] for row in rows} == {"d"}
    with open(tmp_path / "data" / ".lake.fishnet" / "addresses.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(found) - 1
    again = collect(replica, "source=list", f"list={package}", *ALL)
    assert again.returncode == 0 and rows_of(tmp_path) == rows


def test_a_package_without_addresses_is_one_sentence(replica, collect, tmp_path):
    row = medium("here", "d", "2020-06-01T10:00:00Z")
    tables = {"deployments": [deployment("d")], "media": [row], "observations": [seen("o", row, "Vulpes vulpes")]}
    package = write_package(tmp_path / "package", tables)
    done = collect(replica, "source=list", f"list={package}", *ALL)
    assert done.returncode == 2 and "holds no address of a photo with a class" in done.stdout
