"""Parameters are read from files in PyTorch's format, and a file cannot run anything."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from typing_extensions import override

from model.errors import PackageFileWrong
from model.packaged.package_weights import read_parameters
from tests.packaged_network import Storage, Tensor, tensor, write_parameters

VALUES = np.arange(24, dtype="<f4")


def written(folder: Path, tensors: dict[str, Any]) -> Path:
    file = folder / "weights.pth"
    write_parameters(file, tensors)
    return file


@given(values=arrays(np.float32, array_shapes(min_dims=1, max_dims=4), elements=st.floats(-1, 1, width=32)))
def test_a_tensor_is_read_whatever_its_strides(
    values: np.ndarray[Any, np.dtype[np.float32]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = written(tmp_path_factory.mktemp("weights"), {"a": tensor("0", values)})
    np.testing.assert_array_equal(read_parameters(file)["a"], values)


def test_tensors_may_share_a_storage(tmp_path: Path) -> None:
    storage = Storage("0", VALUES)
    file = written(tmp_path, {"a": Tensor(storage, 4, (2, 3), (10, 2)), "b": Tensor(storage, 23, (), ())})
    read = read_parameters(file)
    np.testing.assert_array_equal(read["a"], [[4, 6, 8], [14, 16, 18]])
    assert read["b"] == 23


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(20, (5,), (1,)), (0, (2, 3), (22, 1)), (-1, (2,), (1,)), (5, (2,), (-1,)), (0, (10_000,), (0,)), (99, (), ())],
)
def test_a_tensor_outside_its_storage_is_refused(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], tmp_path: Path
) -> None:
    file = written(tmp_path, {"a": Tensor(Storage("0", VALUES), offset, shape, strides)})
    with pytest.raises(PackageFileWrong, match="beyond its storage"):
        read_parameters(file)


@pytest.mark.parametrize("opcode", [b"r\xff\xff\xff\x7f", b"\x96" + (2**40).to_bytes(8, "little")])
def test_a_pickle_that_asks_for_much_memory_is_refused(opcode: bytes, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"\x80\x05]" + opcode + b".")
    with pytest.raises(PackageFileWrong, match=r"more memory|damaged"):
        read_parameters(file)


def nested() -> tuple[Any, ...]:
    """Return a tuple of a few bytes in a pickle, of 65,536 values when it is printed or hashed."""
    value: tuple[Any, ...] = ("value",)
    for _ in range(16):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    ("part", "described"),
    [*((part, nested()) for part in range(5)), (0, "module"), (1, "S9"), (2, 7), (4, "1")],
    ids=lambda each: str(each)[:9],
)
def test_a_storage_that_is_described_otherwise_is_refused_in_few_words(
    part: int, described: object, tmp_path: Path
) -> None:
    class Describing(pickle.Pickler):
        @override
        def persistent_id(self, obj: Any) -> Any:
            parts: list[object] = ["storage", "<f4", "0", "cpu", 1, None]
            parts[part] = described
            return tuple(parts) if isinstance(obj, Storage) else None

    file = written(tmp_path, {})
    content = io.BytesIO(file.read_bytes())
    for _ in range(3):  # what comes before the parameters
        pickle.load(content)
    content.truncate()
    Describing(content, 2).dump({"a": Storage("0", VALUES)})
    pickle.dump(["0"], content, 2)
    file.write_bytes(content.getvalue())
    with pytest.raises(PackageFileWrong, match=r"storage of an unknown kind|several places") as refused:
        read_parameters(file)
    assert len(str(refused.value)) < 300


def test_nested_tuples_are_not_hashed(tmp_path: Path) -> None:
    name: Any = nested()
    for tensors in ({name: tensor("0", VALUES)}, {"a": tensor(name, VALUES)}):
        with pytest.raises(PackageFileWrong, match="several places"):
            read_parameters(written(tmp_path, tensors))


def test_a_pickle_that_runs_a_command_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "run"

    class Command:
        @override
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {trace}",)

    file = written(tmp_path, {"a": Command()})
    with pytest.raises(PackageFileWrong, match=r"asks for posix\.system"):
        read_parameters(file)
    assert not trace.exists()


def test_a_file_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": tensor("0", VALUES.reshape(4, 6))})
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(PackageFileWrong):
            read_parameters(file)
    file.write_bytes(content + b"\0")
    with pytest.raises(PackageFileWrong, match="after its last value"):
        read_parameters(file)


def test_an_altered_file_is_either_read_or_refused(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": tensor("0", VALUES.reshape(4, 6))})
    content = bytearray(file.read_bytes())
    for place in range(len(content)):
        content[place] ^= 0x55
        file.write_bytes(content)
        with contextlib.suppress(PackageFileWrong):
            read_parameters(file)
        content[place] ^= 0x55


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(PackageFileWrong, match=r"weights\.pth"):
        read_parameters(file)
