"""The second half of `jinguo demo`: made-up patients in every state of the green channel."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from jinguo.demo_api import CLIENTS, GIVEN, PATIENCE, SURNAMES, Api
from jinguo.issuer import Person
from shared.city.days import local_day
from shared.city.departments import Department
from shared.city.divisions import counties
from shared.contracts.referrals import ENDED
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
        "name": chance.choice(SURNAMES) + "".join(chance.sample(GIVEN, 2)),
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
        shown = await self._api.get("/notifier/dashboards/referrals", headers=self._staff[COORDINATOR])
        found = {}
        for part in ("running", "ended"):
            people = shown[part] or {"people": 0, "by_state": []}
            found[part] = people["people"]
            found |= {"+".join(sorted(b["groups"])): b["people"] for b in people["by_state"]}
        return found


async def run(api: Api, count: int, seed: int, console: Console) -> bool:
    """Bring `count` patients to all states. False when the dashboard differs."""
    everybody = patients(count, f"demo-{seed}-{datetime.now(UTC).timestamp():.0f}")
    channel = Channel(api)
    await channel.open(count)
    before = await channel.board()
    await _walk_all(channel, everybody)
    states = Counter(patient.state for patient in everybody)
    ended = sum(states[state] for state in ENDED)
    expected = {"running": before["running"] + count - ended, "ended": before["ended"] + ended}
    fresh = before["running"] == before["ended"] == 0

    def agrees(shown: dict[str, int]) -> bool:
        return expected.items() <= shown.items() and (not fresh or _adds_up(states, shown))

    shown = await _shown(channel, agrees)
    console.print(_table(states, expected, shown))
    return agrees(shown)


def _adds_up(states: Counter[str], shown: dict[str, int]) -> bool:
    """Whether every group of states that is shown has as many people as were brought there."""
    groups = {name: people for name, people in shown.items() if name not in ("running", "ended")}
    return all(sum(states[state] for state in name.split("+")) == people for name, people in groups.items())


async def _walk_all(channel: Channel, everybody: list[Patient]) -> None:
    # Who waits for a consult to begin waits while the others are seen.
    queue = iter(sorted(everybody, key=lambda patient: patient.state != "consulted"))
    with Progress() as progress:
        task = progress.add_task("转诊 referrals", total=len(everybody))

        async def client() -> None:
            for patient in queue:
                await channel.walk(patient)
                progress.advance(task)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())


async def _shown(channel: Channel, agrees: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    """What the dashboard says once it has caught up, or has had its time."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        shown = await channel.board()
        if agrees(shown) or asyncio.get_running_loop().time() > deadline:
            return shown
        await asyncio.sleep(0.2)


def _table(states: Counter[str], expected: dict[str, int], shown: dict[str, int]) -> Table:
    table = Table("转诊 referrals", "人数 people", "看板 dashboard")
    for state, people in sorted(states.items()):
        table.add_row(state, str(people), "")
    for part, title in (("running", "办理中 on their way"), ("ended", "已结束 through")):
        table.add_row(title, str(expected[part]), str(shown[part]))
    return table
