"""A list of addresses: CSV, Parquet, GBIF's columns, and rows that lead where no list should lead."""

import csv

import pytest
from collected import ALL, everything_below, photos_in, rows_of
from replica import Replica


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
    assert done.returncode == 0, done.stdout
    assert len(rows_of(tmp_path)) == len(replica.world.label_of)
    reasons = (tmp_path / "data/.lake.fishnet/not_kept.csv").read_text()
    assert all(url in reasons for url in urls)
    assert all(place.count("/") == 1 for place in photos_in(tmp_path))
    assert everything_below(tmp_path) == ["data", "photos.csv"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1,2\n", "no column 'url'"),
        ("url,b\n1,2\n", "no column 'class'"),
        ("url,class\n", "no row"),
        (None, "does not exist"),
    ],
)
def test_lists_that_are_none(replica, collect, tmp_path, text, word):
    if text is not None:
        (tmp_path / "x.csv").write_text(text)
    done = collect(replica, "source=list", "list=x.csv")
    assert done.returncode == 2 and word in done.stdout, done.stdout
    assert everything_below(tmp_path) == (["x.csv"] if text is not None else [])
