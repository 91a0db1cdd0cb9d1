"""The whole way: what arrives, what is refused and why, and what a second command does."""

import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from experiments.replica import World
from tests.support.collected import ALL, everything_below, photos_in, rows_of
from tests.support.processes import environment, fishnet_itself

COLUMNS = (
    "path,class,sha256,source,photo_id,observation_id,observer,licence,attribution,url,taken_on,lat,lon,fetched_at"
)


def test_three_species_and_the_same_again(replica, collect, tmp_path):
    taxa = "taxa=Perca fluviatilis, northern pike,47164"
    done = collect(replica, taxa, "limit=8")
    assert done.returncode == 0, done.stdout
    assert "47162-perca-fluviatilis" in done.stdout and "24 photos in 3 class folders" in done.stdout
    rows, asked = rows_of(tmp_path), len(replica.log)
    assert (tmp_path / "data/lake/manifest.csv").read_text().splitlines()[0] == COLUMNS
    assert {row["path"] for row in rows} | {"manifest.csv"} >= photos_in(tmp_path)
    assert len(rows) == 24 and all(row["licence"].startswith("cc") and row["attribution"] for row in rows)
    assert not any("nd" in row["licence"] for row in rows)
    assert len({row["observation_id"] for row in rows}) == 24
    assert (
        (tmp_path / "data/lake/classes.csv")
        .read_text()
        .splitlines()[1]
        .startswith("47162-perca-fluviatilis,47162,Perca")
    )
    again = collect(replica, taxa, "limit=8")
    assert again.returncode == 0, again.stdout
    assert len(replica.log) == asked  # neither a photo nor an answer is asked for twice
    more = collect(replica, taxa, "limit=10")
    assert more.returncode == 0, more.stdout
    assert len(rows_of(tmp_path)) == 30
    assert len(replica.log) == asked + 6


def test_the_sample_follows_the_seed_and_not_the_order_of_the_list(replica, collect, tmp_path):
    chosen = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert collect(replica, "taxa=47162", f"name={name}", f"seed={seed}", "limit=6").returncode == 0
        chosen[name] = {row["photo_id"] for row in rows_of(tmp_path, name)}
    assert chosen["a"] == chosen["b"] != chosen["c"]
    oldest = sorted(map(int, replica.served))[:6]
    assert chosen["a"] != set(map(str, oldest))


def test_what_cannot_be_kept_has_a_reason(replica, collect, tmp_path):
    world = replica.world
    ids = world.photo_ids(47162)
    other = world.photo_ids(47163)
    world.twins = {ids[1]: ids[0], other[0]: ids[5]}  # within a class, and across two
    world.flagged, world.gone = set(ids[2:4]), {ids[4]}
    replica.flagged_by_redirect = True
    done = collect(replica, "taxa=47162,47163", *ALL)
    assert done.returncode == 0, done.stdout
    kept = {row["photo_id"]: row for row in rows_of(tmp_path)}
    assert len({str(ids[0]), str(ids[1])} & set(kept)) == 1
    assert not {str(one) for one in (*ids[2:6], other[0])} & set(kept)
    (both,) = [row for number, row in kept.items() if int(number) in ids[:2]]
    observers = {next(one["user"] for one in world.found if k in [p[0] for p in one["photos"]]) for k in ids[:2]}
    assert all(f"observer_{one}" in both["attribution"] for one in observers)
    reasons = (tmp_path / "data/.lake.fishnet/not_kept.csv").read_text()
    for word in ("the same bytes as", "flagged", "not there any more", "under two classes"):
        assert word in reasons and word in done.stdout.replace("the same bytes as another", "the same bytes as")
    assert photos_in(tmp_path) == {row["path"] for row in kept.values()}


def test_a_notice_served_in_place_of_photos_is_known_by_its_bytes(replica, collect, tmp_path):
    ids = replica.world.photo_ids(47162)
    replica.world.flagged = set(ids[:12])
    replica.flagged_by_redirect = False
    assert collect(replica, "taxa=47162", *ALL).returncode == 0
    assert not {row["photo_id"] for row in rows_of(tmp_path)} & {str(one) for one in ids[:12]}


