"""What a picture may be, and what looking at it may cost."""

from collections.abc import Mapping

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
MEGAPIXEL = 1_000_000
MOST_PIXELS: Mapping[str, float] = {
    "JPEG": 64 * MEGAPIXEL,
    "MPO": 64 * MEGAPIXEL,
    "HEIF": 25 * MEGAPIXEL,
    "PNG": 16 * MEGAPIXEL,
    "WEBP": 12.6 * MEGAPIXEL,
}
"""What it may unpack to. A JPEG is decoded at an eighth, a quarter or a half of its size, so it may be large;
the others are unpacked whole, WebP twice. Phones make 12, 24 (JPEG, HEIC), 48 and 50 (JPEG). `MPO` is what a
JPEG is called that carries a second picture: a depth map, or a brighter version of itself."""
MOST_BYTES = 10 * 1024 * 1024
LONGEST_SIDE = 1024
"""Pixels of what is kept."""
MEMORY = 240 * 1024 * 1024
"""Bytes of data of a decoder. What needs more (a progressive JPEG of 50 megapixels) is refused on the way."""
PROCESSOR_TIME = 10
"""Seconds of a decoder."""
REFUSED = 3
"""How a decoder ends that refused its picture."""
