"""What each method needs: a role, and which fields of its request name the collection. The audit log uses the latter.

A package that serves RPCs has a table of them, by full name: `gateway.access`, `embedder_service.access` and
`index_service.access`. A method without a rule is refused, and fails a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from serving.access.errors import CollectionNotAllowed, NotForSomeCollections, RoleTooLow
from serving.callers import Caller, Role


@dataclass(frozen=True)
class Rule:
    """What a method needs of its callers.

    `collections` are the paths of the fields that name a collection or an index, such as "config.collection"; an
    empty field stands for `default`. Of the alternatives of a oneof, the one that is set counts: only the first
    message of a stream has its `config`. With `if_set`, the collection counts only in requests that set one of
    these fields. A method of the `whole_suite` is refused to callers that may use only some collections. Calls of
    the suite itself pass if `suite_may`, whatever the role of the caller that they are made for.
    """

    role: Role
    collections: tuple[str, ...] = ()
    default: str = ""
    if_set: tuple[str, ...] = ()
    whole_suite: bool = False
    suite_may: bool = False

    def check_caller(self, caller: Caller, method: str, *, from_suite: bool) -> None:
        """Check what is known before the request.

        Raises:
            RoleTooLow: The caller's role does not suffice.
            NotForSomeCollections: The method concerns the whole suite, and the caller may use only some collections.
        """
        if from_suite and self.suite_may:
            return
        if caller.role < self.role:
            raise RoleTooLow(caller, method, self.role)
        if self.whole_suite and caller.collections is not None:
            raise NotForSomeCollections(caller, method)

    def check_request(self, caller: Caller, request: Message) -> None:
        """Check the collections that a request names.

        Raises:
            CollectionNotAllowed: The caller may not use one of them.
        """
        if caller.collections is None or self.whole_suite:
            return
        for collection in self.collections_of(request):
            if not caller.may_use(collection):
                raise CollectionNotAllowed(caller, collection)

    def collections_of(self, request: Message) -> Iterator[str]:
        """Yield the collections that a request is about."""
        if self.if_set and not any(_is_set(request, field) for field in self.if_set):
            return
        for path in self.collections:
            *parents, field = path.split(".")
            message: Any = request
            for parent in parents:
                chosen = message.DESCRIPTOR.fields_by_name[parent].containing_oneof
                if chosen is not None and message.WhichOneof(chosen.name) != parent:
                    break
                message = getattr(message, parent)
            else:
                yield getattr(message, field) or self.default


Rules = Mapping[str, Rule]


def _is_set(request: Message, field: str) -> bool:
    return any(each.name == field for each, _ in request.ListFields())
