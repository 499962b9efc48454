"""The optional photo of a check-in, sealed."""

import base64
from collections.abc import Sequence
from typing import ClassVar, Self

from shared.model.documents import Document, Index
from shared.model.known import PartOf
from shared.model.personal import Personal, PersonId

from .checkin import CheckIn
from .pledge import Pledge


class Photo(Document):
    """The photo of one check-in, under the check-in's id. Only the household's key opens it."""

    collection: ClassVar[str] = "photos"
    person_field: ClassVar[str | None] = "signer"
    part_of = PartOf(Pledge, "pledge_id")
    indexes: ClassVar[Sequence[Index]] = (Index("pledge", [("pledge_id", 1)]),)

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
