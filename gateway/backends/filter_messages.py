"""Filters as the index service reads them."""

from __future__ import annotations

from google.protobuf import struct_pb2
from semsearch.v1 import query_pb2

from gateway.backends.filters import AnyOf, Condition, Equals, Exists, Filter
from gateway.backends.structs import to_value


def filter_to_message(filter_: Filter | None) -> query_pb2.Filter | None:
    """Returns the message of a filter."""
    if filter_ is None:
        return None
    return query_pb2.Filter(
        must=[_condition_to_message(each) for each in filter_.must],
        should=[_condition_to_message(each) for each in filter_.should],
        must_not=[_condition_to_message(each) for each in filter_.must_not],
    )


def _condition_to_message(condition: Condition) -> query_pb2.Condition:
    test = condition.test
    if isinstance(test, Filter):
        return query_pb2.Condition(nested=filter_to_message(test))
    if isinstance(test, Equals):
        return query_pb2.Condition(field=condition.field, equals=to_value(test.value))
    if isinstance(test, AnyOf):
        values = struct_pb2.ListValue(values=[to_value(each) for each in test.values])
        return query_pb2.Condition(field=condition.field, any_of=values)
    if isinstance(test, Exists):
        return query_pb2.Condition(field=condition.field, exists=test.present)
    return query_pb2.Condition(
        field=condition.field, range=query_pb2.Range(gt=test.gt, gte=test.gte, lt=test.lt, lte=test.lte)
    )
