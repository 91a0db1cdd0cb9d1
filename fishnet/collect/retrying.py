"""When to ask again: what servers say about it, and the patience of one who is told nothing."""

import email.utils
import random
import re
import time
from collections.abc import Mapping

ATTEMPTS = 7
FIRST, LONGEST = 1.0, 60.0  # seconds


def backoff(attempt: int, first: float = FIRST) -> float:
    """Doubling, with full jitter: processes that failed together do not come back together."""
    return random.uniform(0.5, 1.0) * min(LONGEST, first * 2**attempt)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now; the date form is read against the server's own clock where it tells it."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", said):
        return float(said)
    until = _moment(said)
    if until is None:
        return None
    now = _moment(headers.get("Date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def _moment(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
