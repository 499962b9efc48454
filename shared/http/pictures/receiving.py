"""Pictures that callers send: received once, decoded one after the other in a process of their own."""

import asyncio
import os
import sys
from typing import IO, Any

from anyio.lowlevel import RunVar
from fastapi import Request
from starlette.requests import ClientDisconnect

from shared.model.problems import BadRequest, Problem

from .limits import FORMATS, MOST_BYTES, MOST_PIXELS, REFUSED

HELD = 64 * 1024 * 1024
"""Bytes of pictures that a process holds at a time, those still on their way included."""
AT_A_TIME = 1
"""Pictures decoded at a time: the memory that a process may need is its own and so many decoders'."""
IN_HAND = 9
"""Pictures decoded or waiting for it; the slowest take a second each."""
PATIENCE = 30.0
"""Seconds for one picture. Its decoder has less processor time than that; the rest is a busy machine's."""
RETRY_AFTER = 5
_PROGRAM = (sys.executable, "-I", "-m", "shared.http.pictures.decoder")
_TYPES = ("jpeg", "png", "webp", "heic", "heif")
TAKES_A_PICTURE: dict[str, Any] = {
    "max_body_size": MOST_BYTES,
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in _TYPES
            },
        }
    },
}
"""What a route that calls `received_picture` declares: `@router.put(…, **TAKES_A_PICTURE)`."""


class NotAPhoto(Problem):
    """The body is not a picture that we take, or unpacks to too much: `why` is `pixels`, `memory`, `time` or
    `unreadable`."""

    status, type, title, title_en = 422, "not-a-photo", "不是可用的照片", "Not a usable photo"


class TooManyPictures(Problem):
    """More pictures came at once than can be looked at: nothing was done, come again."""

    status, type = 503, "too-many-pictures"
    title, title_en = "同时上传的照片过多，请稍后重试", "Too many pictures at once, try again soon"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_AFTER)})


class DecoderFailed(Exception):
    """The decoder did not do its work, for a reason that is ours."""


async def received_picture(request: Request) -> bytes:
    """The picture in a request's body, as the decoder cleans it: upright, small, a JPEG without metadata.

    Called when it is known that the caller may: until then nothing of the body was read. The upload is held
    once, in a file that is memory and on no disk: as it comes, it may say where somebody lives.
    Raises NotAPhoto, TooManyPictures, TooLarge.
    """
    return await _desk().received(request)


class _Desk:
    """What this process has in hand, whichever of its services asked."""

    def __init__(self) -> None:
        self.held = 0
        self.in_hand = 0
        self.turn = asyncio.Semaphore(AT_A_TIME)

    async def received(self, request: Request) -> bytes:
        self._has_room()
        size = 0
        with os.fdopen(os.memfd_create("picture"), "w+b") as upload:
            try:
                async for chunk in request.stream():
                    size += len(chunk)
                    self.held += len(chunk)
                    self._has_room()
                    upload.write(chunk)
                upload.seek(0)
                return await self._cleaned(upload)
            except ClientDisconnect as error:  # nobody reads the answer
                raise BadRequest() from error
            finally:
                self.held -= size

    def _has_room(self) -> None:
        if self.held > HELD or self.in_hand >= IN_HAND:
            raise TooManyPictures()

    async def _cleaned(self, upload: IO[bytes]) -> bytes:
        self.in_hand += 1
        try:
            async with self.turn:
                return await _decoded(upload)
        finally:
            self.in_hand -= 1


_desks: RunVar[_Desk] = RunVar("pictures")


def _desk() -> _Desk:
    try:
        return _desks.get()
    except LookupError:
        _desks.set(desk := _Desk())
        return desk


async def _decoded(upload: IO[bytes]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM,
        stdin=upload,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},  # secrets may be in ours
    )
    try:
        async with asyncio.timeout(PATIENCE):
            answer, complaint = await process.communicate()
    except TimeoutError:
        raise TooManyPictures() from None
    finally:
        if process.returncode is None:
            process.kill()
        status = await process.wait()
    return _told(status, answer, complaint)


def _told(status: int, answer: bytes, complaint: bytes) -> bytes:
    """What a decoder that has ended answered. Raises NotAPhoto, DecoderFailed."""
    if status == 0:
        return answer
    if status == REFUSED:
        limits = {name: int(most) for name, most in MOST_PIXELS.items()}
        raise NotAPhoto(why=answer.decode(), formats=FORMATS, most_pixels=limits)
    if status < 0:  # by a signal: it was over its time, or the decoder itself broke
        raise NotAPhoto(why="time", formats=FORMATS)
    raise DecoderFailed(complaint[-500:].decode(errors="replace"))
