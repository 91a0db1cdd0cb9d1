"""Processes that run beside each other share the cores out."""

import pytest

from fishnet import environment


@pytest.mark.parametrize(("cores", "jobs", "threads"), [(8, 2, "4"), (8, 3, "2"), (2, 2, "1"), (2, 5, "1")])
def test_jobs_share_the_cores(monkeypatch, cores, jobs, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(environment, "usable_cores", lambda: cores)
    assert environment.shared_cores(jobs) == {"OMP_NUM_THREADS": threads}


def test_what_the_user_has_set_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment.shared_cores(2) == {}
