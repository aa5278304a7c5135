"""A server made with serving/, from outside: health, errors with details, draining, a port in use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from semsearch.v1 import error_reason_pb2, model_service_pb2, model_service_pb2_grpc

from serving import tracing
from serving.channels import Channels
from serving.error_status import reason_name
from serving.received_errors import from_status, retry_delay_seconds
from tests.ports import free_ports

DEADLINE_SECONDS = 30.0

# A service whose method fails in the way that the model id names.
PROGRAM = textwrap.dedent(
    """
    import asyncio, contextlib, sys
    import grpc
    from semsearch.v1 import error_reason_pb2 as reasons, model_service_pb2 as pb, model_service_pb2_grpc as pb_grpc
    from serving.errors import (InvalidField)
    from serving.error_status import (ErrorStatus, Resource)
    from serving.safeguards import Methods
    from serving.server import GrpcService, Served, run
    from serving.settings import ServiceSettings, load_settings

    class Settings(ServiceSettings):
        service = "gateway"

    class NoSuchModel(Exception):
        pass

    class Full(Exception):
        pass

    class Servicer(pb_grpc.ModelServiceServicer):
        async def GetModel(self, request, context):
            match request.id:
                case "field": raise InvalidField("id", "is not good")
                case "missing": raise NoSuchModel("There is no model missing.")
                case "full": raise Full("The queue is full.")
                case "bug": raise RuntimeError("secret detail")
                case "slow": await asyncio.sleep(1)
            return pb.GetModelResponse()

        async def ListModels(self, request, context):
            return pb.ListModelsResponse()

    TABLE = {
        NoSuchModel: lambda e: ErrorStatus(grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_MODEL_NOT_FOUND,
                                           resource=Resource("semsearch.v1.Model", "missing")),
        Full: lambda e: ErrorStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_OVERLOADED,
                                    retry_after_seconds=0.5),
    }

    @contextlib.asynccontextmanager
    async def open_services(channels):
        if "--fail" in sys.argv:
            raise NoSuchModel("There is no model to start with.")
        if "--hang" in sys.argv:
            print("opening", file=sys.stderr, flush=True)
            await asyncio.Event().wait()
        yield Served([GrpcService("semsearch.v1.ModelService",
                                  lambda server: pb_grpc.add_ModelServiceServicer_to_server(Servicer(), server))])

    flags = [each for each in sys.argv[1:] if each not in ("--fail", "--hang")]
    sys.exit(run(load_settings(Settings, flags), open_services, Methods(TABLE)))
    """
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "service.py"
    path.write_text(PROGRAM)
    return path


def start(program: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, program, *flags], stderr=subprocess.PIPE, text=True, env=dict(os.environ))


@contextlib.contextmanager
def running(program: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_ports(1).start
    process = start(program, "--port", str(port), *flags)
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with Channels(2**20).open(f"127.0.0.1:{port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), DEADLINE_SECONDS)
        yield channel


@pytest.mark.parametrize(
    ("model", "code", "reason"),
    [
        ("field", grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_INVALID_FIELD),
        ("missing", grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_MODEL_NOT_FOUND),
        ("full", grpc.StatusCode.RESOURCE_EXHAUSTED, error_reason_pb2.ERROR_REASON_OVERLOADED),
        ("bug", grpc.StatusCode.INTERNAL, error_reason_pb2.ERROR_REASON_INTERNAL),
    ],
)
async def test_an_error_becomes_its_status_with_reason_and_details(
    program: Path, model: str, code: grpc.StatusCode, reason: error_reason_pb2.ErrorReason.ValueType
) -> None:
    with running(program) as (_, port):
        async with connected(port) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await model_service_pb2_grpc.ModelServiceStub(channel).GetModel(
                    model_service_pb2.GetModelRequest(id=model)
                )
    status = rpc_status.from_call(raised.value)
    assert status is not None
    assert raised.value.code() == code
    assert from_status(status)[0] == reason_name(reason)
    details = {detail.TypeName() for detail in status.details}
    match model:
        case "field":
            bad = error_details_pb2.BadRequest()
            assert any(detail.Unpack(bad) for detail in status.details)
            assert bad.field_violations[0].field == "id"
        case "missing":
            assert "google.rpc.ResourceInfo" in details
        case "full":
            assert retry_delay_seconds(status) == 0.5
        case "bug":
            assert "secret" not in status.message


async def test_an_internal_error_is_logged_once_with_its_trace_id(program: Path) -> None:
    trace_id = "0123456789abcdef0123456789abcdef"
    with running(program) as (process, port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await model_service_pb2_grpc.ModelServiceStub(channel).GetModel(
                    model_service_pb2.GetModelRequest(id="bug"),
                    metadata=[(tracing.HEADER, f"00-{trace_id}-0123456789abcdef-01")],
                    wait_for_ready=True,
                    timeout=DEADLINE_SECONDS,
                )
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_SECONDS)
    assert trace_id in str(raised.value.details())
    assert log.count("RuntimeError: secret detail") == 1
    assert trace_id in log


async def test_health_covers_each_service_and_the_whole_server(program: Path) -> None:
    with running(program) as (_, port):
        async with connected(port) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for name in ("", "semsearch.v1.ModelService"):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_call_in_flight_is_finished_after_sigterm(program: Path) -> None:
    with running(program) as (process, port):
        async with connected(port) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            await stub.GetModel(model_service_pb2.GetModelRequest())
            call = asyncio.ensure_future(stub.GetModel(model_service_pb2.GetModelRequest(id="slow")))
            await asyncio.sleep(0)
            await stub.GetModel(model_service_pb2.GetModelRequest())  # has gone out after the slow one
            process.send_signal(signal.SIGTERM)
            assert await call == model_service_pb2.GetModelResponse()
        assert process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_not_ready_yet_ends_at_once_if_it_is_told_to(program: Path, number: signal.Signals) -> None:
    process = start(program, "--port", "0", "--hang")
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "opening\n"
        process.send_signal(number)
        _, log = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    assert (process.returncode, "Traceback" in log) == (0, False), log


def test_a_port_in_use_is_reported_with_its_setting(program: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        process = start(program, "--port", str(holder.getsockname()[1]))
        _, output = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert "SEMSEARCH_GATEWAY_PORT" in output
    assert "Traceback" not in output


def test_a_domain_error_at_the_start_is_reported(program: Path) -> None:
    process = start(program, "--port", "0", "--fail")
    _, output = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, output) == (1, "error: There is no model to start with.\n")


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("SEMSEARCH_GATEWAY_PORT", "many", "SEMSEARCH_GATEWAY_PORT"),
        ("SEMSEARCH_GATEWAY_PROT", "1", "Did you mean SEMSEARCH_GATEWAY_PORT?"),
        ("SEMSEARCH_LOG_LEVEL", "loud", "SEMSEARCH_LOG_LEVEL"),
        ("SEMSEARCH_OTLP_ENDPOINT", "ftp://me:hunter2@host", "it was 'ftp://host'"),
    ],
)
def test_a_bad_setting_is_reported_in_a_sentence(program: Path, variable: str, text: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, program], env={**os.environ, variable: text}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


async def test_a_log_has_the_settings_without_passwords(program: Path) -> None:
    with running(program, "--otlp-endpoint=http://me:hunter2@127.0.0.1:9/?token=hunter2") as (process, port):
        async with connected(port) as channel:
            await model_service_pb2_grpc.ModelServiceStub(channel).GetModel(model_service_pb2.GetModelRequest())
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_SECONDS)
    assert "otlp_endpoint=http://127.0.0.1:9/ " in log
    assert "hunter2" not in log


async def test_channelz_is_served_if_it_is_set(program: Path) -> None:
    with running(program, "--channelz=true") as (_, port):
        async with connected(port) as channel:
            stub = channelz_pb2_grpc.ChannelzStub(channel)
            servers = (await stub.GetServers(channelz_pb2.GetServersRequest())).server
            sockets = await stub.GetServerSockets(
                channelz_pb2.GetServerSocketsRequest(server_id=servers[0].ref.server_id)
            )
    assert [each.data.calls_started for each in servers] != [0]
    assert len(sockets.socket_ref) >= 1


async def test_a_connection_ends_after_its_time_and_a_stream_continues(program: Path) -> None:
    with running(program, "--max-connection-age-seconds=0.2") as (process, port):
        async with connected(port) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_SECONDS)
            responses = aiter(watch)
            assert (await anext(responses)).status == health_pb2.HealthCheckResponse.SERVING
            async with asyncio.timeout(DEADLINE_SECONDS):
                for _ in range(3):
                    await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
                    await channel.channel_ready()
            process.send_signal(signal.SIGTERM)
            assert (await anext(responses)).status == health_pb2.HealthCheckResponse.NOT_SERVING
