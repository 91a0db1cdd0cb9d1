"""Camtrap DP packages as people have them: what becomes a class, what is left out, what is refused."""

import json
import os

import pandas as pd
import pytest

from fishnet.data.camtrap import package_photos
from fishnet.data.index import build_index
from fishnet.data.listing import PackageSource, folder_source
from fishnet.data.sources import source_of
from fishnet.errors import BadInput
from tests.support.camtrap import DEPLOYED, SPECIES, deployment, example, medium, seen, write_package
from tests.support.drawing import draw_photo

DUCK, RAT, FOX = SPECIES


@pytest.fixture
def package(tmp_path):
    return example(tmp_path / "package")


def listed(file, blanks=False):
    source = PackageSource(str(file), blanks=blanks)
    return source.root, source.listing


def classes_of(file, blanks=False):
    """mediaID → class of what is listed."""
    _, listing = listed(file, blanks)
    return {path.rpartition("/")[2].removesuffix(".jpg"): name for path, name, *_ in listing.photos}


def small(folder, observations, media=(), draw=True):
    """A package of two photos of one deployment, a and b, and these observations."""
    two = [medium(name, "d", f"2020-06-01T10:00:0{number}Z") for number, name in enumerate("ab")]
    for number, name in enumerate("ab" if draw else ""):
        draw_photo(folder / "media" / f"{name}.jpg", 0, number)
    of_photos = [row(*two) for row in observations]
    return write_package(folder, {"deployments": [deployment("d")], "media": [*two, *media], "observations": of_photos})


def test_the_structure_of_the_published_example(package):
    root, listing = listed(package)
    assert listing.classes == sorted(SPECIES) and root == listing.root
    assert listing.counts() == dict.fromkeys(SPECIES, 3 * 3 * 2 + 3 * 3)  # of events, the blank photo counts, too
    assert listing.left_out == {"blank photos": 27}
    table = pd.read_csv(root / "manifest.csv", dtype=str)
    assert set(table["observer"]) == set(DEPLOYED) and table["observation_id"].nunique() == 36
    assert table["taken_on"].str.endswith("Z").all() and set(table["lat"]) == {str(n) for n in DEPLOYED.values()}
    _, with_blanks = listed(package, blanks=True)
    assert with_blanks.counts()["blank"] == 27 and not with_blanks.left_out


def test_blank_photos_are_a_class_where_it_is_named(package):
    settings = {"_target_": "fishnet.data.datamodule.ImageFolderData", "root": str(package), "classes": None}
    assert "blank" not in source_of(settings).counts()
    assert source_of(settings | {"classes": [DUCK, "blank"]}).counts()["blank"] == 27


def test_a_split_keeps_sequences_and_days_of_a_camera_together(package):
    root, listing = listed(package)
    index = build_index(root, listing=listing, progress=False)
    together = index.table.groupby(["deployment_id", index.table["taken_on"].str[:10]])["group"].nunique()
    assert (together == 1).all() and index.table["group"].nunique() > 8
    by_place = build_index(root, listing=listing, progress=False, group="deployment_id", duplicates="ignore")
    assert by_place.table["group"].nunique() == 4


def test_nothing_is_read_again_and_what_has_gone_goes(package):
    root, listing = listed(package)
    first = {path: (root / path).stat() for path, *_ in listing.photos}
    again = listed(package)[1]
    assert again.photos == listing.photos
    assert {path: (root / path).stat().st_ctime_ns for path in first} == {p: s.st_ctime_ns for p, s in first.items()}
    gone = package.parent / "media" / "00a2c20d00_0.jpg"
    gone.unlink()
    draw_photo(package.parent / "media" / "00a2c20d00_1.jpg", 3, 7777)  # in place, or as another file
    after = listed(package)[1]
    assert len(after.photos) == len(listing.photos) - 1
    assert after.left_out["photos that are not there"] == 1
    linked = root / DUCK / "media" / "00a2c20d00_1.jpg"
    assert linked.read_bytes() == (package.parent / "media" / "00a2c20d00_1.jpg").read_bytes()


