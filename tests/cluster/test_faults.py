"""A few faults under load; `make cluster-faults` tries all of them, for longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.faults import NONE, Fault, cut, killed
from tests.cluster.load import Load
from tests.cluster.suite import Suite
from tests.cluster.trial import run_trial

FAULT_SECONDS = 3.0
FAULTS = (killed("gateway-1"), cut("gateway-2"), killed("index", served=NONE))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_calls_fail_only_until_others_serve(running: Suite, new_load: Callable[[], Load], fault: Fault) -> None:
    result = run_trial(running, new_load(), fault, FAULT_SECONDS)
    assert (result.wrong, result.lost, result.out_of_time) == ([], "", [])
