"""Makes messages from their descriptors, out of choices: those of a fuzzer's bytes, or of hypothesis."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_DEEPEST = 6
_MOST_REPEATED = 4
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class Choices(Protocol):
    """Where values come from."""

    def number(self, least: int, most: int) -> int:
        """Return an integer between two others."""
        ...

    def real(self) -> float:
        """Return any float, perhaps NaN or infinite."""
        ...

    def text(self) -> str:
        """Return any text without surrogates."""
        ...

    def content(self) -> bytes:
        """Return any bytes."""
        ...


class ByteChoices:
    """Choices made by bytes, the same for the same bytes; 0 and "" once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, least: int, most: int) -> int:
        """Return an integer between two others."""
        count = most - least + 1
        if 1 < count <= 256:  # nearly always: the same as below, without a slice
            at, self._at = self._at, self._at + 1
            return least + (self._data[at] % count if at < len(self._data) else 0)
        return least + int.from_bytes(self._take(((most - least).bit_length() + 7) // 8), "little") % count

    def real(self) -> float:
        """Return any float."""
        value: float = struct.unpack("<d", self._take(8).ljust(8, b"\0"))[0]
        return value

    def text(self) -> str:
        """Return any text."""
        return self.content().decode("utf-8", "replace")

    def content(self) -> bytes:
        """Return any bytes."""
        return self._take(self.number(0, 40))

    @property
    def rest(self) -> bytes:
        """The bytes that were not used."""
        return self._data[self._at :]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken


# Values for fields of a name, beside those that the choices make: names that exist, and bytes that are an image.
Known = Callable[[FieldDescriptor], list[Any]]


def make(kind: Descriptor, choices: Choices, known: Known = lambda _: [], depth: int = 0) -> Message:
    """Return a message."""
    message: Message = GetMessageClass(kind)()
    for field in _fields(kind):
        if not choices.number(0, 2):
            continue
        if field.message_type:
            if depth < _DEEPEST:
                _fill(message, field, choices, known, depth)
        elif field.is_repeated:
            values = [_scalar(field, choices, known) for _ in range(choices.number(0, _MOST_REPEATED))]
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, _scalar(field, choices, known))
    return message


@cache
def _fields(kind: Descriptor) -> Sequence[FieldDescriptor]:
    return () if kind.full_name == "google.protobuf.Any" else tuple(kind.fields)


@cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type.GetOptions().map_entry


def _fill(message: Message, field: FieldDescriptor, choices: Choices, known: Known, depth: int) -> None:
    if _is_map(field):
        for _ in range(choices.number(0, _MOST_REPEATED)):
            entry: Any = make(field.message_type, choices, known, depth + 1)
            target = getattr(message, field.name)
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
                target[entry.key].CopyFrom(entry.value)
            else:
                target[entry.key] = entry.value
    elif field.is_repeated:
        for _ in range(choices.number(0, _MOST_REPEATED)):
            getattr(message, field.name).append(make(field.message_type, choices, known, depth + 1))
    else:
        getattr(message, field.name).CopyFrom(make(field.message_type, choices, known, depth + 1))


def _scalar(field: FieldDescriptor, choices: Choices, known: Known) -> Any:
    values = known(field)
    if values and choices.number(0, 3):
        return values[choices.number(0, len(values) - 1)]
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return choices.content() if field.type == FieldDescriptor.TYPE_BYTES else choices.text()
        case FieldDescriptor.CPPTYPE_BOOL:
            return bool(choices.number(0, 1))
        case FieldDescriptor.CPPTYPE_ENUM:
            return choices.number(0, len(field.enum_type.values))  # one more than there are
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return choices.real() if choices.number(0, 1) else choices.number(-2, 2) / 2
        case _:
            least, most = _INTEGERS[field.cpp_type]
            return choices.number(least, most) if choices.number(0, 1) else choices.number(max(least, -1), 10)
