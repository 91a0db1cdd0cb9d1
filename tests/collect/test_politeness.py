"""The limits, with a clock of seconds; four processes are a slow test beside this one."""

import asyncio
import time
from itertools import pairwise

import pytest

from fishnet.collect import politeness
from fishnet.collect.politeness import DAY, LEASE, Limits, Politeness
from fishnet.errors import WorkFailed


def ask(polite: Politeness, count: int) -> list[float]:
    async def calls() -> list[float]:
        moments = []
        for _ in range(count):
            async with polite.call("api"):
                moments.append(time.time())
        return moments

    return asyncio.run(calls())


def test_calls_are_a_pause_apart_also_from_another_process(tmp_path):
    one, other = (Politeness(Limits(pause=0.15), folder=tmp_path) for _ in range(2))
    moments = [*ask(one, 2), *ask(other, 2)]
    assert min(after - before for before, after in pairwise(moments)) >= 0.15


def test_the_days_share_ends_the_command_in_words(tmp_path):
    polite = Politeness(Limits(pause=0, a_minute=1000, a_day=3), folder=tmp_path)
    ask(polite, 3)
    with pytest.raises(WorkFailed, match="3 times in a day"):
        ask(polite, 1)


def test_a_rest_is_heeded_by_all_and_a_long_one_ends_the_command(tmp_path):
    one, other = (Politeness(Limits(), folder=tmp_path) for _ in range(2))
    one.pause("host", 0.4)
    begin = time.monotonic()
    asyncio.run(other.wait_for("host"))
    assert time.monotonic() - begin >= 0.3
    with pytest.raises(WorkFailed, match="left alone until"):
        one.pause("host", 5000)


def test_bytes_of_an_hour_are_shared(tmp_path):
    limits = Limits(bytes_an_hour=2 * LEASE, bytes_a_day=10 * LEASE)
    one, other = (Politeness(limits, folder=tmp_path) for _ in range(2))
    for polite in (one, other):
        asyncio.run(asyncio.wait_for(polite.media("host"), 1))
        polite.received("host", LEASE)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(other.media("host"), 0.3))
    free = Politeness(limits, folder=tmp_path, free=frozenset({"host"}))
    asyncio.run(asyncio.wait_for(free.media("host"), 0.3))


@pytest.mark.parametrize("ahead", [30 * DAY, 300.0])
def test_a_clock_that_ran_ahead_neither_ends_politeness_nor_the_work(tmp_path, monkeypatch, ahead):
    limits, well = Limits(pause=0.15), time.time
    early = Politeness(limits, folder=tmp_path)
    monkeypatch.setattr(time, "time", lambda: well() + ahead)
    ask(early, 1)
    if ahead > DAY:  # else it is possible, and heeded
        early.pause("api", 0.1)
    monkeypatch.setattr(time, "time", well)
    for polite in (early, Politeness(limits, folder=tmp_path)):  # one that was open meanwhile, and a later one
        assert min(after - before for before, after in pairwise(ask(polite, 3))) >= 0.15
        polite.pause("api", 0.3)
        begin = time.monotonic()
        asyncio.run(polite.wait_for("api"))
        assert time.monotonic() - begin >= 0.2


def test_slow_hosts_do_not_wait_for_a_photo_of_next_month(tmp_path, monkeypatch):
    well = time.time
    monkeypatch.setattr(politeness, "SLOW_HOSTS", {"slow": 0.1})
    polite = Politeness(Limits(), folder=tmp_path)
    monkeypatch.setattr(time, "time", lambda: well() + 30 * DAY)
    asyncio.run(polite.media("slow"))
    monkeypatch.setattr(time, "time", well)
    asyncio.run(asyncio.wait_for(polite.media("slow"), 1))


def test_a_file_of_its_own_that_is_none_is_named(tmp_path):
    (tmp_path / "politeness.sqlite").write_bytes(b"garbage" * 500)
    with pytest.raises(WorkFailed, match=r"politeness.sqlite: .* may be deleted"):
        Politeness(Limits(), folder=tmp_path)
