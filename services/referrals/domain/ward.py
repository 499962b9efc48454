"""A department's beds for the channel: a standing number, of which each is kept for one patient at most."""

from collections.abc import Collection
from typing import ClassVar

from shared.city.departments import Department
from shared.contracts.referrals import BedsChanged
from shared.model.documents import Document, Publishes
from shared.model.problems import Problem

MOST_BEDS = 200


class NoBedFree(Problem):
    """Every bed is kept for somebody; `beds` of them there are, `taken` are."""

    status, type, title, title_en = 409, "no-bed-free", "暂无空床", "No bed is free"


class Ward(Document):
    """`id` is the department.

    The beds are numbered from 1, and who has one says so itself, under a unique index. An offer commits the
    ward together with the referral, so that it cannot pass a change of the number of beds.
    """

    collection: ClassVar[str] = "wards"
    publishes: ClassVar[Publishes] = {BedsChanged: ()}

    beds: int = 0

    @property
    def department(self) -> Department:
        """Whose beds they are."""
        return Department(self.id)

    def keep(self, beds: int) -> None:
        """Have so many beds. Those that are taken beyond it stay so until they are given back."""
        self.beds = beds
        self.record(BedsChanged.of(self))

    def free_bed(self, taken: Collection[int]) -> int:
        """The lowest bed that nobody has. Raises NoBedFree."""
        free = next((bed for bed in range(1, self.beds + 1) if bed not in taken), None)
        if free is None:
            raise NoBedFree(beds=self.beds, taken=len(taken))
        return free
