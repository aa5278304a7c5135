"""Every RPC has a rule, and every field that names a collection is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from embedder_service.access import RULES as OF_THE_EMBEDDER
from gateway.access import RULES as OF_THE_GATEWAY
from index_service.access import RULES as OF_THE_INDEX
from serving.access.rules import Rules

_IS_OURS = re.compile(r"semsearch\.v1\.(?!Filter$).+")
PROTOS = Path(__file__).parents[4] / "protos"
PACKAGES = {
    "semsearch.v1": OF_THE_GATEWAY,
    "semsearch.embedder.v1": OF_THE_EMBEDDER,
    "semsearch.index.v1": OF_THE_INDEX,
}


def methods(package: str) -> Iterator[MethodDescriptor]:
    for file in (PROTOS / package.replace(".", "/")).glob("*_service.proto"):
        module = import_module(f"{package}.{file.stem}_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


@pytest.mark.parametrize(("package", "rules"), PACKAGES.items(), ids=PACKAGES)
def test_every_rpc_has_a_rule_and_every_rule_an_rpc(package: str, rules: Rules) -> None:
    assert {method.full_name for method in methods(package)} == {name for name in rules if name.startswith(package)}


def naming_a_collection(message: Descriptor, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields of a request that name a collection; results of calls are not requests."""
    for field in message.fields:
        name = path + field.name
        if field.type == FieldDescriptor.TYPE_STRING and "collection" in field.name:
            yield name
        # A filter is about attributes, and recursive.
        elif field.message_type is not None and _IS_OURS.fullmatch(field.message_type.full_name):
            yield from naming_a_collection(field.message_type, f"{name}.")


@pytest.mark.parametrize("method", [*methods("semsearch.v1")], ids=lambda method: method.name)
def test_every_field_that_names_a_collection_is_in_the_rule(method: MethodDescriptor) -> None:
    rule = OF_THE_GATEWAY[method.full_name]
    assert set(rule.collections) == set(naming_a_collection(method.input_type))
    assert {*rule.if_set} <= {field.name for field in method.input_type.fields}
    assert not (rule.collections and rule.whole_suite)


@pytest.mark.parametrize("method", [*methods("semsearch.index.v1")], ids=lambda method: method.name)
def test_every_field_that_names_an_index_is_in_the_rule(method: MethodDescriptor) -> None:
    names = {"alias", "index", "name"} if method.containing_service.name == "IndexService" else set()
    named = names & {field.name for field in method.input_type.fields}
    assert {path.partition(".")[0] for path in OF_THE_INDEX[method.full_name].collections} == named
