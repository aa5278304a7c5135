"""Reflection of a running gateway: both versions, with comments, enough for grpcurl and for protoc."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from launcher.suite import GRPCURL
from tests.needs import need
from tests.services.gateway_stack import CALL_SECONDS, SERVICES
from tests.services.service_process import service_process

REPOSITORY = Path(__file__).parents[2]
VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a gateway, which needs no other service to describe itself."""
    with service_process("gateway", tmp_path_factory.mktemp("data")) as gateway:
        yield gateway.address


def ask(server: str, version: str, *requests: pb.ServerReflectionRequest) -> list[pb.ServerReflectionResponse]:
    with grpc.insecure_channel(server) as channel:
        call = channel.stream_stream(
            f"/{version}/ServerReflectionInfo",
            request_serializer=pb.ServerReflectionRequest.SerializeToString,
            response_deserializer=pb.ServerReflectionResponse.FromString,
        )
        return list(call(iter(requests), timeout=CALL_SECONDS))


def files(response: pb.ServerReflectionResponse) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    written = response.file_descriptor_response.file_descriptor_proto
    parsed = [descriptor_pb2.FileDescriptorProto.FromString(file) for file in written]
    return {file.name: file for file in parsed}


def comments(file: descriptor_pb2.FileDescriptorProto) -> list[str]:
    return [location.leading_comments.strip() for location in file.source_code_info.location]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_lists_all_services(server: str, version: str) -> None:
    [response] = ask(server, version, pb.ServerReflectionRequest(list_services=""))
    listed = {service.name for service in response.list_services_response.service}
    assert listed == {*SERVICES, *VERSIONS, "grpc.health.v1.Health"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_service_is_described_with_all_that_it_imports(server: str, version: str) -> None:
    symbols = (*SERVICES, *VERSIONS, "grpc.health.v1.Health", "google.rpc.ErrorInfo")
    answers = ask(server, version, *(pb.ServerReflectionRequest(file_containing_symbol=symbol) for symbol in symbols))
    for symbol, answer in zip(symbols, answers, strict=True):
        found = files(answer)
        assert found, symbol
        for file in found.values():
            assert set(file.dependency) <= set(found), symbol


def test_our_files_have_comments_also_where_they_are_only_imported(server: str) -> None:
    [response] = ask(server, VERSIONS[0], pb.ServerReflectionRequest(file_containing_symbol=SERVICES[0]))
    found = files(response)
    assert "Finds the images nearest to words." in comments(found["semsearch/v1/search_service.proto"])
    assert "A stored image of a collection." in comments(found["semsearch/v1/image.proto"])


def test_what_is_unknown_is_not_found(server: str) -> None:
    [response] = ask(server, VERSIONS[0], pb.ServerReflectionRequest(file_by_filename="no/such.proto"))
    assert response.error_response.error_code == 5


def grpcurl(*arguments: str) -> str:
    program = str(REPOSITORY / GRPCURL) if (REPOSITORY / GRPCURL).exists() else shutil.which("grpcurl")
    need(program is not None, "There is no grpcurl: `make grpcurl` builds it.")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_grpcurl_describes_a_field_with_its_comment(server: str) -> None:
    described = grpcurl("-plaintext", server, "describe", "semsearch.v1.SearchByTextRequest.page_size")
    assert "more than 1,000 means 1,000" in described


def test_protos_that_grpcurl_saves_from_a_server_compile(server: str, tmp_path: Path) -> None:
    saved = tmp_path / "protos"
    grpcurl("-plaintext", "-proto-out-dir", str(saved), server, "describe", *SERVICES[:1])
    (tmp_path / "out").mkdir()
    # A process of its own: it is not made to run beside gRPC's threads.
    arguments = [f"-I{saved}", f"--python_out={tmp_path / 'out'}", "semsearch/v1/search_service.proto"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], timeout=CALL_SECONDS, check=True)
    assert "// Finds the images nearest to words." in (saved / "semsearch/v1/search_service.proto").read_text()
