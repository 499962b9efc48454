"""Made-up patients are brought to every state of the green channel."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from shared.city.days import local_day
from shared.city.departments import Department
from shared.city.divisions import counties
from shared.contracts.referrals import ENDED
from shared.local.api import Api
from shared.local.demo import Did, Part, Row, a_name, work_through
from shared.local.people import Person
from shared.model.roles import Role

BEGINS_IN = timedelta(seconds=20)
"""When the consults that take place in this demo begin."""
COORDINATOR, CLINICIAN, PATIENT = "coordinator", "clinician", "patient"
Step = tuple[str, str, Any]
"""Who, does what (the end of the route), with which body."""

TRIAGE: Step = (COORDINATOR, "triage", {"urgency": "routine"})
ACCEPT: Step = (CLINICIAN, "accept", {})
OFFER: Step = (CLINICIAN, "offer-bed", "in-3-days")
BOOK: Step = (COORDINATOR, "book-consult", "a-slot")
ADMITTED = (TRIAGE, ACCEPT, OFFER, (PATIENT, "confirm-offer", None), (CLINICIAN, "admit", None))
PATHS: dict[str, tuple[Step, ...]] = {
    "requested": (),
    "triaged": (TRIAGE,),
    "accepted": (TRIAGE, ACCEPT),
    "declined": (TRIAGE, (CLINICIAN, "decline", {"why": "out-of-scope"})),
    "bed_offered": (TRIAGE, ACCEPT, OFFER),
    "consult_booked": (TRIAGE, ACCEPT, BOOK),
    "admitted": ADMITTED,
    "consulted": (TRIAGE, ACCEPT, BOOK, (CLINICIAN, "consult", {})),
    "completed": (*ADMITTED, (CLINICIAN, "complete", {})),
    "not_completed": (TRIAGE, ACCEPT, (COORDINATOR, "fail", {"why": "unreachable"})),
    "on_hold": (TRIAGE, (COORDINATOR, "hold", "for-3-weeks")),
    "cancelled": ((PATIENT, "cancel", {"why": "patient-asked"}),),
    "entered_in_error": ((COORDINATOR, "enter-in-error", {"why": "duplicate"}),),
}


class Patient(NamedTuple):
    """Somebody who asks, and the state that they are brought to."""

    key: str
    state: str
    body: dict[str, Any]

    @property
    def subject(self) -> str:
        """Who she is to the issuer."""
        return f"patient-of-{self.key}"


def patients(count: int, run: str) -> list[Patient]:
    """So many, spread evenly over the states, departments and counties. The same `run`, the same people."""
    chance = random.Random(run)
    states, places = list(PATHS), [county.code for county in counties()]
    return [
        Patient(f"{run}-{number}", states[number % len(states)], _request(chance, number, places))
        for number in range(count)
    ]


def _request(chance: random.Random, number: int, places: list[str]) -> dict[str, Any]:
    return {
        "department": list(Department)[number % 2],
        "county": places[number % len(places)],
        "name": a_name(chance, 2),
        "phone": f"198{chance.randrange(10**8):08d}",
        "delayed_since": (local_day(datetime.now(UTC)) - timedelta(days=chance.randrange(5, 90))).isoformat(),
        "summary": "（演示）体检发现结节，待进一步检查",
        "health_consent": True,
        "hospital_consent": True,
    }


class Channel:
    """The green channel over HTTP, in the name of whoever's turn it is."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._staff: dict[str, dict[str, str]] = {}

    async def open(self, beds: int) -> None:
        """Let coordinator and clinicians in; have so many free beds in each department."""
        self._staff[COORDINATOR] = await self._api.token(Person(role=Role.COORDINATOR))
        for department in Department:
            clinician = await self._api.token(Person(role=Role.CLINICIAN, department=department))
            self._staff[department] = clinician
            path = f"/referrals/departments/{department}/beds"
            free = await self._api.get(path, headers=clinician)
            await self._api.put(path, {"beds": free["taken"] + beds}, headers=clinician)

    async def walk(self, patient: Patient) -> None:
        """From the request to the state that the patient is to be in."""
        own = await self._api.token(
            Person(role=Role.RESIDENT, subject=patient.subject, phone=f"+86{patient.body['phone']}")
        )
        asked = await self._api.post("/referrals/referrals", patient.body, patient.key, headers=own)
        department = patient.body["department"]
        people = {PATIENT: own, COORDINATOR: self._staff[COORDINATOR], CLINICIAN: self._staff[department]}
        for number, (who, move, body) in enumerate(PATHS[patient.state]):
            given = await self._given(body, department, patient)
            if move == "consult":
                await asyncio.sleep(BEGINS_IN.total_seconds() + 1)
            path = f"/referrals/referrals/{asked['id']}/{move}"
            await self._api.post(path, given, f"{patient.key}-{number}", headers=people[who])

    async def _given(self, body: Any, department: str, patient: Patient) -> Any:
        today = local_day(datetime.now(UTC))
        made: dict[str, Callable[[], dict[str, Any]]] = {
            "in-3-days": lambda: {"admission_day": (today + timedelta(days=3)).isoformat()},
            "for-3-weeks": lambda: {
                "why": "patient-asked",
                "until": (today + timedelta(days=21)).isoformat(),
            },
        }
        if body == "a-slot":
            return {"slot_id": await self._slot(department, patient)}
        return made[body]() if isinstance(body, str) else body

    async def _slot(self, department: str, patient: Patient) -> str:
        soon = BEGINS_IN if patient.state == "consulted" else timedelta(days=2)
        slot = {
            "starts_at": (datetime.now(UTC) + soon).isoformat(),
            "minutes": 20,
            "link": "https://meet.example.com/demo",
        }
        path = f"/referrals/departments/{department}/slots"
        opened = await self._api.post(path, slot, f"{patient.key}-slot", headers=self._staff[department])
        return str(opened["id"])

    async def board(self) -> dict[str, int]:
        """How many the dashboard says are still on their way and through, and in which states.

        Small groups are merged there: `a+b` are the states of one that is shown.
        """
        shown = await self._api.board("referrals", self._staff[COORDINATOR])
        found = {}
        for part in ("running", "ended"):
            people = shown[part] or {"people": 0, "by_state": []}
            found[part] = people["people"]
            found |= {"+".join(sorted(b["groups"])): b["people"] for b in people["by_state"]}
        return found


