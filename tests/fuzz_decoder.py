"""Fuzz the image decoder: `python -m tests.fuzz_decoder --minutes 10`.

Seeds of every format, with EXIF and a colour profile, are mutated: bytes are changed, cut, repeated, or spliced with
other files. A finding is an exception other than `ImageError`, more than `--seconds` for one file, a crash, or more
memory than `--memory` MiB (the limit of the process). Findings are written to `--out`; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import random
import resource
import time
import traceback
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from PIL import Image

from model.errors import ImageError
from model.images import ImageLimits, decode
from tests.unit.model.images.picture_files import encode, ramp, rgb_profile
from tests.unit.model.images.test_metadata import camera_exif
from tests.unit.model.images.test_raw import dng

_ROOM = 2**20
_LIMITS = ImageLimits(pixels=4_000_000)


def seeds() -> list[bytes]:
    """Return small files of every format and kind."""
    exif, profile = camera_exif(6).tobytes(), rgb_profile("Display P3")
    files = [
        encode(ramp(), name, exif=exif, icc_profile=profile) for name in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
    ]
    files += [encode(ramp(), "JPEG", exif=exif, progressive=True), encode(ramp().convert("CMYK"), "JPEG")]
    files += [
        encode(ramp().convert(mode), "TIFF", compression=how)
        for mode in ("L", "F", "I;16", "CMYK")
        for how in ("raw", "tiff_lzw", "tiff_adobe_deflate")
    ]
    files += [encode(ramp().convert("P"), name) for name in ("GIF", "PNG", "BMP")]
    frames = [ramp().rotate(turn) for turn in (90, 180)]
    files += [
        encode(ramp(), name, save_all=True, append_images=frames) for name in ("GIF", "PNG", "WEBP", "AVIF", "MPO")
    ]
    return [*files, dng(encode(Image.new("RGB", (32, 24)), "JPEG"), 6)]


def mutate(chance: random.Random, files: list[bytes]) -> bytes:
    """Return a damaged file."""
    content = bytearray(chance.choice(files))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(content)) if content else 0
        match chance.randrange(7):
            case 0 | 1 | 2 if content:
                content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            case 3:
                content[at : at + 4] = chance.choice(
                    (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\xff\xff")
                )
            case 4:
                del content[at : at + chance.randint(1, 64)]
            case 5:
                part = content[at : at + chance.randint(1, 256)]
                content[at:at] = part * chance.randint(1, 20)
            case _:
                other = chance.choice(files)
                start = chance.randrange(len(other))
                content[at:at] = other[start : start + chance.randint(1, 512)]
    return bytes(content[: _ROOM - 8])


def findings(
    seed: int, deadline: float, seconds: float, memory: int, current: SharedMemory
) -> Iterator[tuple[bytes, str]]:
    """Yield findings, files with their problems, until the deadline."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (memory * 2**20 + 2**31, memory * 2**20 + 2**31))
    chance, files = random.Random(seed), seeds()
    count = 0
    while time.monotonic() < deadline:
        content = mutate(chance, files)
        current.buf[:8] = len(content).to_bytes(8, "big")
        current.buf[8 : 8 + len(content)] = content
        began = time.monotonic()
        try:
            decode(content, size=32, thumbnail_edge=64, limits=_LIMITS)
        except ImageError:
            pass
        except Exception:  # noqa: BLE001 — any other exception is a finding
            yield content, traceback.format_exc()
        if (took := time.monotonic() - began) > seconds:
            yield content, f"took {took:.1f} s"
        count += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count:,} files were tried; peak memory was {peak:,} MiB")  # noqa: T201


def _work(seed: int, deadline: float, seconds: float, memory: int, out: Path, current: SharedMemory) -> None:
    for number, (content, problem) in enumerate(findings(seed, deadline, seconds, memory, current)):
        (out / f"{seed}-{number}.bin").write_bytes(content)
        (out / f"{seed}-{number}.txt").write_text(problem)


def main() -> int:
    """Fuzz until the time is up; restart after a crash."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--memory", type=int, default=2_048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("var/fuzz"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    deadline, seed = time.monotonic() + 60 * options.minutes, options.seed
    current = SharedMemory(create=True, size=_ROOM)
    try:
        while time.monotonic() < deadline:
            arguments = (seed, deadline, options.seconds, options.memory, options.out, current)
            process = multiprocessing.get_context("fork").Process(target=_work, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                size = int.from_bytes(current.buf[:8], "big")
                (options.out / f"{seed}-crash.bin").write_bytes(bytes(current.buf[8 : 8 + size]))
                (options.out / f"{seed}-crash.txt").write_text(f"exit status {process.exitcode}")
            seed += 1
    finally:
        current.close()
        current.unlink()
    found = sorted(options.out.glob("*.txt"))
    print(f"{len(found)} findings in {options.out}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
