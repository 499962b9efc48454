"""What is sent as a picture comes out small, clean and upright; what is none, or too much, is refused."""

import asyncio
import io
import signal
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from shared.http.pictures import receiving
from shared.http.pictures.limits import MOST_BYTES, MOST_PIXELS
from tests.kit.pictures import PHOTOS, a_photo, claims, saved, turned, with_chunk
from tests.shared.toy_hosts import Hosts

PATH = "/accounts/acc/portrait"
RED, WHITE = (255, 0, 0), (255, 255, 255)
FRAMES = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue", "lime")]


@pytest.fixture
async def http(plain_hosts: Hosts) -> AsyncIterator[httpx.AsyncClient]:
    host = await plain_hosts.prepare()
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://toy/ledger", timeout=60) as client:
        yield client


async def taken(http: httpx.AsyncClient, upload: bytes) -> Image.Image:
    answer = await http.put(PATH, content=upload)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


async def refused(http: httpx.AsyncClient, upload: bytes) -> str:
    """Why."""
    answer = await http.put(PATH, content=upload)
    assert answer.status_code == 422, answer.status_code
    assert answer.json()["type"].endswith("/not-a-photo")
    return str(answer.json()["why"])


def is_near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("kind", PHOTOS)
async def test_a_photo_comes_out_small_and_without_what_the_camera_wrote(
    http: httpx.AsyncClient, kind: str
) -> None:
    upload = a_photo(kind)
    with Image.open(io.BytesIO(upload)) as before:
        assert before.getexif() and before.info["icc_profile"], "there was something to lose"
    answer = await http.put(PATH, content=upload)
    with Image.open(io.BytesIO(answer.content)) as photo:
        assert (photo.format, photo.size, dict(photo.getexif())) == ("JPEG", (1024, 768), {})
        assert set(photo.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert is_near(photo.getpixel((9, 9)), (255, 99, 71))
    for trace in (b"Exif", b"a camera", b"where she lives", b"ICC_PROFILE"):
        assert trace not in answer.content


@pytest.mark.parametrize("kind", PHOTOS)
async def test_a_photo_taken_on_its_side_comes_out_upright(http: httpx.AsyncClient, kind: str) -> None:
    photo = await taken(http, turned(kind))
    assert photo.size == (300, 400)
    assert is_near(photo.getpixel((150, 50)), WHITE)
    assert is_near(photo.getpixel((150, 350)), (0, 0, 0))


@pytest.mark.parametrize("kind", ["JPEG", "HEIF"])
async def test_what_a_phone_makes_is_taken(http: httpx.AsyncClient, kind: str) -> None:
    seen = Image.effect_noise((400, 300), 60).convert("RGB").resize((4000, 3000))
    upload = saved(seen, "JPEG", quality=97) if kind == "JPEG" else a_photo(kind, (4032, 3024))
    assert kind == "HEIF" or 1_450_000 < len(upload) < MOST_BYTES
    assert (await taken(http, upload)).size == (1024, 768)


async def test_a_large_photo_is_taken_as_jpeg_whatever_it_carries_beside_the_picture(
    http: httpx.AsyncClient,
) -> None:
    assert (await taken(http, a_photo("JPEG", (8160, 6120)))).size == (1024, 768)
    second = Image.new("RGB", (40, 40), "blue")
    with_depth = saved(Image.new("RGB", (1600, 1200), "red"), "MPO", save_all=True, append_images=[second])
    photo = await taken(http, with_depth)
    assert photo.size == (1024, 768) and is_near(photo.getpixel((500, 300)), RED)


def see_through() -> dict[str, bytes]:
    """Red, but for a corner that cannot be seen and whose colour is black."""
    picture = Image.new("RGBA", (2000, 2000), "red")
    picture.paste((0, 0, 0, 0), (0, 0, 1000, 1000))
    flat = Image.new("RGB", (64, 64), "red")
    flat.paste("black", (0, 0, 32, 32))
    return {
        "RGBA": saved(picture, "PNG"),
        "WebP": saved(picture, "WEBP", lossless=True),
        "HEIC": saved(picture, "HEIF", quality=90),
        "palette": saved(picture.quantize(8), "PNG"),
        "one colour": saved(flat, "PNG", transparency=(0, 0, 0)),
    }


async def test_what_is_transparent_lies_on_white(http: httpx.AsyncClient) -> None:
    for kind, upload in see_through().items():
        photo = await taken(http, upload)
        assert is_near(photo.getpixel((8, 8)), WHITE), kind
        assert is_near(photo.getpixel((photo.width - 8, photo.height - 8)), RED), kind


async def test_every_way_to_store_pixels_is_taken(http: httpx.AsyncClient) -> None:
    grey = Image.linear_gradient("L")
    pictures = {
        "bits": saved(grey.convert("1"), "PNG"),
        "palette": saved(grey.convert("P"), "PNG"),
        "grey": saved(grey, "JPEG"),
        "grey that one sees through": saved(grey.convert("LA"), "PNG"),
        "print": saved(grey.convert("CMYK"), "JPEG"),
        "16 bits": saved(grey.convert("I;16").point(lambda value: value * 257), "PNG"),
    }
    for kind, upload in pictures.items():
        photo = await taken(http, upload)
        assert photo.mode == "RGB"
        assert is_near(photo.getpixel((128, 250)), (250, 250, 250)), kind
        assert is_near(photo.getpixel((128, 5)), (5, 5, 5)), kind


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "HEIF"])
async def test_of_several_frames_the_first_is_kept(http: httpx.AsyncClient, kind: str) -> None:
    upload = saved(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:])
    assert is_near((await taken(http, upload)).getpixel((40, 40)), (254, 0, 0))


