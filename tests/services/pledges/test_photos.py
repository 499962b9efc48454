"""The optional photo of a check-in. Which pictures are taken, and what becomes of them: test_pictures.py."""

import asyncio
import io
from collections.abc import AsyncIterator

from PIL import Image

from tests.kit.pictures import PHOTOS, a_photo, saved
from tests.kit.problems import problem
from tests.services.pledges.town import Town


async def checked_in(town: Town) -> str:
    pledge = await town.counted(await town.campaign())
    done = await town.done(f"/signings/{pledge['id']}/check-ins")
    return f"/pledges/signings/{pledge['id']}/check-ins/{done['day']}/photo"


async def test_a_photo_comes_back_small_and_without_what_the_camera_wrote(town: Town) -> None:
    path = await checked_in(town)
    for kind in PHOTOS:
        put = await town.http.put(path, content=a_photo(kind))
        assert put.status_code == 204
        got = await town.http.get(path)
        assert (got.headers["content-type"], got.headers["cache-control"]) == ("image/jpeg", "no-store")
        with Image.open(io.BytesIO(got.content)) as picture:
            assert (picture.format, picture.size, dict(picture.getexif())) == ("JPEG", (1024, 768), {})


async def test_a_photo_of_several_megabytes_is_taken_and_lies_on_white_where_it_is_transparent(
    town: Town,
) -> None:
    path = await checked_in(town)
    noise = Image.effect_noise((1600, 1200), 90).convert("RGBA")
    noise.paste((0, 0, 0, 0), (0, 0, 100, 100))
    upload = saved(noise, "PNG")
    assert 1_450_000 < len(upload) < 10_000_000
    assert (await town.http.put(path, content=upload)).status_code == 204
    with Image.open(io.BytesIO((await town.http.get(path)).content)) as picture:
        assert min(picture.getpixel((20, 20))) > 245  # type: ignore[type-var,arg-type]


async def test_what_is_no_photo_is_refused(town: Town) -> None:
    path = await checked_in(town)
    for body in (b"", b"not a picture", a_photo("JPEG")[:200]):
        answer = await town.http.put(path, content=body)
        assert (answer.status_code, problem(answer)) == (422, "not-a-photo")
    assert (await town.http.get(path)).status_code == 404


async def test_who_has_a_photo_already_is_told_so_until_there_is_another(town: Town) -> None:
    path = await checked_in(town)
    await town.http.put(path, content=a_photo("JPEG"))
    first = (await town.http.get(path)).headers["etag"]
    again = await town.http.get(path, headers={"If-None-Match": f'"other", W/{first}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first)
    await town.http.put(path, content=a_photo("PNG"))
    changed = await town.http.get(path, headers={"If-None-Match": first})
    assert changed.status_code == 200 and changed.headers["etag"] != first


async def test_nothing_is_read_from_a_stranger_nor_shown_to_one(town: Town) -> None:
    path = await checked_in(town)
    await town.http.put(path, content=a_photo("PNG"))
    etag = (await town.http.get(path)).headers["etag"]
    read = 0

    async def picture() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(9):
            read += 1
            yield bytes(1_000_000)

    stranger = {"Signing-Key": "somebody-elses-key-of-some-length", "Authorization": ""}
    put = await town.http.put(path, content=picture(), headers=stranger)
    assert (put.status_code, read) in [(401, 0), (403, 0)]
    got = await town.http.get(path, headers=stranger | {"If-None-Match": etag})
    assert got.status_code in (401, 403)


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
