"""What the tests of referrals do again and again, over ASGI and on a real database."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import count
from typing import Any

import httpx

from services.referrals.app import service
from shared.city.days import local_day
from shared.host import Host
from shared.http.identity import Role
from shared.model.clock import now
from shared.store.deadlines import Deadlines
from shared.store.store import Store
from tests.kit.events import data_of, entries
from tests.kit.issuing import Issuing
from tests.kit.running import a_request

OPINION = "建议新辅助化疗后手术"
NAME, PHONE, SUMMARY = (a_request()[field] for field in ("name", "phone", "summary"))
_links = count(1)


class Who(StrEnum):
    """The people in these tests."""

    PATIENT = "patient-one"
    NEIGHBOUR = "patient-two"
    COORDINATOR = "coordinator"
    BREAST = "breast"
    THYROID = "head-neck-thyroid"
    DATA_OFFICER = "data-officer"


ROLES = {
    Who.PATIENT: Role.RESIDENT,
    Who.NEIGHBOUR: Role.RESIDENT,
    Who.COORDINATOR: Role.COORDINATOR,
    Who.BREAST: Role.CLINICIAN,
    Who.THYROID: Role.CLINICIAN,
    Who.DATA_OFFICER: Role.DATA_OFFICER,
}


def in_days(days: int) -> str:
    """A day from today in Asia/Shanghai."""
    return (local_day(now()) + timedelta(days=days)).isoformat()


@dataclass
class Desk:
    """A running service, and people who call it."""

    host: Host
    http: httpx.AsyncClient
    issuer: Issuing

    @property
    def store(self) -> Store:
        return self.host.stores["referrals"]

    def headers(self, who: Who | str) -> dict[str, str]:
        """The token of a person; a name that is none of these is another patient's."""
        role = ROLES.get(who, Role.RESIDENT)  # type: ignore[call-overload]
        scope = {"department": str(who)} if role is Role.CLINICIAN else {}
        return self.issuer.bearer(role, None, subject=str(who), **scope)

    async def get(self, who: Who | str, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(f"/referrals{path}", params=query, headers=self.headers(who))

    async def seen(self, who: Who | str, path: str, **query: Any) -> Any:
        answer = await self.get(who, path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def listed(self, who: Who | str, path: str, **query: Any) -> list[Any]:
        """The first page of a list."""
        return list((await self.seen(who, path, **query))["items"])

    async def post(self, who: Who | str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        given = headers | self.headers(who)
        return await self.http.post(f"/referrals{path}", json=body, headers=given)

    async def done(self, who: Who | str, path: str, body: Any = None) -> Any:
        answer = await self.post(who, path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def beds(self, beds: int, who: Who = Who.BREAST) -> None:
        path = f"/referrals/departments/{who}/beds"
        answer = await self.http.put(path, json={"beds": beds}, headers=self.headers(who))
        assert answer.status_code == 200, answer.text

    # ── the usual way ────────────────────────────────────────────────────────────────────────────

    async def asked(self, who: Who | str = Who.PATIENT, **changes: Any) -> str:
        return str((await self.done(who, "/referrals", a_request(**changes)))["id"])

    async def triaged(self, urgency: str = "routine", who: Who | str = Who.PATIENT, **changes: Any) -> str:
        referral = await self.asked(who, **changes)
        await self.done(Who.COORDINATOR, f"/referrals/{referral}/triage", {"urgency": urgency})
        return referral

    async def accepted(self, urgency: str = "routine", who: Who | str = Who.PATIENT, **changes: Any) -> str:
        referral = await self.triaged(urgency, who, **changes)
        await self.done(Who.BREAST, f"/referrals/{referral}/accept", {})
        return referral

    async def offered(self, days: int = 5, who: Who | str = Who.PATIENT) -> str:
        referral = await self.accepted(who=who)
        await self.done(Who.BREAST, f"/referrals/{referral}/offer-bed", {"admission_day": in_days(days)})
        return referral

    async def slot(self, who: Who = Who.BREAST, hours: int = 30) -> str:
        starts_at = (now() + timedelta(hours=hours)).isoformat()
        link = f"https://consult.example.com/{next(_links)}"
        body = {"starts_at": starts_at, "minutes": 30, "link": link}
        return str((await self.done(who, f"/departments/{who}/slots", body))["id"])

    async def booked(self, slot: str, who: Who | str = Who.PATIENT) -> str:
        referral = await self.accepted(who=who)
        await self.done(Who.COORDINATOR, f"/referrals/{referral}/book-consult", {"slot_id": slot})
        return referral

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    async def fall_due(self) -> int:
        """Every deadline that has passed acts now."""
        return await Deadlines(self.store, service.deadlines).once()

    async def state(self, referral: str) -> str:
        row = await self.store.database["referrals"].find_one({"_id": referral})
        assert row
        return str(row["state"])

    async def free_beds(self) -> int:
        return int((await self.seen(Who.BREAST, "/departments/breast/beds"))["free"])

    async def slot_state(self, slot: str) -> tuple[str, str]:
        row = await self.store.database["slots"].find_one({"_id": slot})
        assert row
        return str(row["state"]), str(row["referral_id"])

    async def events(self, subject: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Name and data of all events so far (of one aggregate), oldest first."""
        return [
            (entry["type"].removeprefix("cn.quzhou.women.").removesuffix(".v1"), data_of(entry))
            for entry in await entries(self.host, "referrals", subject)
        ]

    async def told(self, subject: str) -> list[str]:
        """The names of an aggregate's events."""
        return [name for name, _ in await self.events(subject)]