async def test_what_is_no_picture_is_refused(http: httpx.AsyncClient) -> None:
    others = [saved(FRAMES[0], kind) for kind in ("GIF", "TIFF", "BMP", "PDF", "ICO", "TGA", "AVIF")]
    texts = [b"", b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0"]
    cut = [a_photo(kind)[:200] for kind in PHOTOS] + [b"\0\0\0\x18ftypheic" + b"\xff" * 400]
    whole = a_photo("PNG", (64, 64))
    at = whole.index(b"IDAT")
    changed = whole[: at + 20] + b"\xff" * 40 + whole[at + 60 :]
    for upload in (*others, *texts, *cut, changed):
        assert await refused(http, upload) == "unreadable", upload[:20]


async def test_a_picture_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    http: httpx.AsyncClient,
) -> None:
    assert await refused(http, claims(60_000, 60_000)) == "pixels"
    assert await refused(http, claims(4_001, 4_000)) == "pixels"
    assert await refused(http, a_photo("PNG", (6320, 6320))) == "pixels"
    webp = Image.new("RGB", (4200, 3100))
    assert await refused(http, saved(webp, "WEBP", lossless=True, method=0)) == "pixels"
    answer = await http.put(PATH, content=claims(60_000, 60_000))
    assert answer.json()["most_pixels"] == {kind: int(most) for kind, most in MOST_PIXELS.items()}
    assert answer.json()["title"] == "不是可用的照片 / Not a usable photo"


async def test_a_picture_that_needs_too_much_memory_is_refused(http: httpx.AsyncClient) -> None:
    whole_at_once = Image.new("RGB", (8160, 6120))
    # Over its bound a decoder cannot always say so: libjpeg calls the picture broken.
    assert await refused(http, saved(whole_at_once, "JPEG", progressive=True, subsampling=0)) in (
        "memory",
        "unreadable",
    )


async def test_what_is_packed_into_metadata_is_not_unpacked(http: httpx.AsyncClient) -> None:
    png = saved(FRAMES[0], "PNG")
    packed = zlib.compress(bytes(300_000_000), 9)
    for name, head in ((b"zTXt", b"word\0\0"), (b"iTXt", b"word\0\1\0\0\0"), (b"iCCP", b"name\0\0")):
        answer = await http.put(PATH, content=with_chunk(png, name, head + packed))
        assert answer.status_code == 200 or answer.json()["why"] == "unreadable"
    many = saved(FRAMES[0], "JPEG", comment=b"x" * 60_000)
    assert (await taken(http, many)).size == (80, 80)
    nine = b"".join(b"\xff\xe1\xff\xff" + bytes(65_533) for _ in range(140))
    assert (await taken(http, many[:2] + nine + many[2:])).size == (80, 80)


