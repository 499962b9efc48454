"""A program of its own: a picture on standard input becomes a small, clean JPEG on standard output.

Decoders are where what strangers send does most harm, so each picture has a process with a bound on its
memory and processor time, which holds no key and no connection. It imports little and is gone afterwards. It
ends with 0, or with `REFUSED` and why on standard output, or by a signal where it is over its time.
"""

import io
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

from PIL import Image, ImageOps

from .limits import FORMATS, LONGEST_SIDE, MEMORY, MOST_PIXELS, PROCESSOR_TIME, REFUSED

Image.MAX_IMAGE_PIXELS = None  # our own limits are lower


class Refused(Exception):
    """Not a picture that we take; the text says why, in one word."""


def cleaned(upload: IO[bytes]) -> bytes:
    """The picture upright, at most `LONGEST_SIDE` pixels long, on white where it was transparent, as JPEG
    without EXIF, GPS, XMP or a colour profile. Of several frames the first. Raises Refused."""
    try:
        with _opened(upload) as picture:
            if picture.width * picture.height > MOST_PIXELS[picture.format or ""]:
                raise Refused("pixels")
            return _jpeg(_on_white(_small(picture)))
    except Refused:
        raise
    except MemoryError as error:
        raise Refused("memory") from error
    except Exception as error:  # decoders fail in many ways on what is broken; strangers send it
        raise Refused("unreadable") from error


def _opened(upload: IO[bytes]) -> Image.Image:
    if b"ftyp" in upload.read(12):  # the large library only where it is needed
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    upload.seek(0)
    return Image.open(upload, formats=FORMATS)


def _small(picture: Image.Image) -> Image.Image:
    """Shrunk first, so that all that follows is cheap; then turned as the camera was held."""
    if picture.mode in ("P", "PA", "1"):  # palettes cannot be averaged
        picture = picture.convert("RGBA")
    elif picture.mode.startswith("I"):  # 16 bits of grey
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), reducing_gap=2.0)
    return ImageOps.exif_transpose(picture)


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")


def _jpeg(picture: Image.Image) -> bytes:
    plain = Image.new("RGB", picture.size)  # pixels, and nothing that came with them
    plain.paste(picture)
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=85)
    return out.getvalue()


def main() -> NoReturn:
    """Read, clean, write."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_TIME, PROCESSOR_TIME))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what it worked on is nobody's to keep
    os.nice(10)  # requests come first
    with suppress(OSError):  # where memory runs out all the same, this ends and not the service
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        answer, status = cleaned(sys.stdin.buffer), 0
    except Refused as error:
        answer, status = str(error).encode(), REFUSED
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    sys.exit(status)


if __name__ == "__main__":
    main()
