"""How often the service behind a service is called for one call of a client, while it answers no call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import grpc.aio
import pytest
from semsearch import AsyncClient, Retries, ServerNotReady

from serving import errors
from serving.channels import Channels
from serving.interceptors import CallInterceptor

Context = grpc.aio.ServicerContext[bytes, bytes]
SECONDS = 60.0
PATH, LAST = "/semsearch.v1.ModelService/GetModel", "/Test/Last"
# Of the client, and of the channel between the services.
ATTEMPTS, CHANNEL_ATTEMPTS = 5, 4


@asynccontextmanager
async def served(path: str, method: Callable[[bytes, Context], Awaitable[bytes]]) -> AsyncIterator[str]:
    _, service, name = path.split("/")
    server = grpc.aio.server(interceptors=[CallInterceptor({})] if path == PATH else [])
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(method)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.mark.parametrize("hops", [1, 2])
async def test_retries_of_several_hops_add_up_and_do_not_multiply(hops: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of services, of which the last fails."""
    monkeypatch.setattr(errors, "RETRY_SECONDS", 0.001)
    calls = 0

    async def fail(request: bytes, context: Context) -> bytes:
        nonlocal calls
        calls += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "as the test asked")
        raise AssertionError

    def passing_on(channel: grpc.aio.Channel, path: str) -> Callable[[bytes, Context], Awaitable[bytes]]:
        next_: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)

        async def pass_on(request: bytes, context: Context) -> bytes:
            return await next_(request)

        return pass_on

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(SECONDS))
        path, address = LAST, await stack.enter_async_context(served(LAST, fail))
        for _ in range(hops):
            channel = await stack.enter_async_context(Channels(2**20).open(address))
            address = await stack.enter_async_context(served(PATH, passing_on(channel, path)))
            path = PATH
        client = await stack.enter_async_context(AsyncClient(address, retries=Retries(ATTEMPTS, first_delay=0.001)))
        with pytest.raises(ServerNotReady):
            await client.get_model()
    assert calls == ATTEMPTS + hops * (CHANNEL_ATTEMPTS - 1)