async def test_metadata_that_is_garbage_is_no_fault_of_ours(http: httpx.AsyncClient) -> None:
    for kind, garbage in (("PNG", b"Exif\0\0" + b"garbage" * 20), ("WEBP", b"garbage" * 20)):
        answer = await http.put(PATH, content=saved(FRAMES[0], kind, exif=garbage))
        assert answer.status_code == 200 or answer.json()["why"] == "unreadable"


async def test_a_body_above_10_mib_is_413(http: httpx.AsyncClient) -> None:
    answer = await http.put(PATH, content=bytes(MOST_BYTES + 1))
    assert (answer.status_code, answer.json()["limit"]) == (413, MOST_BYTES)
    assert await refused(http, bytes(MOST_BYTES)) == "unreadable"


# ── many at once ─────────────────────────────────────────────────────────────────────────────────────


async def test_who_comes_when_too_many_wait_is_told_to_come_again(http: httpx.AsyncClient) -> None:
    photo = a_photo("JPEG", (64, 64))
    answers = await asyncio.gather(*(http.put(PATH, content=photo) for _ in range(20)))
    told = sorted(answer.status_code for answer in answers)
    assert told == [200] * receiving.IN_HAND + [503] * (20 - receiving.IN_HAND)
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert busy.json()["type"].endswith("/too-many-pictures")
    assert int(busy.headers["retry-after"]) > 0
    assert (await http.put(PATH, content=photo)).status_code == 200, "there is room again"


async def test_slow_uploads_are_held_up_to_a_bound(http: httpx.AsyncClient) -> None:
    full = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(1024 * 1024)
        await full.wait()

    async def put() -> int:
        status = (await http.put(PATH, content=slowly())).status_code
        full.set()
        return status

    told = await asyncio.gather(*(put() for _ in range(8)))
    assert sorted(told) == [422] * 7 + [503], "8 × 9 MiB are more than 64"
    assert await refused(http, b"small") == "unreadable", "what was held is given back"


async def test_other_requests_are_answered_while_a_picture_is_decoded(http: httpx.AsyncClient) -> None:
    put = asyncio.create_task(http.put(PATH, content=saved(Image.new("RGBA", (4000, 4000)), "PNG")))
    answered = 0
    while not put.done():
        assert (await http.get("/nowhere")).status_code == 404
        answered += 1
        await asyncio.sleep(0.005)
    assert put.result().status_code == 200
    assert answered > 10


async def test_nothing_is_left_open(http: httpx.AsyncClient) -> None:
    photo = a_photo("PNG", (64, 64))
    await http.put(PATH, content=photo)
    before = opened()
    for upload in (photo, b"none", photo):
        await http.put(PATH, content=upload)
    assert opened() <= before


def opened() -> int:
    """The files that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


# ── a decoder that does not end as it should ─────────────────────────────────────────────────────────


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A decoder that does something else."""
    monkeypatch.setattr(receiving, "_PROGRAM", (sys.executable, "-c", text))


async def test_a_decoder_that_is_over_its_time_is_ended(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = "from shared.http.pictures import decoder as d; d.PROCESSOR_TIME = 1; "
    endless = looked_at + "d.cleaned = lambda _: next(iter(int, 1))"
    program(
        monkeypatch, endless.replace("next(iter(int, 1))", "all(iter(lambda: True, None))") + "; d.main()"
    )
    assert await refused(http, b"anything") == "time"


async def test_a_machine_too_busy_to_decode_says_so(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "import signal; signal.pause()")
    monkeypatch.setattr(receiving, "PATIENCE", 0.3)
    answer = await http.put(PATH, content=b"anything")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "too-many-pictures")


async def test_a_decoder_that_breaks_is_the_pictures_fault_by_a_signal_and_ours_otherwise(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    assert (await http.put(PATH, content=b"anything")).status_code == 422
    program(monkeypatch, "raise SystemExit('there is no such module')")
    answer = await http.put(PATH, content=b"anything")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (500, "internal")
    assert "module" not in answer.text
