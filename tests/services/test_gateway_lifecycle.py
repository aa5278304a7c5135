"""Start, health and stop of the gateway beside services that come and go."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from PIL import Image
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import model_service_pb2
from semsearch.v1 import search_service_pb2 as search

from tests.ports import free_ports
from tests.services.gateway_stack import (
    SERVICES,
    Stack,
    color_embedder,
    image,
    reason,
    service,
    wait_for_health,
)
from tests.unit.gateway.doubles import COLORS, OTHER_MODEL, picture

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def flags(data: Path, embedder_port: int, index_port: int) -> list[str]:
    return ["--port=0", f"--data={data}", f"--embedder=127.0.0.1:{embedder_port}", f"--index=127.0.0.1:{index_port}"]


async def test_images_as_large_as_messages_allow_pass_every_hop(tmp_path: Path) -> None:
    most_message, most_image = 4 * 2**20, 3 * 2**20
    noise = np.random.default_rng(0).integers(0, 256, (8, 1_015, 1_015, 3), dtype=np.uint8)
    images = []
    for number, pixels in enumerate(noise):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=0)
        images.append(image(number, file.getvalue(), attributes={"text": "x" * 60_000}))
    assert all(0.98 * most_image < len(each.content) <= most_image for each in images)
    async with color_embedder() as (embedder, embedder_port):
        embedder.embedder.limits = replace(embedder.embedder.limits, max_image_bytes=most_image)
        async with (
            service("index_service", "--port=0", f"--data={tmp_path}", f"--max-message-bytes={most_message}") as index,
            service(
                "gateway", *flags(tmp_path, embedder_port, index.port), f"--max-message-bytes={most_message}"
            ) as gateway,
            grpc.aio.insecure_channel(gateway.address) as channel,
        ):
            stack = Stack(channel, embedder, tmp_path)
            await stack.wait_until_serving("")
            results = await stack.index("gallery", images)
            found = await stack.search.SearchByImage(search.SearchByImageRequest(content=images[0].content))
    assert [result.status.message for result in results] == [""] * 8
    assert len(found.matches) == 8


async def test_the_gateway_starts_before_the_other_services(tmp_path: Path) -> None:
    embedder_port, index_port = free_ports(1).start, free_ports(1).start
    async with (
        service("gateway", *flags(tmp_path, embedder_port, index_port)) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        stack = Stack(channel, None, tmp_path)  # type: ignore[arg-type]
        for name in {"", *SERVICES} - {"semsearch.v1.LimitsService"}:  # that one needs no other service
            response = await stack.health.Check(health_pb2.HealthCheckRequest(service=name))
            assert response.status == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await stack.search.SearchByText(search.SearchByTextRequest(query="red"))
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert reason(caught.value) == "DEPENDENCY_UNAVAILABLE"

        async with (
            color_embedder(embedder_port),
            service("index_service", f"--port={index_port}", f"--data={tmp_path}"),
        ):
            for name in ("", *SERVICES):
                await wait_for_health(channel, name, SERVING)
            [result] = await stack.index("", [image(1, picture("red"))])
            found = await stack.search.SearchByText(search.SearchByTextRequest(query="red"))
            assert found.matches[0].image.id == result.id
        await wait_for_health(channel, "", NOT_SERVING)


async def test_only_word_searches_must_retry_during_a_fill(tmp_path: Path) -> None:
    async with color_embedder() as (embedder, embedder_port):
        embedder.words_may_flow.clear()
        async with (
            service("index_service", "--port=0", f"--data={tmp_path}") as index,
            service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
            grpc.aio.insecure_channel(gateway.address) as channel,
        ):
            stack = Stack(channel, embedder, tmp_path)
            await stack.wait_until_serving("semsearch.v1.GalleryService")
            await stack.index("", [image(1, picture("red"), "red")])
            found = await stack.search.SearchByText(search.SearchByTextRequest(query="red"))
            assert [match.image.id for match in found.matches] == ["red"]
            for call in (
                stack.search.SimilarWords(search.SimilarWordsRequest(query="red")),
                stack.search.TagImage(search.TagImageRequest(content=picture("red"))),
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    await call
                assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
                details = rpc_status.from_call(caught.value).details
                assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)
            labels = await stack.search.TagImage(search.TagImageRequest(content=picture("red"), labels=["red", "blue"]))
            assert labels.tags[0].word == "red"
            response = await stack.health.Check(health_pb2.HealthCheckRequest(service="semsearch.v1.SearchService"))
            assert response.status == NOT_SERVING

            embedder.words_may_flow.set()
            await stack.wait_until_serving("")
            similar = await stack.search.SimilarWords(search.SimilarWordsRequest(query="red"))
            assert similar.words[0].word == "crimson"


async def test_a_gateway_killed_while_filling_words_resumes_there(tmp_path: Path) -> None:
    async with (
        color_embedder() as (embedder, embedder_port),
        service("index_service", "--port=0", f"--data={tmp_path}") as index,
    ):
        embedder.words_may_flow.clear()
        async with service("gateway", *flags(tmp_path, embedder_port, index.port)) as first:
            async with grpc.aio.insecure_channel(first.address) as channel:
                await wait_for_health(channel, "semsearch.v1.GalleryService", SERVING)
            async with asyncio.timeout(10):
                while embedder.embedder.words_sent < 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        embedder.words_may_flow.set()
        async with (
            service("gateway", *flags(tmp_path, embedder_port, index.port)) as second,
            grpc.aio.insecure_channel(second.address) as channel,
        ):
            stack = Stack(channel, embedder, tmp_path)
            await stack.wait_until_serving("")
            request = search.SimilarWordsRequest(query="red", page_size=100)
            words = {word.word for word in (await stack.search.SimilarWords(request)).words}
        assert words == set(COLORS) - {"red", "sky/blue"}


async def test_a_failing_sweeper_reports_it_and_ends_nothing(tmp_path: Path) -> None:
    """The sweeper fails at the gateway's start, because of a broken link among the released images."""
    released = tmp_path / "images" / "released"
    released.mkdir(parents=True)
    (released / ("0" * 64)).symlink_to(tmp_path / "nowhere")
    async with (
        color_embedder() as (embedder, embedder_port),
        service("index_service", "--port=0", f"--data={tmp_path}") as index,
        service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        stack = Stack(channel, embedder, tmp_path)
        await stack.wait_until_serving("")
        await stack.index("", [image(1, picture("red"), "red")])
        await wait_for_health(channel, "semsearch.v1.GalleryService/sweeping", NOT_SERVING)
        for name in ("", *SERVICES, "semsearch.v1.ModelService/switching", "semsearch.v1.SearchService/words"):
            assert (await stack.health.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
        found = await stack.search.SearchByText(search.SearchByTextRequest(query="red"))
        assert [match.image.id for match in found.matches] == ["red"]
        (tmp_path / "nowhere").touch()
        await wait_for_health(channel, "semsearch.v1.GalleryService/sweeping", SERVING)


async def test_images_and_page_tokens_survive_a_restart(tmp_path: Path) -> None:
    async with (
        color_embedder() as (embedder, embedder_port),
        service("index_service", "--port=0", f"--data={tmp_path}") as index,
    ):
        tokens = []
        for start in range(2):
            async with (
                service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
                grpc.aio.insecure_channel(gateway.address) as channel,
            ):
                stack = Stack(channel, embedder, tmp_path)
                await stack.wait_until_serving("")
                if start == 0:
                    await stack.index("", [image(n, picture("red", seed=n)) for n in range(3)])
                request = gallery.ListImagesRequest(page_size=2, page_token=tokens[0] if tokens else "")
                page = await stack.gallery.ListImages(request)
                tokens.append(page.next_page_token)
                assert len(page.images) == 2 - start
        assert tokens[1] == ""


async def test_a_page_token_survives_restarts_but_not_switches(tmp_path: Path) -> None:
    request = search.SearchByTextRequest(query="red", min_relevance=0, page_size=2)
    similar = search.SimilarWordsRequest(query="red", page_size=2)
    shown: list[str] = []
    words: list[str] = []
    async with color_embedder() as (embedder, embedder_port):
        for _ in range(3):
            async with (
                service("index_service", "--port=0", f"--data={tmp_path}") as index,
                service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
                grpc.aio.insecure_channel(gateway.address) as channel,
            ):
                stack = Stack(channel, embedder, tmp_path)
                await stack.wait_until_serving("")
                if not shown:
                    await stack.index("", [image(n, picture("red", seed=n), f"{n}") for n in range(6)])
                page = await stack.search.SearchByText(request)
                shown += [match.image.id for match in page.matches]
                of_words = await stack.search.SimilarWords(similar)
                words += [each.word for each in of_words.words]
                if page.next_page_token:
                    request.page_token, similar.page_token = page.next_page_token, of_words.next_page_token
                    continue
                activation = model_service_pb2.ActivateModelRequest(id=OTHER_MODEL.id)
                async for _progress in stack.models.ActivateModel(activation):
                    pass
                await stack.wait_until_serving("")
                for call in (stack.search.SearchByText(request), stack.search.SimilarWords(similar)):
                    with pytest.raises(grpc.RpcError) as caught:
                        await call
                    assert reason(caught.value) == "INVALID_PAGE_TOKEN"
                    assert "switched to another model" in (caught.value.details() or "")
                request.page_token = ""
                assert len((await stack.search.SearchByText(request)).matches) == 2
    assert sorted(shown) == [f"{n}" for n in range(6)]
    assert len(words) == len(set(words)) == 6


async def test_a_stop_ends_in_time_and_with_status_0(tmp_path: Path) -> None:
    async with (
        color_embedder() as (_, embedder_port),
        service("index_service", "--port=0", f"--data={tmp_path}") as index,
        service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
    ):
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            await wait_for_health(channel, "", SERVING)
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await gateway.process.wait() == 0


@pytest.mark.parametrize(
    ("flag", "named"), [("--embedder=", "SEMSEARCH_GATEWAY_EMBEDDER"), ("--port=abc", "SEMSEARCH_GATEWAY_PORT")]
)
async def test_a_bad_setting_is_reported_in_a_sentence(tmp_path: Path, flag: str, named: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", f"--data={tmp_path}", flag, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    assert process.returncode == 2
    assert named in stderr.decode()
    assert "Traceback" not in stderr.decode()