def test_photos_deleted_by_hand_stay_deleted_and_an_edited_manifest_is_kept(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=5").returncode == 0
    gone = rows_of(tmp_path)[0]["path"]
    (tmp_path / "data/lake" / gone).unlink()
    manifest = tmp_path / "data/lake/manifest.csv"
    manifest.write_text(manifest.read_text() + "mine,,,,,,,,,,,,,\n")
    done = collect(replica, "taxa=47162", "limit=5")
    assert done.returncode == 0 and "deleted by hand" in done.stdout
    assert gone not in photos_in(tmp_path)
    assert len(rows_of(tmp_path)) == 5
    assert "mine" in (tmp_path / "data/lake/manifest.edited-1.csv").read_text()
    assert "had been changed by hand: that one is manifest.edited-1.csv now" in done.stdout


def test_half_files_go_and_whole_ones_without_a_fate_are_taken_over(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=5").returncode == 0
    rows, served = rows_of(tmp_path), sum(replica.served.values())
    folder = tmp_path / "data/lake/47162-perca-fluviatilis"
    two = [row["photo_id"] for row in rows[:2]]
    (folder / ".77.part").write_bytes(b"half")
    (folder / ".78.whole").write_bytes(b"\xff\xd8\xff no photo")
    laid_down = folder.parent / rows[1]["path"]  # a process that died before it had decoded this one
    laid_down.rename(folder / f".{rows[1]['photo_id']}.whole")
    with sqlite3.connect(tmp_path / "data/.lake.fishnet/ledger.sqlite") as ledger:
        ledger.execute("UPDATE photos SET fate = 'waiting', file = '' WHERE photo_id IN (?, ?)", two)
    ledger.close()
    assert collect(replica, "taxa=47162", "limit=5").returncode == 0
    assert [row["path"] for row in rows_of(tmp_path)] == [row["path"] for row in rows]
    assert sum(replica.served.values()) == served
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGTERM, "/photos/"), (signal.SIGHUP, "/photos/"), (signal.SIGINT, "/v1/obs")]
)
def test_a_signal_ends_it_in_order(replica, tmp_path, monkeypatch, number, moment):
    """The exit status tells the signal, one sentence how to go on; what was kept is in the tables."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    replica.latency = 0.1
    command = [sys.executable, "-m", "fishnet", "collect", "name=lake", "taxa=47162", *replica.settings(), *ALL]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    while sum(moment in path for _, path in replica.log) < (20 if moment == "/photos/" else 2):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said and "the same command goes on" in said
    assert {row["path"] for row in rows_of(tmp_path)} == photos_in(tmp_path)
    assert (len(rows_of(tmp_path)) >= 2) == (moment == "/photos/")


def test_a_disk_that_is_full_ends_it_in_words_and_the_same_command_goes_on(replica, collect, tmp_path, monkeypatch):
    """A limit on the size of a file is what a disk without room looks like to a program: the write fails."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for arguments, kilobytes in ((["limit=2"], 4), (ALL, 200)):  # at the first word of the ledger; in the middle
        settings = ["name=lake", "taxa=47162", *replica.settings(), *arguments]
        command = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$0" -m fishnet collect "$@"', sys.executable, *settings]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert "same command goes on when that is mended" in done.stderr
        assert bool(photos_in(tmp_path)) == (kilobytes == 200)
    assert collect(replica, "taxa=47162", *ALL).returncode == 0
    assert len(rows_of(tmp_path)) == len(replica.world.photo_ids(47162))