async def refer(api: Api, count: int, seed: int) -> Did:
    """Bring `count` patients to all states."""
    everybody = patients(count, f"demo-{seed}-{datetime.now(UTC).timestamp():.0f}")
    channel = Channel(api)
    await channel.open(count)
    before = await channel.board()
    # Who waits for a consult to begin waits while the others are seen.
    first = sorted(everybody, key=lambda patient: patient.state != "consulted")
    await work_through("转诊 referrals", first, channel.walk)
    states = Counter(patient.state for patient in everybody)
    ended = sum(states[state] for state in ENDED)
    fresh = before["running"] == before["ended"] == 0
    return Did(
        heads=("转诊 referrals", "人数 people"),
        rows=[
            *(Row(state, people) for state, people in sorted(states.items())),
            Row("办理中 on their way", before["running"] + count - ended, "running"),
            Row("已结束 through", before["ended"] + ended, "ended"),
        ],
        board=channel.board,
        also=lambda shown: not fresh or _adds_up(states, shown),
    )


def _adds_up(states: Counter[str], shown: Mapping[str, int]) -> bool:
    """Whether every group of states that is shown has as many people as were brought there."""
    groups = {name: people for name, people in shown.items() if name not in ("running", "ended")}
    return all(sum(states[state] for state in name.split("+")) == people for name, people in groups.items())


part = Part("referrals", 200, refer)
