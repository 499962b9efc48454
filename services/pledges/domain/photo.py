"""The optional photo of a check-in: made small, freed of everything a camera writes into it, and sealed."""

import base64
import io
from typing import ClassVar, Self

from PIL import Image, ImageOps

from shared.documents import Document
from shared.personal import Personal, PersonId
from shared.problems import Problem

from .checkin import CheckIn

FORMATS = ("JPEG", "PNG", "WEBP")
LONGEST_SIDE = 1024
MAX_PIXELS = 40_000_000
"""A picture that unpacks to more is refused before it is unpacked."""


class NotAPhoto(Problem):
    """The body is not a JPEG, PNG or WebP picture of a bearable size."""

    status, type, title, title_en = 422, "not-a-photo", "不是可用的照片", "Not a usable photo"


def cleaned(upload: bytes) -> bytes:
    """The picture upright, at most 1024 pixels long, as JPEG without EXIF or GPS. Raises NotAPhoto."""
    try:
        with Image.open(io.BytesIO(upload), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise NotAPhoto(pixels=picture.width * picture.height, limit=MAX_PIXELS)
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except NotAPhoto:
        raise
    except Exception as error:  # decoders fail in many ways on what is broken; strangers send it
        raise NotAPhoto(formats=FORMATS) from error
    upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    plain = Image.new("RGB", upright.size)
    plain.paste(upright)
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=85)
    return out.getvalue()


class Photo(Document):
    """The photo of one check-in, under the check-in's id. Only the household's key opens it."""

    collection: ClassVar[str] = "photos"
    person_field: ClassVar[str | None] = "signer"

    pledge_id: str
    signer: PersonId
    image: Personal[str] = None
    """JPEG in base64."""

    @classmethod
    def of(cls, check_in: CheckIn, signer: PersonId, jpeg: bytes) -> Self:
        """A photo for a check-in."""
        image = base64.b64encode(jpeg).decode()
        return cls(id=check_in.id, pledge_id=check_in.pledge_id, signer=signer, image=image)

    def replace(self, jpeg: bytes) -> None:
        """Another picture in its place."""
        self.image = base64.b64encode(jpeg).decode()

    @property
    def jpeg(self) -> bytes | None:
        """The picture; None when sealed or erased."""
        return base64.b64decode(self.image) if self.image else None
