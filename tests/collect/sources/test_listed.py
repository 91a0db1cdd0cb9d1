"""A list of addresses: CSV, Parquet, GBIF's columns, and rows that lead where no list should lead."""

import csv
import re
import sqlite3

import pytest

from experiments.replica import FAULTS, Replica, World, running
from experiments.replica.faults import status
from tests.support.collected import ALL, everything_below, photos_in, rows_of


@pytest.fixture
def listed(replica: Replica, tmp_path):
    """A table of all photos of the replica, as `write(columns)` likes to call them."""

    def write(name: str = "photos.csv", extra: list | None = None, **columns: str):
        names = {"url": "url", "class": "class", "licence": "licence"} | columns
        rows = []
        for one in replica.world.found:
            for photo in replica.world.observation(one)["photos"]:
                url = photo["url"].replace("square", "medium")
                values = {
                    "url": url,
                    "class": one["taxon"][1],
                    "licence": photo["license_code"] or "all rights reserved",
                }
                rows.append({names[key]: value for key, value in values.items()})
        rows += extra or []
        file = tmp_path / name
        if name.endswith(".parquet"):
            import pyarrow
            import pyarrow.parquet as parquet

            parquet.write_table(pyarrow.Table.from_pylist(rows), file)
        else:
            with open(file, "w", newline="") as out:
                table = csv.DictWriter(out, rows[0], delimiter="\t" if name.endswith(".tsv") else ",")
                table.writeheader()
                table.writerows(rows)
        return file

    return write


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("photos.csv", {}),
        ("photos.parquet", {"class": "label"}),
        ("multimedia.tsv", {"url": "identifier", "class": "scientificName", "licence": "license"}),
    ],
)
def test_all_kinds_of_tables(replica, collect, listed, tmp_path, name, columns):
    done = collect(replica, "source=list", f"list={listed(name, **columns)}", *ALL)
    assert done.returncode == 0, done.stdout
    assert {row["photo_id"] for row in rows_of(tmp_path)} == {str(one) for one in replica.world.label_of}
    assert len({row["class"] for row in rows_of(tmp_path)}) == 3
    assert all(
        row["class"].endswith(("perca-fluviatilis", "esox-lucius", "cyprinus-carpio")) for row in rows_of(tmp_path)
    )


def test_hostile_rows_are_refused_with_a_reason_and_nothing_else_suffers(replica, collect, listed, tmp_path):
    urls = [
        "file:///etc/passwd",
        "http://169.254.169.254/x.jpg",
        "http://localhost:1/x.jpg",
        "http://[::1]/x",
        "javascript:1",
    ]
    extra = [{"url": url, "class": "../../evil", "licence": "cc0"} for url in urls]
    done = collect(replica, "source=list", f"list={listed(extra=extra)}", *ALL)
    assert done.returncode == 1 and "none of 5 photos could be kept" in done.stdout, done.stdout
    assert len(rows_of(tmp_path)) == len(replica.world.label_of)
    reasons = (tmp_path / "data/.lake.fishnet/not_kept.csv").read_text()
    assert all(url in reasons for url in urls)
    assert all(place.count("/") == 1 for place in photos_in(tmp_path))
    assert everything_below(tmp_path) == ["data", "photos.csv"]


def write(file, rows, delimiter=","):
    with open(file, "w", newline="") as out:
        csv.writer(out, delimiter=delimiter).writerows(rows)
    return f"list={file.name}"


def medium(replica, taxon=47162):
    return [f"{replica.world.base}/photos/{one}/medium.jpg" for one in replica.world.photo_ids(taxon)]


