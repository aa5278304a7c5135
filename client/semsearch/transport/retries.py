"""Decides when a failed call is sent again. Both transports use it; they only wait and send.

A call is repeated if the server could not be reached, a service behind it did not answer (UNAVAILABLE), or the server
said when to try again (RetryInfo); and only if

- sending it twice does the same as sending it once, or the server says that it has not begun with it;
- it has returned nothing yet: the caller resumes a stream that broke off, except uploads, which go on with what was not
  answered (`upload_stream`);
- the wait ends before the call's deadline, which covers all attempts together;
- the server has answered this client before, if it cannot be reached: a wrong address is reported at once;
- the servers did not fail too many of the client's calls lately (the budget), so that clients do not keep a struggling
  server down. Calls that a server gives up because it shuts down, or that reach none, cost nothing of it: they all fail
  at once, and burden nobody. In a rolling restart, a client may have no connection for a moment.

An upload is patient: it is one call for thousands of images, and should not be lost while the only gateway is upgraded.
It goes on for the same reasons, however often that takes and whatever the budget, until there was no result for as long
as its patience. So do all calls of a client that asks for it.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from semsearch.errors import Overloaded, SemsearchError, ServerNotReady, ServerUnreachable, TimedOut
from semsearch.rpc_errors import SHUTTING_DOWN

# As gRPC's own retry throttling: half of the tokens must be there, and ten successes earn what one failure costs. There
# are enough for what a server that cannot serve refuses until it is left out (see `server`).
_TOKENS = 100.0
_TOKENS_A_SUCCESS = 0.1


@dataclass(frozen=True)
class Retries:
    """How often a call is sent, at most, and how long to wait in between: twice as long each time, in seconds.

    If the server says when to try again, no attempt is made earlier. `Retries(attempts=1)` sends each call once.

    Uploads (`index_images`) have as many attempts as they need, unless `attempts` is 1: they go on until there was no
    result for `patience` seconds. With `attempts` None, all calls are as patient, within their deadlines.

    `on_wait` is called before each wait, in the thread or event loop that waits, with the error and the seconds that
    the client has been waiting for an answer. What it raises ends the call.
    """

    attempts: int | None = 5
    first_delay: float = 0.2
    longest_delay: float = 3.0
    patience: float = 60.0
    on_wait: Callable[[SemsearchError, float], None] | None = None


class RetryState:
    """What the calls of one client have in common; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = _TOKENS
        self._waiting_since: float | None = None
        self.has_answered = False

    def record_success(self) -> None:
        """Count a call that was answered."""
        if self._tokens < _TOKENS:
            with self._lock:
                self._tokens = min(_TOKENS, self._tokens + _TOKENS_A_SUCCESS)
        self._waiting_since = None
        self.has_answered = True

    def record_wait(self, now: float) -> float:
        """Return the seconds since calls began to wait, after the last answer; none if this wait is the first."""
        since = self._waiting_since
        if since is None:
            self._waiting_since = since = now
        return now - since

    def record_end(self) -> None:
        """Record that a call failed, and does not wait."""
        self._waiting_since = None

    def may_retry(self) -> bool:
        """Count a failure, and return whether there is budget to try again."""
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > _TOKENS / 2


class Attempts:
    """The attempts of one call, or to go on with an upload; `repeated` counts those after the first."""

    def __init__(
        self,
        policy: Retries,
        state: RetryState,
        timeout: float,
        *,
        repeatable: bool = True,
        is_upload: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        most = policy.attempts
        self._most = math.inf if most is None or (is_upload and most > 1) else most
        self._is_patient = self._most == math.inf
        self._patience_ends = math.inf
        self._state = state
        self._clock = clock
        self._deadline = clock() + timeout
        self.repeated = 0
        self._repeatable = repeatable
        self._delay = policy.first_delay

    def remaining(self) -> float:
        """Return the seconds that are left for the next attempt."""
        return max(0.0, self._deadline - self._clock())

    def record_success(self) -> None:
        """Record that the call was answered."""
        self._state.record_success()

    def delay_after(self, error: SemsearchError) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is none."""
        delay = self._next_delay(error)
        if delay is None:
            self._state.record_end()
            return None
        seconds = self._state.record_wait(self._clock())
        if self._policy.on_wait is not None:
            self._policy.on_wait(error, seconds)
        return delay

    def _next_delay(self, error: SemsearchError) -> float | None:
        asked = error.details.retry_after_seconds
        if isinstance(error, TimedOut):  # perhaps no server is there
            return None
        if isinstance(error, ServerUnreachable):
            if not self._state.has_answered:
                return None
        else:
            self._state.has_answered = True  # a refusal is an answer too
            if not isinstance(error, ServerNotReady) and not (isinstance(error, Overloaded) and asked is not None):
                return None
            costs = not self._is_patient and error.details.reason != SHUTTING_DOWN
            if costs and not self._state.may_retry():
                return None
        has_begun = error.details.metadata.get("begun") != "false"
        if self.repeated >= self._most - 1 or (has_begun and not self._repeatable):
            return None
        if self._is_patient and not self.repeated:
            self._patience_ends = self._clock() + self._policy.patience
        self.repeated += 1
        # Spreads out the callers that failed together.
        delay = max(self._delay, asked or 0.0) * random.uniform(1.0, 1.25)
        self._delay = min(2 * self._delay, self._policy.longest_delay)
        return delay if delay < min(self.remaining(), self._patience_ends - self._clock()) else None