def test_a_folder_that_was_removed_is_begun_anew(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=30").returncode == 0
    before = photos_in(tmp_path)
    shutil.rmtree(tmp_path / "data/lake")
    done = collect(replica, "refresh=true")
    assert done.returncode == 2 and "not there any more" in done.stdout
    assert collect(replica, "taxa=47162", "limit=30").returncode == 0
    assert photos_in(tmp_path) == before


def test_a_ledger_that_is_gone_or_no_ledger(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=2").returncode == 0
    ledger = tmp_path / "data/.lake.fishnet/ledger.sqlite"
    ledger.write_bytes(b"nonsense" * 1000)
    done = collect(replica, "taxa=47162", "limit=2")
    assert done.returncode == 1 and "not a database" in done.stdout and "Traceback" not in done.stdout
    ledger.unlink()
    done = collect(replica, "taxa=47162", "limit=2")
    assert done.returncode == 2 and "whose ledger" in done.stdout
    assert len(rows_of(tmp_path)) == 2


def test_a_taxon_without_photos_does_not_spoil_the_next_command(replica, collect, tmp_path):
    assert replica.world.found  # of three species; the fourth has none
    replica.world.species.append((5, "Nemo nullus", "Nobody"))
    done = collect(replica, "taxa=47162,5", "limit=2")
    assert done.returncode == 1 and "nothing was found of Nemo nullus" in done.stdout
    assert len(rows_of(tmp_path)) == 2
    assert collect(replica, "taxa=47162", "limit=2").returncode == 0
    calls = len(replica.calls())
    assert collect(replica, "taxa=47162,5", "limit=2").returncode == 1
    assert len(replica.calls()) > calls  # there may be photos of it by now


@pytest.mark.parametrize(
    ("name", "value", "status", "word"),
    [
        ("no_proxy", "localhost,127.0.0.1,::1,.local", 0, "2 photos"),
        ("http_proxy", "http://[bad", 2, "http_proxy"),
        ("XDG_CACHE_HOME", "/proc/nowhere", 1, "/proc/nowhere"),
    ],
)
def test_what_the_environment_says(replica, tmp_path, monkeypatch, name, value, status, word):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(name, value)
    done = fishnet_itself(tmp_path, "collect", "name=lake", "taxa=47162", "limit=2", *replica.settings())
    assert done.returncode == status and word in done.stdout and "Traceback" not in done.stdout, done.stdout


def test_a_server_that_is_down_ends_it_in_words_and_the_same_command_goes_on(replica, collect, tmp_path):
    replica.share, replica.faults = 1.0, ["500"]
    done = collect(replica, "taxa=47162,47163,47164", "connections=32", *ALL)
    assert done.returncode == 1
    assert "in a row could not be fetched" in done.stdout and "Traceback" not in done.stdout
    replica.share = 0.0
    assert collect(replica, "taxa=47162,47163,47164", *ALL).returncode == 0
    assert len(rows_of(tmp_path)) == len(replica.world.label_of)


def test_an_api_that_answers_with_web_pages_or_not_at_all(replica, collect, tmp_path):
    replica.api_share, replica.faults = 1.0, ["HTML with status 200"]
    done = collect(replica, "taxa=47162")
    assert done.returncode == 1 and "not of the API's shape" in done.stdout
    assert everything_below(tmp_path) == ["said"] or "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["taxa=Perca fluviatlis"], 2, ["did you mean", "Perca fluviatilis", "47162"]),
        (["taxa=Esox"], 2, ["Esox lucius"]),
        (["taxa=Perca"], 2, ["belongs to", "1001", "1002"]),
        (["taxa=99999999"], 2, ["no taxon of this number"]),
        (["taxa=Homo ludens"], 2, ["no taxon of this name"]),
        (["taxa=47162", "until=1901-01-01"], 1, ["nothing was found of Perca fluviatilis"]),
    ],
)
def test_unknown_ambiguous_and_empty(replica, collect, tmp_path, arguments, status, words):
    replica.world.species += [(1001, "Perca", "Perches"), (1002, "Perca", "A bug")]
    done = collect(replica, *arguments)
    assert done.returncode == status, done.stdout
    assert all(word in done.stdout for word in words), done.stdout
    assert "Traceback" not in done.stdout
    if status == 2:
        assert everything_below(tmp_path) == []


def test_a_name_under_which_nothing_was_collected_has_nothing_to_refresh(replica, collect, tmp_path):
    (tmp_path / "data/lake").mkdir(parents=True)
    assert collect(replica, "taxa=Homo ludens").returncode == 2
    done = collect(replica, "refresh=true")
    assert done.returncode == 2 and "nothing was collected under this name" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("setting", "word"),
    [(f"limit={'9' * 20}", "this is 1 to"), (f"name={'𠀀' * 70}", "too long for the name of a folder")],
    ids=["limit", "name"],
)
def test_sizes_that_nothing_can_hold(replica, collect, tmp_path, setting, word):
    done = collect(replica, "taxa=47162", setting)
    assert done.returncode == 2 and word in done.stdout and "Traceback" not in done.stdout, done.stdout
    assert everything_below(tmp_path) == []


