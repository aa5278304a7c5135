"""A switch to a model that only one of two embedders has, while that embedder, or the gateway too, is restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from semsearch.v1 import model_service_pb2 as models

from tests.ports import free_ports
from tests.services.gateway_stack import START_SECONDS, ColorEmbedderServicer, Stack, color_embedder, image, service
from tests.services.shared_state import switch_target
from tests.unit.gateway.doubles import OTHER_MODEL, picture

SWITCHING = "semsearch.v1.ModelService/switching"


@dataclass
class Suite:
    """The gateway, and the embedder that has both models, while they run; the other embedder has the first model."""

    data: Path
    index: str
    ports: list[int]
    gateway: AsyncExitStack = field(default_factory=AsyncExitStack)
    having: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_gateway(self) -> Stack:
        embedders = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        flags = ("--port=0", f"--data={self.data}", f"--embedder={embedders}", f"--index={self.index}")
        started = await self.gateway.enter_async_context(service("gateway", *flags))
        channel = await self.gateway.enter_async_context(grpc.aio.insecure_channel(started.address))
        stack = Stack(channel, None, self.data)  # type: ignore[arg-type]
        await stack.wait_until_serving("")
        return stack

    async def start_embedder(self) -> ColorEmbedderServicer:
        servicer, _ = await self.having.enter_async_context(color_embedder(self.ports[0]))
        return servicer

    async def wait_for_trouble(self, stack: Stack) -> None:
        """Wait until the switch waits for an embedder; it must not be given up."""
        async with asyncio.timeout(START_SECONDS):
            while await self._health(stack) == health_pb2.HealthCheckResponse.SERVING:
                assert switch_target(self.index) == OTHER_MODEL.id
                await asyncio.sleep(0.05)

    async def _health(self, stack: Stack) -> health_pb2.HealthCheckResponse.ServingStatus.ValueType:
        return (await stack.health.Check(health_pb2.HealthCheckRequest(service=SWITCHING))).status


@pytest.fixture
async def suite(tmp_path: Path) -> AsyncIterator[Suite]:
    ports = list(free_ports(2))
    async with (
        service("index_service", "--port=0", f"--data={tmp_path}") as index,
        color_embedder(ports[1]) as (without, _),
    ):
        without.takes_models = False
        del without.embedder.models[OTHER_MODEL.id]
        suite = Suite(tmp_path, index.address, ports)
        async with suite.having, suite.gateway:
            yield suite


async def model_ids(stack: Stack) -> list[str]:
    return [model.id for model in (await stack.models.ListModels(models.ListModelsRequest())).models]


async def begin_switch(stack: Stack, having: ColorEmbedderServicer) -> asyncio.Task[str]:
    """Begin a switch, which stops when images are embedded; the task returns the model at the end."""

    async def activate() -> str:
        request = models.ActivateModelRequest(id=OTHER_MODEL.id)
        return [answer.model.id async for answer in stack.models.ActivateModel(request, timeout=START_SECONDS)][-1]

    async with asyncio.timeout(START_SECONDS):
        while OTHER_MODEL.id not in await model_ids(stack):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await stack.index("gallery", [image(n, picture("red", seed=n), f"red-{n}") for n in range(8)])
        having.images_may_flow.clear()
        switch = asyncio.create_task(activate())
        while not having.images_waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return switch


async def test_a_switch_goes_on_when_the_only_embedder_with_the_model_is_back(suite: Suite) -> None:
    having = await suite.start_embedder()
    stack = await suite.start_gateway()
    switch = await begin_switch(stack, having)
    await suite.having.aclose()
    await suite.wait_for_trouble(stack)
    await suite.start_embedder()
    assert await switch == OTHER_MODEL.id


async def test_a_switch_goes_on_when_a_new_gateway_has_not_seen_the_embedder_with_the_model(suite: Suite) -> None:
    having = await suite.start_embedder()
    stack = await suite.start_gateway()
    switch = await begin_switch(stack, having)
    await suite.gateway.aclose()
    await suite.having.aclose()
    await asyncio.gather(switch, return_exceptions=True)
    stack = await suite.start_gateway()
    await suite.wait_for_trouble(stack)
    await suite.start_embedder()
    async with asyncio.timeout(START_SECONDS):
        while (await stack.models.GetModel(models.GetModelRequest())).model.id != OTHER_MODEL.id:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
