"""What the tests do: publish events as the pledges service would, and look at what came of them."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import httpx

from services.notifier.boards.cells import Cells
from services.notifier.boards.declare import Board
from services.notifier.boards.freshness import Freshness
from services.notifier.domain.messages import Contact, contact_key
from shared.consumers.tables import Reading, Stamps
from shared.contracts.pledges import PledgeCodeIssued, PledgeSigned, SignerRole
from shared.host import Host
from shared.http.identity import Role
from shared.log.archive import Archive
from shared.model.clock import now
from shared.model.documents import Document
from shared.model.events import PARTITIONS, Event
from shared.store.store import Store
from shared.store.writes import _entry
from tests.kit.hosts import all_consumed
from tests.kit.issuing import Issuing
from tests.kit.waiting import eventually

PHONES = {"p1": "13800000001", "p2": "13800000002"}
"""Persons who have verified their phones."""
KECHENG = "330802005001"
QUJIANG = "330803"
DAY = date(2026, 3, 8)


def viewed(board: Board, rows: Iterable[Mapping[str, Any]], at: datetime) -> Any:
    """What a board shows of the rows of its table."""
    cells = Cells(board.by)
    read = [{"lane": lane, "stamp": 1, **row} for lane, row in enumerate(rows)]
    stamps = Stamps(0, (0,) * PARTITIONS)
    cells.apply(Reading(stamps, read, whole=True, cursors={}, parked=0, at=at))
    return board.view(cells, Freshness(id="x", as_of=at))


class Subject(Document):
    """Stands for the aggregate that an event is about."""

    collection = "subjects"


class Desk:
    """A running notifier, and the archive that it reads."""

    def __init__(self, host: Host, http: httpx.AsyncClient, issuer: Issuing) -> None:
        self.host = host
        self.http = http
        self.issuer = issuer
        self.store: Store = host.stores["notifier"]
        self.archive = Archive(host.client, host.settings.database_prefix, "pledges")

    async def publish(self, *events: tuple[str, Event], at: datetime | None = None) -> int:
        """Archive events of one service, each with its subject. Returns the new head."""
        source = events[0][1].source
        archive = self.host.archives[source]
        head = await archive.head()
        entries = []
        for number, (subject, event) in enumerate(events, 1):
            sealed = await self.host.vault.seal_event(event)
            entry = _entry(Subject(id=subject), head + number, 0, sealed, (None, None))
            entries.append(entry | ({"time": at} if at else {}))
        head = await archive.append(head, entries)
        self.host.log.archived(source, head)
        return head

    async def consumed(self) -> None:
        """Wait until every group has read its archives to their ends."""
        await eventually(lambda: all_consumed(self.host))

    async def knows(self, person: str, phone: str) -> None:
        """Whose phone it is, and that it was just proven."""
        key = contact_key(self.host.vault.blind_index, phone)
        await self.store.commit(Contact(id=person, phone_key=key, proven_at=now()))

    def resident(self, phone: str) -> dict[str, str]:
        """The headers of who has verified this phone."""
        return self.issuer.bearer(Role.RESIDENT, None, phone=f"+86{phone}")

    async def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """The JSON of a route."""
        answer = await self.http.get(f"/notifier{path}", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def forget_cursors(self, group: str) -> None:
        """Make a group read everything again."""
        await self.store.database["cursors"].update_many(
            {"group": group}, {"$set": {"position": 0}, "$unset": {"resume_embedded": ""}}
        )


def signed(signer: str = "p1", division: str = KECHENG, day: date = DAY, **facts: Any) -> PledgeSigned:
    """A signed pledge."""
    return PledgeSigned(
        **{
            "division": division,
            "pledge_id": "pledge-1",
            "campaign_id": "c1",
            "chain_id": "chain-1",
            "serial": 128,
            "signer": signer,
            "role": SignerRole.HOSTESS,
            "members": 3,
            "day": day,
            **facts,
        }
    )


def code_issued(signer: str, code: str, phone: str, pledge_id: str = "pledge-1") -> PledgeCodeIssued:
    """A one-time code, valid for ten minutes."""
    return PledgeCodeIssued(
        division=KECHENG,
        pledge_id=pledge_id,
        campaign_id="c1",
        signer=signer,
        valid_minutes=10,
        name="王小明",
        phone=phone,
        code=code,
    )
