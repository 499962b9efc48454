"""Nothing of a patient lies in clear, least of all a word about her health: see `test_canaries`."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from jinguo.connection import Platform
from jinguo.operations import settled
from services.referrals import demo
from services.referrals.demo import PATHS, Channel, Patient, Step
from shared.http.identity import Role
from shared.local.api import Api
from shared.local.client import Client
from shared.settings import Settings
from tests.flows.canaries import Finder
from tests.kit.running import a_request, bearer, serving

NAME, PHONE, SUBJECT = "周金丝雀", "19876501234", "patient-of-canary"
SUMMARY, OPINION = "金丝雀样肿块三厘米", "金丝雀征阳性，建议手术"
REASON = "金丝雀患者昏迷，须立即查阅病历"
CLINICAL = (SUMMARY, OPINION, REASON)
STATES = list(PATHS)


def with_opinions(step: Step) -> Step:
    """The department writes about her health wherever it may."""
    who, move, body = step
    speaks = move in {"accept", "decline", "consult", "complete"}
    return (who, move, body | {"opinion": OPINION}) if speaks else step


def patient(number: int, state: str) -> Patient:
    return Patient(f"canary-{number}", state, a_request(name=NAME, phone=PHONE, summary=SUMMARY))


async def test_nothing_of_a_patient_lies_in_clear_anywhere(
    settings: Settings,
    platform: Platform,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "BEGINS_IN", timedelta(seconds=1))
    monkeypatch.setattr(demo, "PATHS", {s: tuple(map(with_opinions, PATHS[s])) for s in STATES})
    finder, clinical = Finder(NAME, PHONE, SUBJECT, *CLINICAL), Finder(*CLINICAL)
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            with closing(Client(url, 4)) as client:
                channel = Channel(Api(client))
                await channel.open(len(STATES))
                for number, state in enumerate(STATES):
                    await channel.walk(patient(number, state))
            ids = await emergencies_and_errors(http, url)
            assert await settled(platform, 60)
            officer, coordinator = bearer(url), bearer(url, Role.COORDINATOR, None)
            for path in ("/metrics/", "/notifier/dashboards/referrals", "/notifier/outgoing"):
                finder.look(path, (await http.get(path, headers=officer)).content)
            for path in (
                "/notifier/desks/coordinator/inbox?limit=100",
                "/referrals/queues/coordinator",
                *(f"/referrals/referrals/{referral}/logistics" for referral in ids),
            ):
                clinical.look(path, (await http.get(path, headers=coordinator)).content)
            await look_into_her_inboxes(clinical, http, url)
            await erase_herself(http, url)
            assert await settled(platform, 60)
    await finder.look_everywhere(platform, capfd)
    assert finder.found == clinical.found == []
    assert finder.searched > 200
    assert clinical.searched > 10


def her(url: str, number: int) -> dict[str, str]:
    return bearer(url, Role.RESIDENT, None, subject=f"{SUBJECT}-{number}", phone=f"+86{PHONE}")


async def emergencies_and_errors(http: httpx.AsyncClient, url: str) -> list[str]:
    """Somebody breaks the glass and is reviewed; words stand where they do not belong. All referrals' ids."""
    stranger = bearer(url, Role.CLINICIAN, None, department="head-neck-thyroid")
    ids = []
    for number, state in enumerate(STATES):
        [own] = (await http.get("/referrals/referrals", headers=her(url, number))).json()["items"]
        assert own["state"] == state
        ids.append(own["id"])
    with_department = STATES.index("accepted")
    path = f"/referrals/referrals/{ids[with_department]}"
    broken = await http.post(f"{path}/break-glass", json={"reason": REASON}, headers=stranger)
    assert broken.is_success, broken.text
    read = await http.get(f"{path}/clinical", headers=stranger)
    assert SUMMARY in read.text  # she is read for once, by somebody who said why
    officer = bearer(url, Role.DATA_OFFICER, None)
    [grant] = (await http.get("/referrals/emergencies", headers=officer)).json()["items"]
    shown = await http.get(f"/referrals/emergencies/{grant['id']}", headers=officer)
    assert REASON in shown.text
    mistakes: list[tuple[str, Any]] = [
        ("/referrals/referrals", {"summary": 5, SUMMARY: NAME, "phone": OPINION}),
        (f"{path}/cancel", {"why": SUMMARY}),
        (f"{path}/{OPINION}", {}),
    ]
    for wrong, body in mistakes:
        assert (await http.post(wrong, json=body, headers=her(url, with_department))).status_code in (
            404,
            422,
        )
    return ids


async def look_into_her_inboxes(clinical: Finder, http: httpx.AsyncClient, url: str) -> None:
    """Messages name her, and say nothing about her health."""
    for number in range(len(STATES)):
        mine = her(url, number)
        [person] = (await http.get("/notifier/inboxes", headers=mine)).json()
        inbox = await http.get(f"/notifier/inbox/{person}", headers=mine)
        clinical.look("inbox", inbox.content)


async def erase_herself(http: httpx.AsyncClient, url: str) -> None:
    """One who waits and one who was seen."""
    for state in ("accepted", "completed"):
        mine = her(url, STATES.index(state))
        answer = await http.post("/me/erase", headers=mine)
        assert answer.is_success, answer.text
