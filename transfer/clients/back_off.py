"""How long to wait before a request is sent again: longer each time, and at least as long as the server asks."""

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 60.0  # seconds that are waited unasked
PATIENCE = 600.0  # seconds that a server may ask for


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """Exponential back-off with jitter: after attempt k, from half of `first` * 2^(k-1) seconds to all of it."""

    first: float
    attempts: int

    def seconds(self, attempt: int, draws: random.Random, asked: float | None) -> float:
        """How long to wait after attempt 1, 2, …: at least as long as the server `asked` for."""
        most = min(LONGEST, self.first * 2.0 ** min(attempt - 1, 32))
        return max(most * (0.5 + draws.random() / 2), asked or 0.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """What the header Retry-After asks to wait, in seconds: a number, or a date (RFC 9110). None: there is none."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds < float("inf") else None
