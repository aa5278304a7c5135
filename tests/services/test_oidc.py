"""Tokens of an OpenID provider at a running gateway, whose keys are in a file; over gRPC and over HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import gallery_service_pb2_grpc as gallery_grpc
from semsearch.v1 import limits_service_pb2 as limits
from semsearch.v1 import limits_service_pb2_grpc as limits_grpc

from tests.http_exchange import JSON, exchange
from tests.services.known_callers import HTTP_ADDRESS
from tests.services.service_process import Refusal, ServiceProcess, service_process
from tests.unit.serving.access.provider import AUDIENCE, ISSUER, Provider, refused_tokens

SECONDS = 30.0
ACCEPTED = "accepted"
UNKNOWN = "UNAUTHENTICATED TOKEN_UNKNOWN"


@dataclass(frozen=True)
class Gateway:
    """A gateway, and the provider whose tokens it accepts."""

    process: ServiceProcess
    channel: grpc.Channel
    http: str
    provider: Provider
    keys: Path

    def publish_keys(self) -> None:
        new = self.keys.with_name("new.json")
        new.write_bytes(self.provider.key_set())
        new.replace(self.keys)

    def caller(self, token: str) -> str:
        """Return the caller that the gateway sees."""
        ask = limits_grpc.LimitsServiceStub(self.channel).GetLimits
        return str(ask(limits.GetLimitsRequest(), timeout=SECONDS, metadata=metadata(token)).caller)

    def outcome(self, token: str) -> str:
        """Return what becomes of a call that reads: "accepted", or the code and the reason."""
        try:
            self.caller(token)
        except grpc.RpcError as error:
            return described(error)
        return ACCEPTED


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("oidc")
    provider, keys, suite_key = Provider(), folder / "keys.json", folder / "suite.key"
    keys.write_bytes(provider.key_set())
    suite_key.write_text(secrets.token_hex(32))
    flags = [
        *("--index=127.0.0.1:1", "--embedder=127.0.0.1:1", f"--suite-key={suite_key}"),
        *(f"--oidc-issuer={ISSUER}", f"--oidc-audience={AUDIENCE}", f"--oidc-keys={keys}", "--oidc-algorithms=ES256"),
    ]
    with service_process("gateway", folder, *flags) as process, grpc.insecure_channel(process.address) as channel:
        found = HTTP_ADDRESS.search("".join(process.lines))
        assert found
        yield Gateway(process, channel, found[1], provider, keys)


def test_a_valid_token_gives_its_caller_a_name_and_a_role(gateway: Gateway) -> None:
    reader, writer = gateway.provider.token(), gateway.provider.token(sub="wri", roles=["semsearch:write"])
    assert gateway.caller(reader) == "caller oidc:ann"
    delete = gallery_grpc.GalleryServiceStub(gateway.channel).DeleteImages
    with pytest.raises(grpc.RpcError) as refused:
        delete(gallery.DeleteImagesRequest(ids=["none"]), timeout=SECONDS, metadata=metadata(reader))
    assert described(refused.value) == "PERMISSION_DENIED ROLE_TOO_LOW"
    with pytest.raises(grpc.RpcError) as without_index:
        delete(gallery.DeleteImagesRequest(ids=["none"]), timeout=SECONDS, metadata=metadata(writer))
    assert without_index.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_token_that_expired_is_refused_as_such(gateway: Gateway) -> None:
    assert gateway.outcome(gateway.provider.token(exp=time.time() - 60)) == "UNAUTHENTICATED TOKEN_EXPIRED"


def test_a_token_without_a_role_may_do_nothing(gateway: Gateway) -> None:
    assert gateway.outcome(gateway.provider.token(roles=["admin", "other:read"])) == "PERMISSION_DENIED ROLE_TOO_LOW"


def test_no_other_token_is_accepted(gateway: Gateway) -> None:
    outcomes = {wrong: gateway.outcome(token) for wrong, token in refused_tokens(gateway.provider).items()}
    assert outcomes == dict.fromkeys(outcomes, UNKNOWN)
    assert gateway.outcome(gateway.provider.token()) == ACCEPTED


async def test_http_accepts_and_refuses_the_same_tokens(gateway: Gateway) -> None:
    async def status(token: str) -> int:
        headers = {**JSON, "Authorization": f"Bearer {token}"}
        return (await exchange(gateway.http, "/semsearch.v1.LimitsService/GetLimits", headers, b"{}")).status

    assert await status(gateway.provider.token()) == 200
    assert await status(gateway.provider.token(exp=time.time() - 60)) == 401
    assert await status(gateway.provider.token(roles=[])) == 403
    statuses = {wrong: await status(token) for wrong, token in refused_tokens(gateway.provider).items()}
    assert statuses == dict.fromkeys(statuses, 401)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_key_is_accepted_and_an_old_one_refused_while_the_gateway_runs(gateway: Gateway) -> None:
    old = gateway.provider.token()
    gateway.provider.new_key()
    new = gateway.provider.token()
    assert (gateway.outcome(old), gateway.outcome(new)) == (ACCEPTED, UNKNOWN)
    gateway.publish_keys()
    until(lambda: gateway.outcome(new) == ACCEPTED)
    assert gateway.outcome(old) == ACCEPTED
    gateway.provider.retire_key()
    gateway.publish_keys()
    until(lambda: gateway.outcome(old) == UNKNOWN)
    assert gateway.outcome(new) == ACCEPTED


def test_a_broken_file_of_keys_changes_nothing(gateway: Gateway) -> None:
    token = gateway.provider.token()
    gateway.keys.write_text("no keys", encoding="utf-8")
    until(lambda: any("a file cannot be used" in line for line in gateway.process.lines))
    assert gateway.outcome(token) == ACCEPTED
    gateway.provider.new_key()
    gateway.publish_keys()
    until(lambda: gateway.outcome(gateway.provider.token()) == ACCEPTED)


def metadata(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def described(error: grpc.RpcError) -> str:
    refusal = Refusal.of(error)
    return f"{refusal.code.name} {refusal.reason}"