def test_photos_are_copied_where_there_are_no_links(package, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    root, listing = listed(package)
    assert len(listing.photos) == 81
    before = {path: (root / path).stat().st_ino for path, *_ in listing.photos}
    assert {path: (root / path).stat().st_ino for path, *_ in listed(package)[1].photos} == before


@pytest.mark.parametrize(
    ("observations", "classes", "left_out"),
    [
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", a, DUCK)], {"a": DUCK}, "photos without an obser"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, ""), lambda a, b: seen("3", b, RAT)],
         {"a": DUCK, "b": RAT}, None),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, FOX), lambda a, b: seen("3", b, RAT)],
         {"a": DUCK}, "photos of two species or more"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, observationType="animal")],
         {"a": DUCK}, "photos of an animal without a name"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, observationType="human")],
         {"a": DUCK}, "photos without an animal"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, RAT, classificationMethod="machine")],
         {"a": DUCK}, "photos that only a machine has classified"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", a, RAT, classificationMethod="machine"),
          lambda a, b: seen("3", b, FOX, classificationMethod="")], {"a": DUCK, "b": FOX}, None),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, "../../etc")], {"a": DUCK}, "photos whose name"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: seen("2", b, ".hidden")], {"a": DUCK}, "photos whose name"),
        ([lambda a, b: seen("1", a, DUCK), lambda a, b: {**seen("2", b, RAT), "mediaID": "nobody's"}],
         {"a": DUCK}, "photos without an observation"),
    ],
)  # fmt: skip
def test_what_a_photo_shows(tmp_path, observations, classes, left_out):
    file = small(tmp_path / "package", observations)
    assert classes_of(file) == classes
    kinds = list(listed(file)[1].left_out)
    assert [kind.startswith(left_out) for kind in kinds] == [True] if left_out else not kinds


@pytest.mark.parametrize(
    "event",
    [
        {"eventStart": "2020-06-01T12:00:01+02:00", "eventEnd": "2020-06-01T12:00:09+02:00"},
        {"eventStart": "2020-06-01T10:00:01Z", "eventEnd": "2020-06-01T10:00:01Z", "eventID": "e"},
    ],
)
def test_an_event_is_of_the_photos_between_its_start_and_its_end(tmp_path, event):
    def whole(a, b):
        return {**seen("1", a, DUCK), "mediaID": "", "observationLevel": "event", **event}

    file = small(tmp_path / "package", [whole])
    assert classes_of(file) == {"b": DUCK}
    known = {row["media_id"]: row["observation_id"] for row in package_photos(file)}
    assert known == {"a": "", "b": "d:e" if "eventID" in event else ""}


def test_an_event_by_the_name_that_media_carry(tmp_path):
    """As in packages before 1.0."""

    def whole(a, b):
        a["sequenceID"], b["sequenceID"] = "s", "t"
        times = {"eventStart": "", "eventEnd": "", "eventID": "t"}
        return {**seen("1", a, DUCK), "mediaID": "", "observationLevel": "event", **times}

    assert classes_of(small(tmp_path / "package", [whole])) == {"b": DUCK}


def test_events_without_number_that_overlap_are_refused(tmp_path):
    times = {"eventStart": "2020-06-01T10:00:00Z", "eventEnd": "2020-06-01T10:00:09Z"}

    def whole(name):
        return lambda a, b: {**seen(name, a, DUCK), "mediaID": "", "observationLevel": "event", **times}

    file = small(tmp_path / "package", [whole(str(number)) for number in range(1001)])
    with pytest.raises(BadInput, match="more than 1000 events"):
        package_photos(file)


