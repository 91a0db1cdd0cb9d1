import json
import os
import socket
import time

import pytest

from fishnet.files import LockHeld
from fishnet.tracking.journal import Journal, left_journals, open_journal, owner_of, tally
from fishnet.tracking.process import SILENT_FOR


def test_a_journal_whose_lines_were_all_sent_leaves_nothing_behind(tmp_path):
    journal = open_journal(tmp_path, "abc", "http://x")
    journal.append({"kind": "tags", "values": {"a": "b"}})
    records, place = journal.waiting()
    assert records == [{"kind": "tags", "values": {"a": "b"}}]
    journal.advance(place)
    assert journal.empty
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_sent_is_found_again_with_its_owner(tmp_path):
    run = tmp_path / "outputs" / "day" / "run"
    journal = open_journal(run, "abc", "http://x")
    for number in range(5):
        journal.append({"kind": "metrics", "values": {"a": number, "b": 1}})
    _, place = journal.waiting(limit=2)
    journal.advance(place)
    journal.close()
    (left,) = left_journals(tmp_path)
    owner = owner_of(left)
    assert (owner["kind"], owner["run_id"], owner["uri"]) == ("run", "abc", "http://x")
    assert [record["values"]["a"] for record in left.waiting()[0]] == [2, 3, 4]
    left.close()


def test_a_line_cut_short_by_a_kill_costs_only_itself(tmp_path):
    journal = open_journal(tmp_path, "abc", "http://x")
    journal.append({"kind": "tags", "values": {"first": "1"}})
    os.write(journal._file, b'{"kind": "tags", "val')
    assert len(journal.waiting()[0]) == 1
    journal.close()
    again = open_journal(tmp_path, "abc", "http://x")
    again.append({"kind": "tags", "values": {"second": "2"}})
    assert [list(record["values"]) for record in again.waiting()[0]] == [["first"], ["second"]]
    again.close()


def test_a_journal_in_use_is_left_to_its_owner(tmp_path):
    journal = open_journal(tmp_path, "abc", "http://x")
    assert list(left_journals(tmp_path)) == []
    with pytest.raises(LockHeld):
        Journal(journal.path)
    journal.close()


def test_a_journal_of_another_host_is_left_alone_until_it_is_silent(tmp_path, monkeypatch):
    """A shared folder may not show its lock here: taken for left, it was sent and deleted under a living run."""
    here = socket.gethostname()
    monkeypatch.setattr(socket, "gethostname", lambda: f"not-{here}")
    journal = open_journal(tmp_path, "abc", "http://x")
    journal.append({"kind": "tags", "values": {"a": "b"}})
    journal.close()
    monkeypatch.setattr(socket, "gethostname", lambda: here)
    assert list(left_journals(tmp_path)) == []
    silent = time.time() - 2 * SILENT_FOR
    os.utime(journal.path, (silent, silent))
    (left,) = left_journals(tmp_path)
    left.touch()
    left.close()
    assert list(left_journals(tmp_path)) == []


def test_a_full_disk_is_counted_and_not_raised(tmp_path, monkeypatch):
    journal = open_journal(tmp_path, "abc", "http://x")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        journal.append({"kind": "tags", "values": {}})
    assert journal.lost == 1
    journal.close()


def test_a_line_cut_by_a_full_disk_costs_only_itself(tmp_path, monkeypatch):
    journal = open_journal(tmp_path, "abc", "http://x")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, line: write(file, line[:9]))
        journal.append({"kind": "tags", "values": {"cut": "1"}})
    journal.append({"kind": "status", "status": "FINISHED"})
    journal.append({"kind": "tags", "values": {"last": "1"}})
    assert [record["kind"] for record in journal.waiting()[0]] == ["status", "tags"]
    assert journal.lost == 1
    journal.close()


def test_refused_lines_are_kept_with_the_reason(tmp_path):
    journal = open_journal(tmp_path, "abc", "http://x")
    journal.refuse({"kind": "tags", "values": {"a": "b"}}, "no such run")
    journal.advance(journal.waiting()[1])
    journal.close()
    (kept,) = (tmp_path / "undelivered").glob("*.refused.jsonl")
    assert json.loads(kept.read_text())["reason"] == "no such run"
    assert list(left_journals(tmp_path)) == []


def test_what_waits_is_said_in_words():
    records = [{"kind": "metrics", "values": {"a": 1, "b": 2}}, {"kind": "text"}, {"kind": "status"}]
    assert tally(records) == "2 metric values and 1 artifact and 1 other entry"
