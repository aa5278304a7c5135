from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from embedder_service.batching import open_batcher
from embedder_service.errors import Overloaded
from embedder_service.image_embedding import ImageEmbedder, ImageVector, Preprocessing
from embedder_service.image_input import ImageInput
from model.errors import NotAnImage
from model.images import Resize
from serving import deadlines
from tests.unit.embedder_service.held_model import DEADLINE, HeldModel
from tests.unit.embedder_service.in_thread import in_threads

HOW = Preprocessing(4, Resize.CENTER_CROP)


def gray(level: int) -> ImageInput:
    file = io.BytesIO()
    Image.new("L", (8, 8), level).save(file, "PNG")
    return ImageInput(file.getvalue())


async def test_a_call_is_refused_as_a_whole_until_all_images_fit() -> None:
    model = HeldModel()
    with ThreadPoolExecutor(1) as decoders:
        async with open_batcher(model, max_batch=8) as batcher:
            images = ImageEmbedder(batcher, HOW, in_threads(decoders, 1), max_images=3)
            first = asyncio.create_task(images.embed([gray(1), gray(2)]))
            await model.wait_for_start()
            with pytest.raises(Overloaded) as raised:
                await images.embed([gray(3), gray(4)])
            assert raised.value.queued == 2
            model.release(10)
            assert len(await asyncio.wait_for(first, DEADLINE)) == 2
            assert len(await asyncio.wait_for(images.embed([gray(3), gray(4), gray(5)]), DEADLINE)) == 3


async def test_a_call_whose_images_would_be_late_is_refused_at_once() -> None:
    model = HeldModel()
    with ThreadPoolExecutor(1) as decoders:
        async with open_batcher(model, max_batch=8) as batcher:
            images = ImageEmbedder(batcher, HOW, in_threads(decoders, 1), max_images=100)
            model.release()
            await asyncio.wait_for(images.embed([gray(1)]), DEADLINE)  # it learns the pace
            first = asyncio.create_task(images.embed([gray(2)]))
            await model.wait_for_start()
            await model.wait_for_start()
            deadlines.begin(1e-6)
            with pytest.raises(Overloaded):
                await images.embed([gray(3)])
            model.release()
            assert len(await asyncio.wait_for(first, DEADLINE)) == 1
            model.release()
            # Nothing is ahead of it: it may try.
            assert len(await asyncio.wait_for(images.embed([gray(4)]), DEADLINE)) == 1


async def test_a_cancelled_call_frees_its_places() -> None:
    model = HeldModel()
    with ThreadPoolExecutor(1) as decoders:
        async with open_batcher(model, max_batch=8) as batcher:
            images = ImageEmbedder(batcher, HOW, in_threads(decoders, 1), max_images=1)
            gone = asyncio.create_task(images.embed([gray(1)]))
            await model.wait_for_start()
            gone.cancel()
            await asyncio.wait([gone])
            model.release(10)
            [result] = await asyncio.wait_for(images.embed([gray(2)]), DEADLINE)
    assert isinstance(result, ImageVector)


async def test_answers_and_errors_are_in_the_order_of_the_images() -> None:
    model = HeldModel()
    model.release(10)
    with ThreadPoolExecutor(2) as decoders:
        async with open_batcher(model, max_batch=2) as batcher:
            images = ImageEmbedder(batcher, HOW, in_threads(decoders, 2), max_images=9)
            answers = await asyncio.wait_for(images.embed([gray(1), ImageInput(b"no"), gray(3)]), DEADLINE)
    assert [type(answer) for answer in answers] == [ImageVector, NotAnImage, ImageVector]
    assert [float(answer.vector[0]) for answer in answers if isinstance(answer, ImageVector)] == [1, 3]
    assert np.all([answer.timings.decode > 0 for answer in answers if isinstance(answer, ImageVector)])


async def test_images_beyond_the_pixel_budget_wait_until_cancelled() -> None:
    with ThreadPoolExecutor(2) as threads:
        decoder = in_threads(threads, 2, max_pixels=100)
        taken = threading.Event()

        def take(pixels: int) -> None:
            with decoder._pixels.take(pixels, threading.Event()):
                taken.wait(DEADLINE)

        held = asyncio.get_running_loop().run_in_executor(threads, take, 90)
        waiting = asyncio.create_task(decoder.decode(gray(1), 4, Resize.SQUASH))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done, "64 pixels do not fit in addition to 90"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        taken.set()
        await held
        assert (await decoder.decode(gray(7), 4, Resize.SQUASH)).image.pixels[0, 0, 0] == 7
