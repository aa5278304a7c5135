"""What the calls of a method cost, in units of quotas.

A method without side effects costs one read, any other one change. A service names the methods that cost something
else: several changes, or images for the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from serving.quotas.quota import Kind

# The cost of a request, or of a message in a stream of requests.
Cost = Callable[[Any], Mapping[Kind, int]]


def read(_: Any) -> Mapping[Kind, int]:
    """Return the cost of a call that changes nothing."""
    return {Kind.READ: 1}


def change(_: Any) -> Mapping[Kind, int]:
    """Return the cost of a call that makes one change."""
    return {Kind.WRITE: 1}


def free(_: Any) -> Mapping[Kind, int]:
    """Return the cost of a call that is for everybody at any time."""
    return {}


def of_each(count: int, most: int) -> int:
    """Return the units of a request for `count` things, of which it may have 1 to `most`.

    One that has more is refused, so it must not cost more than one that is answered.
    """
    return min(max(1, count), most)


def costs_of(services: Iterable[ServiceDescriptor], others: Mapping[str, Cost]) -> Mapping[str, Cost]:
    """Return the costs of all methods of services, by "package.Service/Method"; `others` has those that differ."""
    usual = {
        f"{service.full_name}/{method.name}": read
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
        else change
        for service in services
        for method in service.methods
    }
    if unknown := others.keys() - usual.keys():
        raise ValueError(f"no such methods: {sorted(unknown)}")
    return {**usual, **others}
