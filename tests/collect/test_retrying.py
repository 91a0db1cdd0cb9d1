import email.utils
import time

import pytest

from fishnet.collect.fetching import LONGEST_WAIT, backoff, retry_after


def test_retry_after_in_both_forms():
    now = time.time()
    assert retry_after({"Retry-After": "7"}) == 7
    wrong_clock = {"Date": email.utils.formatdate(now - 5000, usegmt=True)}
    wrong_clock["Retry-After"] = email.utils.formatdate(now - 4990, usegmt=True)
    assert retry_after(wrong_clock) == pytest.approx(10, abs=1)
    assert retry_after({"Retry-After": email.utils.formatdate(now + 20, usegmt=True)}) == pytest.approx(20, abs=2)
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({"Retry-After": "-3"}) is None
    assert retry_after({}) is None


def test_patience_grows_with_jitter_and_has_a_bound():
    waits = [backoff(3) for _ in range(50)]
    assert 4 <= min(waits) < max(waits) <= 8
    assert backoff(50) <= LONGEST_WAIT
