"""The same on two sides of the city: 柯城 and 江山, one department and the other, a patient and another."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from shared.city.divisions import CITY, communities
from shared.model.roles import Role
from tests.kit.issuing import Issuing
from tests.kit.running import a_campaign, a_request
from tests.kit.waiting import eventually

COUNTIES = {"home": "330802", "away": "330881"}
DEPARTMENTS = {"home": "breast", "away": "head-neck-thyroid"}
PATIENTS = {"home": ("patient-one", "13857001234"), "away": ("patient-two", "13857005678")}
ORGS = {"home": "柯城", "away": "江山"}
KEPT = {"Signing-Key": "kept-by-the-household-that-signs"}


def community(side: str) -> str:
    return communities(COUNTIES[side])[0].code


@dataclass
class Side:
    """What is there on one side: by the name that routes give it, for each role to whom it is not all one."""

    name: str
    http: httpx.AsyncClient
    issuer: Issuing
    campaign: str
    there: dict[Role, dict[str, str]] = field(default_factory=dict)

    def headers(self, role: Role) -> dict[str, str]:
        """Somebody of this side in a role."""
        subject, phone = PATIENTS[self.name]
        scopes: dict[Role, dict[str, Any]] = {
            Role.RESIDENT: {"subject": subject, "phone": f"+86{phone}"},
            Role.COMMUNITY_WORKER: {"org": ORGS[self.name], "division": community(self.name)},
            Role.COUNTY_OFFICER: {"org": ORGS[self.name]},
            Role.CLINICIAN: {"department": DEPARTMENTS[self.name]},
        }
        return self.issuer.bearer(role, **scopes.get(role, {}))

    async def made(self, role: Role, path: str, body: Any, **headers: str) -> str:
        answer = await self.http.post(path, json=body, headers=self.headers(role) | headers)
        assert answer.is_success, f"{path}: {answer.text}"
        return str(answer.json()["id"])

    async def build(self) -> None:
        """One of everything."""
        place = community(self.name)
        records = await self._pledges(place) | {"campaign_id": self.campaign}
        self.there[Role.COMMUNITY_WORKER] = records | {"division": place}
        self.there[Role.COUNTY_OFFICER] = records | {"division": place}
        referral, slot = await self._referral()
        ward = {"referral_id": referral, "slot_id": slot, "department": DEPARTMENTS[self.name]}
        self.there[Role.CLINICIAN] = ward | {"desk": DEPARTMENTS[self.name]}
        self.there[Role.RESIDENT] = {"referral_id": referral}
        self.there[Role.COORDINATOR] = {"desk": "coordinator"}
        self.there[Role.DATA_OFFICER] = {"desk": "data-officer"}
        self.there[Role.CITY_OFFICER] = {"division": CITY}

    async def _pledges(self, place: str) -> dict[str, str]:
        officer, pledges = Role.COUNTY_OFFICER, "/pledges"
        team = await self.made(
            officer,
            f"{pledges}/campaigns/{self.campaign}/teams",
            {"division": place, "name": "一队"},
        )
        members = {
            role: await self.made(
                officer,
                f"{pledges}/teams/{team}/members",
                {"name": "李梅", "role": role, "phone": f"1381111000{number}"},
            )
            for number, role in enumerate(("preacher", "supervisor"))
        }
        talk = {"title": "公筷", "starts_at": "2020-03-08T02:00:00Z", "preacher_id": members["preacher"]}
        job = {"condition": {"campaign_id": self.campaign, "division": place}, "reason": "other"}
        form = {"community": place, "name": "王小明", "role": "hostess", "phone": PATIENTS[self.name][1]}
        form |= {"text_version": 1, "members": 3, "consent": True}  # type: ignore[dict-item]
        sign = f"{pledges}/campaigns/{self.campaign}/pledges"
        return {
            "team_id": team,
            "member_id": members["preacher"],
            "preacher_id": members["preacher"],
            "supervisor_id": members["supervisor"],
            "talk_id": await self.made(officer, f"{pledges}/teams/{team}/talks", talk),
            "job_id": await self.made(officer, f"{pledges}/invalidations", job),
            "pledge_id": await self.made(officer, sign, form, **KEPT),
        }

    async def _referral(self) -> tuple[str, str]:
        request = a_request(
            county=COUNTIES[self.name], department=DEPARTMENTS[self.name], phone=PATIENTS[self.name][1]
        )
        referral = await self.made(Role.RESIDENT, "/referrals/referrals", request)
        triage = f"/referrals/referrals/{referral}/triage"
        await self.made(Role.COORDINATOR, triage, {"urgency": "routine"})
        slot = {
            "starts_at": a_campaign()["closes_at"],
            "minutes": 30,
            "link": "https://consult.example.com/1",
        }
        slots = f"/referrals/departments/{DEPARTMENTS[self.name]}/slots"
        return referral, await self.made(Role.CLINICIAN, slots, slot)

    async def messages(self) -> None:
        """Wait for the messages that all this leads to, and remember them too."""
        inboxes = await self._eventually(Role.RESIDENT, "/notifier/inboxes")
        self.there[Role.RESIDENT]["person"] = inboxes[0]
        desks = {role: self.there[role].get("desk") for role in self.there}
        for role, path in [(Role.RESIDENT, f"/notifier/inbox/{inboxes[0]}")] + [
            (role, f"/notifier/desks/{desk}/inbox")
            for role, desk in desks.items()
            if desk and desk != "data-officer"
        ]:
            found = await self._eventually(role, path, "items")
            self.there[role]["message_id"] = found[0]["id"]

    async def _eventually(self, role: Role, path: str, part: str | None = None) -> Any:
        async def look() -> Any:
            answer = (await self.http.get(path, headers=self.headers(role))).json()
            return answer[part] if part else answer

        try:
            return await eventually(look, 8)
        except AssertionError:
            raise AssertionError(f"{role} {path} {await look()}") from None
