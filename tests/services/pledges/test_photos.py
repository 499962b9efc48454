"""The optional photo of a check-in."""

import asyncio
import io

from PIL import Image
from pledges_town import Town

GPS = 0x8825


def a_photo(kind: str, size: tuple[int, int] = (1600, 1200)) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[GPS] = {1: "N", 2: (28.0, 58.0, 0.0)}
    out = io.BytesIO()
    Image.new("RGB", size, "tomato").save(out, kind, exif=exif)
    return out.getvalue()


async def checked_in(town: Town) -> str:
    pledge = await town.counted(await town.campaign())
    done = await town.done(f"/signings/{pledge['id']}/check-ins")
    return f"/pledges/signings/{pledge['id']}/check-ins/{done['day']}/photo"


async def test_a_photo_comes_back_small_and_without_what_the_camera_wrote(town: Town) -> None:
    path = await checked_in(town)
    for kind in ("JPEG", "PNG", "WEBP"):
        put = await town.http.put(path, content=a_photo(kind))
        assert put.status_code == 204
        got = await town.http.get(path)
        with Image.open(io.BytesIO(got.content)) as picture:
            assert (picture.format, picture.size, dict(picture.getexif())) == ("JPEG", (1024, 768), {})


async def test_what_is_no_photo_is_refused(town: Town) -> None:
    path = await checked_in(town)
    for body in (b"", b"not a picture", a_photo("JPEG")[:200]):
        answer = await town.http.put(path, content=body)
        assert answer.status_code == 422
        assert answer.json()["type"].endswith("/not-a-photo")
    assert (await town.http.get(path)).status_code == 404


def broken() -> list[bytes]:
    """Pictures that begin well: what a camera wrote is garbage, a part is cut or changed."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "tomato").save(out, "PNG", exif=b"Exif\0\0" + b"garbage" * 20)
    webp = io.BytesIO()
    Image.new("RGB", (64, 64), "tomato").save(webp, "WEBP", exif=b"garbage" * 20)
    whole = a_photo("PNG", (64, 64))
    at = whole.index(b"IDAT")
    return [out.getvalue(), webp.getvalue(), whole[: at + 20] + b"\xff" * 40 + whole[at + 60 :]]


async def test_a_picture_that_breaks_its_decoder_is_no_photo_and_no_fault_of_ours(town: Town) -> None:
    path = await checked_in(town)
    for body in broken():
        assert (await town.http.put(path, content=body)).status_code in (204, 422)


async def test_a_day_without_check_in_has_no_photo(town: Town) -> None:
    path = await checked_in(town)
    other = path.replace(path.split("/")[-2], "2020-03-08")
    assert (await town.http.put(other, content=a_photo("PNG"))).status_code == 404


async def test_a_photo_lies_sealed_in_the_database(town: Town) -> None:
    path = await checked_in(town)
    await town.http.put(path, content=a_photo("PNG"))
    stored = await town.host.stores["pledges"].database["photos"].find_one({})
    assert stored is not None
    assert b"JFIF" not in stored["sealed"]
    assert "image" not in stored


async def test_a_photo_sent_several_times_at_once_is_put_each_time(town: Town) -> None:
    path = await checked_in(town)
    puts = await asyncio.gather(*(town.http.put(path, content=a_photo("PNG")) for _ in range(6)))
    assert [put.status_code for put in puts] == [204] * 6
