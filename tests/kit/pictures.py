"""Pictures as phones and attackers make them."""

import io
import struct
import zlib
from typing import Any

from PIL import Image
from pillow_heif import register_heif_opener

register_heif_opener()
GPS, ORIENTATION, MAKER = 0x8825, 0x0112, 0x010F
ON_ITS_SIDE = 6
"""The camera was turned: to be seen upright, the picture is turned clockwise by a quarter."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
FAST = {"preset": "ultrafast"}
PHOTOS = ("JPEG", "PNG", "WEBP", "HEIF")


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture's file."""
    if kind == "HEIF":
        options = {"enc_params": FAST} | options
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def a_photo(kind: str, size: tuple[int, int] = (1600, 1200), mode: str = "RGB", **options: Any) -> bytes:
    """Of one colour, and with everything a camera writes into it."""
    exif = Image.Exif()
    exif[MAKER] = "a camera"
    exif[GPS] = {1: "N", 2: (28.0, 58.0, 0.0)}
    written = {
        "exif": exif,
        "xmp": b"<x:xmpmeta>where she lives</x:xmpmeta>",
        "icc_profile": b"a profile" * 20,
    }
    if kind == "PNG":  # Pillow's PNG has no XMP of its own
        del written["xmp"]
    return saved(Image.new(mode, size, "tomato"), kind, **written | options)


def turned(kind: str) -> bytes:
    """White above and black below when it is upright; stored on its side, as a camera does."""
    upright = Image.new("RGB", (300, 400), "white")
    upright.paste("black", (0, 200, 300, 400))
    exif = Image.Exif()
    exif[ORIENTATION] = ON_ITS_SIDE
    return saved(upright.transpose(Image.Transpose.ROTATE_90), kind, exif=exif.tobytes())


def claims(width: int, height: int) -> bytes:
    """A PNG that only says how large it is."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(png: bytes, name: bytes, data: bytes) -> bytes:
    """A PNG with one more part, before its pixels."""
    head = png.index(b"IDAT") - 4
    return png[:head] + chunk(name, data) + png[head:]