def test_a_broken_file_of_politeness_is_not_called_the_users_ledger(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=2").returncode == 0
    for file in (tmp_path / "cache/fishnet/collect").glob("politeness.sqlite*"):
        file.write_bytes(b"garbage" * 500)
    done = collect(replica, "taxa=47162", "limit=3")
    assert done.returncode == 1 and "politeness.sqlite" in done.stdout and "may be deleted" in done.stdout, done.stdout
    assert "ledger.sqlite" not in done.stdout and "Traceback" not in done.stdout


def test_refresh_drops_what_was_withdrawn_or_deleted(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=10").returncode == 0
    rows = rows_of(tmp_path)
    withdrawn, deleted = (int(row["photo_id"]) for row in rows[:2])
    replica.world.withdrawn, replica.world.deleted = {withdrawn}, {deleted}
    done = collect(replica, "refresh=true")
    assert done.returncode == 0, done.stdout
    assert "licence is now all-rights-reserved" in done.stdout and "deleted at the source" in done.stdout
    assert [row["photo_id"] for row in rows_of(tmp_path)] == [row["photo_id"] for row in rows[2:]]
    assert photos_in(tmp_path) == {row["path"] for row in rows[2:]}


def test_refresh_believes_no_source_that_has_forgotten_everything(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162,47163", *ALL).returncode == 0
    before = photos_in(tmp_path)
    replica.world.deleted = set(replica.world.label_of)
    done = collect(replica, "refresh=true")
    assert done.returncode == 1 and "nothing was dropped" in done.stdout
    assert photos_in(tmp_path) == before
    assert collect(replica, "refresh=true", "drop_many=true").returncode == 0
    assert photos_in(tmp_path) == set()


def test_a_refresh_that_was_killed_before_the_file_went_is_finished_by_the_next(
    replica, collect, tmp_path, monkeypatch
):
    assert collect(replica, "taxa=47162", "limit=6").returncode == 0
    rows = rows_of(tmp_path)
    replica.world.withdrawn = {int(rows[0]["photo_id"])}
    with monkeypatch.context() as patch:
        patch.setattr("fishnet.collect.refreshing.remove", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert collect(replica, "refresh=true").returncode == 130
    assert rows[0]["path"] in photos_in(tmp_path)
    assert collect(replica, "refresh=true").returncode == 0
    assert photos_in(tmp_path) == {row["path"] for row in rows_of(tmp_path)} == {row["path"] for row in rows[1:]}


def test_a_copy_inherits_the_file_of_a_photo_that_was_withdrawn(replica, collect, tmp_path):
    ids = replica.world.photo_ids(47162)
    replica.world.twins = {ids[1]: ids[0]}
    assert collect(replica, "taxa=47162", *ALL).returncode == 0
    (both,) = [row for row in rows_of(tmp_path) if int(row["photo_id"]) in ids[:2]]
    (other,) = {*ids[:2]} - {int(both["photo_id"])}
    replica.world.deleted = {int(both["photo_id"])}
    for command in (["refresh=true"], ["taxa=47162", *ALL]):  # the second one settles what the first has left
        assert collect(replica, *command).returncode == 0
        assert both["path"] in photos_in(tmp_path)
    assert {row["path"]: row["photo_id"] for row in rows_of(tmp_path)}[both["path"]] == str(other)


def test_a_photo_that_was_taken_away_and_put_back_is_kept_again(replica, collect, tmp_path):
    assert collect(replica, "taxa=47162", "limit=3").returncode == 0
    rows = rows_of(tmp_path)
    photo = tmp_path / "data/lake" / rows[0]["path"]
    photo.rename(tmp_path / "elsewhere.jpg")
    assert collect(replica, "taxa=47162", "limit=2").returncode == 0
    assert rows_of(tmp_path) == rows[1:]
    (tmp_path / "elsewhere.jpg").rename(photo)
    assert collect(replica, "taxa=47162", "limit=2").returncode == 0
    assert rows_of(tmp_path) == rows


def test_a_taxon_that_was_renamed_keeps_its_folder_and_its_photos(replica, collect, tmp_path):
    assert replica.world.found
    assert collect(replica, "taxa=47162", "limit=5").returncode == 0
    before = photos_in(tmp_path)
    replica.world.species[0] = (47162, "Perca nova", "European Perch")
    assert collect(replica, "taxa=Perca nova", "limit=7").returncode == 0
    assert before < photos_in(tmp_path) and len(photos_in(tmp_path)) == 7
    assert {row["class"] for row in rows_of(tmp_path)} == {"47162-perca-fluviatilis"}


def test_too_many_to_list_become_a_sample_from_all_ids(replica, collect, tmp_path):
    replica.world = World(observations=2000, most_photos=1, base=replica.world.base)
    done = collect(replica, "taxa=47162", "limit=60", "pool=1000", "quality=any", "licences=any")
    assert done.returncode == 0, done.stdout
    assert "a sample of 1000 observations of 2000" in done.stdout
    ids = sorted(int(row["observation_id"]) for row in rows_of(tmp_path))
    everyone = [one["id"] for one in replica.world.found]
    span = max(everyone) - min(everyone)
    assert ids[0] < min(everyone) + span / 4 and ids[-1] > max(everyone) - span / 4
    assert len({(one - min(everyone)) * 5 // (span + 1) for one in ids}) == 5


def test_without_a_proxy_nothing_is_asked_of_the_host_itself(replica, collect, tmp_path, monkeypatch):
    """The environment's proxy is honoured: one that is not there makes every request fail."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    done = collect(replica, "taxa=47162")
    assert done.returncode == 1 and "no connection" in done.stdout
    assert replica.log == []


def test_a_proxy_of_the_environment_brings_what_cannot_be_reached(replica, collect, tmp_path, monkeypatch):
    """The host's name is nobody's: only the proxy can have answered."""
    monkeypatch.setenv("http_proxy", replica.world.base)
    monkeypatch.setenv("no_proxy", "localhost,::1")
    urls = [f"http://photos.example.org/photos/{one}/medium.jpg" for one in replica.world.photo_ids(47162)[:5]]
    (tmp_path / "x.csv").write_text("\n".join(["url,class", *(f"{url},perch" for url in urls)]))
    for limit in (2, "null"):  # a resumed command asks the same hosts
        done = collect(replica, "source=list", "list=x.csv", "taxa=perch", *ALL, f"limit={limit}")
        assert done.returncode == 0, done.stdout
    assert sorted(row["url"] for row in rows_of(tmp_path)) == sorted(urls)
    assert sorted(path for _, path in replica.log) == sorted(urls)


def test_place_days_and_quality(replica, collect, tmp_path):
    ask = ["taxa=47162", "limit=null", "place=6712", "since=2013-01-01", "until=2021-12-31"]
    assert collect(replica, *ask, "licences=any").returncode == 0
    perch = [one for one in replica.world.found if one["taxon"][0] == 47162 and one["place"] == 6712]
    inside = [one for one in perch if "2013" <= one["day"] <= "2021-12-31" and one["grade"] == "research"]
    assert {int(row["observation_id"]) for row in rows_of(tmp_path)} == {one["id"] for one in inside}
    assert 0 < len(inside) < len(perch)


def test_a_bar_a_species_where_somebody_looks(replica, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    replica.latency = 0.05
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "fishnet", "collect", "name=lake", "taxa=47162,47163", "limit=8"]
    command += [*replica.settings(), "connections=1"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment() | {"COLUMNS": "120"}, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the terminal's other end is closed
            while portion := os.read(mine, 65536):
                said += portion
    os.close(mine)
    assert process.returncode == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())
    for folder in ("47162-perca-fluviatilis", "47163-esox-lucius"):
        assert re.search(rf"{folder} +\S+ [1-8]/8", plain), plain[-2000:]