def test_ids_of_the_lists_own_that_are_used_twice_lose_no_photo(replica, collect, tmp_path):
    rows = [(url, ("perch", "pike")[k % 2], k // 4) for k, url in enumerate(medium(replica)[:12])]
    done = collect(replica, "source=list", write(tmp_path / "x.csv", [("url", "class", "photo_id"), *rows], ";"), *ALL)
    assert done.returncode == 0, done.stdout
    assert sorted(row["url"] for row in rows_of(tmp_path)) == sorted(url for url, _, _ in rows)


def test_one_photo_an_observation_and_not_always_the_first(replica, collect, tmp_path):
    rows = [(url, "perch", k // 3) for k, url in enumerate(medium(replica)[:36])]
    how = ["source=list", write(tmp_path / "x.csv", [("url", "class", "observation_id"), *rows]), "licences=any"]
    assert collect(replica, *how).returncode == 0
    kept = [row["url"] for row in rows_of(tmp_path)]
    assert len(kept) == 12 and len({row["observation_id"] for row in rows_of(tmp_path)}) == 12
    assert set(kept) != {url for url, _, _ in rows[::3]}


def test_one_file_at_many_addresses_is_kept_once(replica, collect, tmp_path):
    """Nobody is named, and the addresses have no photo's number: they are copies, not a notice."""
    url = medium(replica)[0].replace("medium", "photo")
    rows = [(f"{url}?{k}", "perch") for k in range(5)]
    done = collect(replica, "source=list", write(tmp_path / "x.csv", [("url", "class"), *rows]), *ALL)
    assert done.returncode == 0 and "4 × the same bytes as another" in done.stdout, done.stdout
    assert len(rows_of(tmp_path)) == 1


def test_a_taxon_with_another_name_in_the_list_keeps_its_folder(replica, collect, tmp_path):
    for name in ("Perca fluviatilis", "Perca fluviatilis L."):
        rows = [(url, name, 47162) for url in medium(replica)[:4]]
        table = write(tmp_path / "x.csv", [("url", "class", "taxon_id"), *rows])
        assert collect(replica, "source=list", table, *ALL).returncode == 0
        assert len(rows_of(tmp_path)) == len(photos_in(tmp_path)) == 4


def test_a_host_that_is_down_does_not_keep_the_others_back(replica, collect, tmp_path, monkeypatch):
    monkeypatch.setattr("fishnet.collect.fetching.ATTEMPTS", 1)
    down = [(f"http://127.0.0.1:1/photos/{number}/medium.jpg", "aspius") for number in range(1, 71)]
    well = [(url, "perch") for url in medium(replica)[:4]]
    table = write(tmp_path / "x.csv", [("url", "class"), *down, *well])
    hosts = f"hosts=['{replica.host}','127.0.0.1:1']"
    done = collect(replica, "source=list", table, *ALL, hosts)
    assert done.returncode == 1 and "fetched from 127.0.0.1:1" in done.stdout, done.stdout
    assert "none of 70 photos could be kept" in done.stdout and len(rows_of(tmp_path)) == 4
    assert "its host was left alone" in (tmp_path / "data/.lake.fishnet/not_kept.csv").read_text()
    again = collect(replica, "source=list", table, *ALL, hosts)  # there is nothing else to ask any more
    assert again.returncode == 1 and "in a row could not be fetched" in again.stdout, again.stdout


def test_a_host_that_wants_a_day_of_rest_does_not_keep_the_others_back(replica, collect, tmp_path, monkeypatch):
    monkeypatch.setitem(FAULTS, "429 for a day", status("429 -", "Retry-After: 86400"))
    with running(Replica(World(observations=6), share=1.0, faults=["429 for a day"])) as tired:
        down, well = medium(tired, 47164)[:5], medium(replica)[:3]
        rows = [("url", "class"), *((url, "aspius") for url in down), *((url, "perch") for url in well)]
        hosts = f"hosts=['{replica.host}','{tired.host}']"
        done = collect(replica, "source=list", write(tmp_path / "x.csv", rows), *ALL, hosts)
    assert done.returncode == 1 and "nothing more is asked of it" in done.stdout, done.stdout
    assert "none of 5 photos could be kept" in done.stdout and len(rows_of(tmp_path)) == 3


def test_what_failed_before_comes_last(replica, collect, tmp_path, monkeypatch):
    monkeypatch.setattr("fishnet.collect.fetching.ATTEMPTS", 1)
    rows = [(url, "perch") for url in medium(replica)[:8]]
    table = write(tmp_path / "x.csv", [("url", "class"), *rows])
    replica.share, replica.faults = 1.0, ["500"]
    assert collect(replica, "source=list", table, *ALL, "limit=3", "connections=1").returncode == 1
    failed = {path for _, path in replica.log}
    assert len(failed) == 8
    with sqlite3.connect(tmp_path / "data/.lake.fishnet/ledger.sqlite") as ledger:
        ledger.execute(
            "UPDATE photos SET fate = 'waiting' WHERE photo_id NOT IN (?, ?)",
            [one.split("/")[2] for one in sorted(failed)[:2]],
        )
    ledger.close()
    replica.share = 0.0
    assert collect(replica, "source=list", table, *ALL, "limit=6").returncode == 0
    assert not {row["url"].removeprefix(replica.world.base) for row in rows_of(tmp_path)} & set(sorted(failed)[:2])


def test_a_number_that_no_file_can_be_called_ends_nothing(replica, collect, tmp_path):
    urls = [*medium(replica)[:2], f"{replica.world.base}/photos/{'9' * 300}/medium.jpg"]
    table = write(tmp_path / "x.csv", [("url", "class"), *((url, "perch") for url in urls)])
    done = collect(replica, "source=list", table, *ALL)
    assert done.returncode == 0 and len(rows_of(tmp_path)) == 3, done.stdout


def test_days_are_heeded_and_what_tells_none_is_left_out(replica, collect, tmp_path):
    days = [
        "2020-01-01",
        "2021-06-30 12:00:00",
        "2021-07-01",
        "2020",
        "2019-12/2020-01",
        "2020-02/2020-03",
        "",
        "May 2020",
    ]
    rows = [(url, "perch", day) for url, day in zip(medium(replica), days, strict=False)]
    table = write(tmp_path / "x.csv", [("url", "class", "taken_on"), *rows])
    done = collect(replica, "source=list", table, "licences=any", "since=2020-01-01", "until=2021-06-30")
    assert done.returncode == 0, done.stdout
    assert {row["taken_on"] for row in rows_of(tmp_path)} == {days[0], days[1], days[3], days[5]}
    assert "2 photos of other days left out; 2 photos without a day such as 2020-05-31 left out" in done.stdout
    assert collect(replica, "refresh=true").returncode == 0
    assert len(rows_of(tmp_path)) == 4


@pytest.mark.parametrize(
    ("source", "setting"),
    [("list", "place=6712"), ("list", "quality=casual"), ("list", "size=large"), ("browser", "since=2020-01-01")],
)
def test_what_a_source_cannot_heed_is_refused(replica, collect, tmp_path, source, setting):
    table = write(tmp_path / "x.csv", [("url", "class"), (medium(replica)[0], "perch")])
    how = [table] if source == "list" else ["taxa=47162"]
    done = collect(replica, f"source={source}", *how, "licences=any", setting)
    assert done.returncode == 2 and f"is nothing for source={source}" in done.stdout, done.stdout
    assert everything_below(tmp_path) == ["x.csv"]


def test_a_list_that_has_grown_is_read_again(replica, collect, tmp_path):
    """One photo an observation stays one, also where the lot would fall on another now."""
    urls = medium(replica)
    for count in (3, 9):
        rows = [(url, "perch", k % 4) for k, url in enumerate(urls[:count])]
        table = write(tmp_path / "x.csv", [("url", "class", "observation_id"), *rows])
        assert collect(replica, "source=list", table, "licences=any").returncode == 0
        kept = {row["url"] for row in rows_of(tmp_path)}
        assert kept >= set(urls[:3]) and len(kept) == min(count, 4)


def test_an_archive_of_gbif(replica, collect, tmp_path):
    """Species stand in another file than addresses, and quotes are only quotes."""
    photos = [
        ("gbifID", "identifier", "title", "creator"),
        *((k // 2, url, '"A', "") for k, url in enumerate(medium(replica)[:6])),
    ]
    seen = [
        ("gbifID", "species", "speciesKey", "eventDate"),
        *((k, "Perca fluviatilis", 2382155, "2020-05-0" + str(k + 1)) for k in range(3)),
    ]
    for name, rows in (("multimedia.txt", photos), ("occurrence.txt", seen)):
        (tmp_path / name).write_text("\n".join("\t".join(map(str, row)) for row in rows))
    assert collect(replica, "source=list", "list=multimedia.txt", *ALL).returncode == 0
    rows = rows_of(tmp_path)
    assert len(rows) == 6 and {row["class"] for row in rows} == {"2382155-perca-fluviatilis"}
    assert sorted({row["taken_on"] for row in rows}) == ["2020-05-01", "2020-05-02", "2020-05-03"]


def test_photos_of_other_licences_are_counted(replica, collect, listed, tmp_path):
    table = listed()
    done = collect(replica, "source=list", f"list={table}", "per_observation=all", "limit=null", "licences=[cc0]")
    assert done.returncode == 0, done.stdout
    assert {row["licence"] for row in rows_of(tmp_path)} == {"cc0"}
    left = len(replica.world.label_of) - len(rows_of(tmp_path))
    assert sum(map(int, re.findall(r"(\d+) photos of other licences left out", done.stdout))) == left


def test_a_list_of_which_nothing_can_be_kept_is_a_failure(replica, collect, tmp_path):
    rows = [("url", "class"), ("http://evil.example.com:8080/a.jpg", "perch"), ("ftp://example.org/a.jpg", "perch")]
    done = collect(replica, "source=list", write(tmp_path / "x.csv", rows), *ALL)
    assert done.returncode == 1 and "of perch, none of 2 photos could be kept" in done.stdout, done.stdout
    assert not [one for one in (tmp_path / "data/lake").iterdir() if one.is_dir()]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "it is empty"),
        ("<!DOCTYPE html>\n<p>404</p>\n", "no column 'url'"),
        ("a,b\n1,2\n", "no column 'url'"),
        ("url,b\n1,2\n", "no column 'class'"),
        ("url,class\nhttp://example.org/a.jpg,perch\n", "licences=any"),
        ("url,class,licence\n", "no row"),
        (None, "does not exist"),
    ],
)
def test_lists_that_are_none(replica, collect, tmp_path, text, word):
    if text is not None:
        (tmp_path / "x.csv").write_text(text)
    done = collect(replica, "source=list", "list=x.csv")
    assert done.returncode == 2 and word in done.stdout, done.stdout
    assert everything_below(tmp_path) == (["x.csv"] if text is not None else [])


def test_a_parquet_file_with_a_broken_page_is_told_in_words(replica, collect, listed, tmp_path):
    table = listed("photos.parquet")
    body = bytearray(table.read_bytes())
    body[20:60] = bytes(range(100, 140))
    table.write_bytes(body)
    done = collect(replica, "source=list", f"list={table}", "licences=any")
    assert done.returncode == 2 and "cannot be read to its end" in done.stdout, done.stdout
    assert everything_below(tmp_path) == ["photos.parquet"]


def test_a_host_that_is_named_later_is_asked_then(replica, collect, tmp_path):
    table = write(tmp_path / "x.csv", [("url", "class"), *((url, "perch") for url in medium(replica)[:4])])
    first = collect(replica, "source=list", table, *ALL, "hosts=['127.0.0.1:1']")
    assert first.returncode == 1 and "not named in hosts=" in first.stdout, first.stdout
    assert replica.log == []
    assert collect(replica, "source=list", table, *ALL).returncode == 0
    assert len(rows_of(tmp_path)) == 4
