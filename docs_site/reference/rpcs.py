"""The pages of RPCs, one for each service, from the descriptors with their comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from textwrap import dedent

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from docs_site.markdown import code, first_sentence, heading, one_line, prose, table

_OURS = "semsearch/"
_PUBLIC = "semsearch.v1"
_REPEATED = FieldDescriptorProto.LABEL_REPEATED
# Numbers of fields in descriptor.proto, which paths of comments are made of.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM = 2, 3, 4
_VALUE, _METHOD = 2, 2


@dataclass(frozen=True)
class _Type:
    """A message or an enum with its comment and those of its fields or values."""

    name: str
    descriptor: DescriptorProto | EnumDescriptorProto
    comment: str
    comments: tuple[str, ...]


@dataclass
class _File:
    """A proto file: its types by full name, and the comments of everything by path."""

    descriptor: FileDescriptorProto
    comments: dict[tuple[int, ...], str]
    types: dict[str, _Type] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """The name of its page: `semsearch/index/v1/index_service.proto` becomes `index-v1-index-service.md`."""
        path = PurePosixPath(self.descriptor.name).relative_to(_OURS).with_suffix("")
        return str(path).replace("/", "-").replace("_", "-") + ".md"


def pages(descriptors: Path) -> dict[str, str]:
    """Return the pages of all proto files by name, and `index.md`, which lists the services."""
    found = FileDescriptorSet.FromString(descriptors.read_bytes())
    files = [_read(each) for each in found.file if each.name.startswith(_OURS)]
    places = {name: file.page for file in files for name in file.types}
    written = {file.page: "\n".join(_page(file, places)) for file in files}
    return {"index.md": "\n".join(_overview(files)), **written}


def page_of(proto: str) -> str:
    """Return the name of a proto file's page; the file's path begins with "semsearch/"."""
    return _File(FileDescriptorProto(name=proto), {}).page


def _read(descriptor: FileDescriptorProto) -> _File:
    comments = {
        tuple(each.path): dedent(each.leading_comments)
        for each in descriptor.source_code_info.location
        if each.leading_comments
    }
    file = _File(descriptor, comments)
    for number, message in enumerate(descriptor.message_type):
        _add_message(file, descriptor.package, message, (_FILE_MESSAGE, number))
    for number, enum in enumerate(descriptor.enum_type):
        _add_enum(file, descriptor.package, enum, (_FILE_ENUM, number))
    return file


def _add_message(file: _File, scope: str, message: DescriptorProto, path: tuple[int, ...]) -> None:
    name = f"{scope}.{message.name}"
    comments = tuple(file.comments.get((*path, _MESSAGE_FIELD, n), "") for n in range(len(message.field)))
    file.types[f".{name}"] = _Type(name, message, file.comments.get(path, ""), comments)
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            _add_message(file, name, nested, (*path, _MESSAGE_NESTED, number))
    for number, enum in enumerate(message.enum_type):
        _add_enum(file, name, enum, (*path, _MESSAGE_ENUM, number))


def _add_enum(file: _File, scope: str, enum: EnumDescriptorProto, path: tuple[int, ...]) -> None:
    name = f"{scope}.{enum.name}"
    comments = tuple(file.comments.get((*path, _VALUE, n), "") for n in range(len(enum.value)))
    file.types[f".{name}"] = _Type(name, enum, file.comments.get(path, ""), comments)


def _overview(files: list[_File]) -> Iterator[str]:
    yield "# RPCs\n"
    yield (
        "Every RPC with its messages, from the comments of the protos. Clients call the services of `semsearch.v1` at"
        " the gateway; the others are for operators and between services. Errors are on [their own"
        " page](../error-reasons.md).\n"
    )
    services = [
        [
            f"[{service.name}]({file.page})",
            code(file.descriptor.package),
            prose(first_sentence(file.comments[_FILE_SERVICE, number])),
        ]
        for file in sorted(files, key=lambda each: (each.descriptor.package != _PUBLIC, each.descriptor.name))
        for number, service in enumerate(file.descriptor.service)
    ]
    yield table(["service", "package", "what it does"], services)
    yield "\nMessages that several services share:\n"
    shared = [file for file in files if not file.descriptor.service]
    yield "\n".join(f"- [{file.descriptor.name}]({file.page})" for file in shared) + "\n"


def _page(file: _File, places: dict[str, str]) -> Iterator[str]:
    services = file.descriptor.service
    yield f"# {services[0].name if services else PurePosixPath(file.descriptor.name).name}\n"
    yield f"Package `{file.descriptor.package}`, file `protos/{file.descriptor.name}`.\n"
    used: set[str] = set()
    for number, service in enumerate(services):
        path = (_FILE_SERVICE, number)
        yield prose(file.comments[path]) + "\n"
        for place, method in enumerate(service.method):
            yield heading(2, method.name, _anchor(f"{file.descriptor.package}.{service.name}.{method.name}"))
            yield f"```proto\n{_signature(method)}\n```\n"
            yield prose(file.comments.get((*path, _METHOD, place), "")) + "\n"
            for name in (method.input_type, method.output_type):
                if name in file.types and name not in used:
                    used.add(name)
                    yield from _type(file, file.types[name], places, 3)
    rest = [each for name, each in file.types.items() if name not in used]
    if rest and services:
        yield "## Messages\n"
    for each in rest:
        yield from _type(file, each, places, 3 if services else 2)


def _signature(method: MethodDescriptorProto) -> str:
    def part(name: str, streaming: bool) -> str:
        return f"{'stream ' if streaming else ''}{name.rpartition('.')[2]}"

    asked = part(method.input_type, method.client_streaming)
    return f"rpc {method.name}({asked}) returns ({part(method.output_type, method.server_streaming)})"


def _type(file: _File, found: _Type, places: dict[str, str], level: int) -> Iterator[str]:
    yield heading(level, found.name.removeprefix(f"{file.descriptor.package}."), _anchor(found.name))
    yield prose(found.comment) + "\n"
    if isinstance(found.descriptor, EnumDescriptorProto):
        values = zip(found.descriptor.value, found.comments, strict=True)
        yield table(["value", "number", "meaning"], [[code(v.name), str(v.number), prose(c)] for v, c in values])
    elif found.descriptor.field:
        rows = [
            [code(each.name), _type_of(file, found.descriptor, each, places), _meaning(found.descriptor, each, comment)]
            for each, comment in zip(found.descriptor.field, found.comments, strict=True)
        ]
        yield table(["field", "type", "meaning"], rows)
    else:
        yield "It has no fields.\n"


def _type_of(file: _File, message: DescriptorProto, each: FieldDescriptorProto, places: dict[str, str]) -> str:
    for nested in message.nested_type:
        if nested.options.map_entry and each.type_name.endswith(f".{nested.name}"):
            key, value = (_type_of(file, message, part, places) for part in nested.field)
            return f"map of {key} to {value}"
    name = each.type_name
    if name in places:
        page = "" if places[name] == file.page else places[name]
        text = f"[{name.rpartition('.')[2]}]({page}#{_anchor(name[1:])})"
    else:
        text = code(name[1:] or FieldDescriptorProto.Type.Name(each.type).removeprefix("TYPE_").lower())
    return f"repeated {text}" if each.label == _REPEATED else text


def _meaning(message: DescriptorProto, each: FieldDescriptorProto, comment: str) -> str:
    if each.proto3_optional:
        return f"{prose(comment)} Optional."
    if each.HasField("oneof_index"):
        return f"{prose(one_line(comment))} (one of `{message.oneof_decl[each.oneof_index].name}`)"
    return prose(comment)


def _anchor(name: str) -> str:
    return name.lower().replace(".", "-").replace("_", "-")