def test_addresses_are_not_fetched_and_videos_are_not_photos(tmp_path):
    more = [
        medium("c", "d", "2020-06-01T10:00:00Z", filePath="https://example.org/c.jpg"),
        medium("v", "d", "2020-06-01T10:00:00Z", filePath="media/v.mp4", fileMediatype="video/mp4"),
    ]
    file = small(tmp_path / "package", [lambda a, b: seen("1", a, DUCK)], more)
    kinds = listed(file)[1].left_out
    assert sum("addresses, which are not fetched: download them" in kind for kind in kinds) == 1
    assert kinds["media that are video"] == 1
    far = write_package(
        tmp_path / "far",
        {"deployments": [deployment("d")], "media": more[:1], "observations": [seen("1", more[0], DUCK)]},
    )
    for read in (listed, package_photos):
        with pytest.raises(BadInput, match="1 photos that are addresses, which are not fetched: download them"):
            read(far)


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "/etc/passwd", "media/../../secret.jpg", "~/x.jpg", "C:\\x.jpg", "..\\x.jpg", "out/x.jpg",
             "media/link.jpg", "media/\0.jpg"]
)  # fmt: skip
def test_paths_that_leave_the_package_are_refused(tmp_path, path):
    draw_photo(tmp_path / "secret.jpg", 0, 0)
    (tmp_path / "elsewhere").mkdir()
    draw_photo(tmp_path / "elsewhere" / "x.jpg", 0, 0)
    file = small(
        tmp_path / "package",
        [lambda a, b: seen("1", a, DUCK)],
        [medium("x", "d", "2020-06-01T10:00:00Z", filePath=path)],
    )
    os.symlink(tmp_path / "elsewhere", tmp_path / "package" / "out")
    os.symlink(tmp_path / "secret.jpg", tmp_path / "package" / "media" / "link.jpg")
    for read in (listed, package_photos):
        with pytest.raises(BadInput, match=r"leave the folder of the package|cannot be read as a UTF-8 table"):
            read(file)
    assert not (tmp_path / ".package.fishnet").exists()


def rewrite(file, **changes):
    content = json.loads(file.read_text())
    resources = {each["name"]: each for each in content["resources"]}
    resources["media"] |= changes.pop("media", {})
    content["resources"] = list(resources.values())
    file.write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda file: file.write_text("{"), "cannot be read as JSON"),
        (lambda file: file.write_text("[" * 100_000), "cannot be read as JSON"),
        (lambda file: file.write_text("[]"), "it lists no resources"),
        (lambda file: file.write_text('{"resources": [1]}'), "it lists no resources"),
        (lambda file: file.write_text('{"resources": []}'), "no resource deployments, media, observations"),
        (lambda file: rewrite(file, profile="https://x.org/tdwg/camtrap-dp/0.6/p.json"), "is Camtrap DP 0.6"),
        (lambda file: rewrite(file, media={"path": "../media.csv"}), "leaves the folder"),
        (lambda file: rewrite(file, media={"path": "/etc/passwd"}), "leaves the folder"),
        (lambda file: rewrite(file, media={"path": "https://x.org/media.csv"}), "is not a file of the package"),
        (lambda file: rewrite(file, media={"path": ["a.csv", "b.csv"]}), "is not a file of the package"),
        (lambda file: rewrite(file, media={"path": "other.csv"}), "there is no table other.csv"),
        (lambda file: (file.parent / "media.csv").write_text("a,b\n1,2\n"), "has no column mediaID, deploymentID"),
        (lambda file: (file.parent / "media.csv").write_bytes(b"mediaID\xff,\n"), "UTF-8 table"),
        (lambda file: (file.parent / "media.csv").write_bytes(b"\0" * 50), "cannot be read|has no column"),
        (lambda file: (file.parent / "media.csv").write_text("x" * 200_000), "cannot be read|has no column"),
        (lambda file: os.truncate(file.parent / "media.csv", 5 * 2**30), "is larger than 4 GB"),
        (lambda file: os.truncate(file, 2**27), "is larger than 64 MB"),
    ],
)
def test_what_is_no_package_is_one_sentence(tmp_path, spoil, word):
    file = small(tmp_path / "package", [lambda a, b: seen("1", a, DUCK)])
    spoil(file)
    with pytest.raises(BadInput, match=word):
        _ = folder_source(str(file), None).listing


def test_one_id_for_two_photos_is_refused(tmp_path):
    file = small(tmp_path / "package", [lambda a, b: seen("1", a, DUCK)], [medium("a", "d", "2020-06-01T10:00:00Z")])
    with pytest.raises(BadInput, match="have a twice"):
        listed(file)


def test_a_package_without_a_class_says_why(tmp_path):
    file = small(tmp_path / "package", [lambda a, b: seen("1", a), lambda a, b: seen("2", b)])
    with pytest.raises(BadInput, match=r"no photo of the package has a class \(2 blank photos\)"):
        listed(file)
