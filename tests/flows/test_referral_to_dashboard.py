"""Patients ask, wait, and are seen; everybody who must know is told, and the dashboard agrees."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from jinguo.connection import Platform
from jinguo.operations import audit, replay, settled
from services.notifier.activities.referrals import BOARD
from shared.city.days import local_day
from shared.city.divisions import counties
from shared.http.identity import Role
from shared.model.clock import moved, now
from shared.mongo.driver import connect
from shared.settings import Settings
from tests.kit.running import a_request, bearer, flow_settings, serving
from tests.kit.waiting import eventually

PATIENTS = 12
SUMMARY = "左乳肿块，穿刺提示恶性"
COUNTIES = sorted(county.code for county in counties())


class Flow(NamedTuple):
    url: str
    settings: Settings
    people: dict[str, dict[str, str]]

    def post(self, who: str, path: str, body: Any = None) -> Any:
        return self._json("POST", who, f"/referrals{path}", body)

    def put(self, who: str, path: str, body: Any) -> Any:
        return self._json("PUT", who, f"/referrals{path}", body)

    def get(self, who: str, path: str) -> Any:
        return self._json("GET", who, path, None)

    def _json(self, method: str, who: str, path: str, body: Any) -> Any:
        answer = httpx.request(method, self.url + path, json=body, headers=self.people[who], timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    async def check_audit(self) -> None:
        with closing(connect(str(self.settings.mongodb_uri))) as client:
            platform = Platform(client, self.settings)
            assert await settled(platform, 60)
            drift, compared = await audit(platform)
        assert drift == []
        assert compared > 0

    async def rebuild(self) -> None:
        with closing(connect(str(self.settings.mongodb_uri))) as client:
            assert [count async for count in replay(Platform(client, self.settings), BOARD.group)]


def phone(number: int) -> str:
    return f"138570{number:05d}"


@pytest.fixture(params=["embedded", "kafka"])
def flow(request: pytest.FixtureRequest, mongodb_uri: str, tmp_path: Path) -> Iterator[Flow]:
    kafka = request.getfixturevalue("kafka").bootstrap if request.param == "kafka" else None
    settings = flow_settings(mongodb_uri, tmp_path, kafka_bootstrap_servers=kafka)
    with serving(settings) as url:
        people = {
            "coordinator": bearer(url, Role.COORDINATOR, None),
            "breast": bearer(url, Role.CLINICIAN, None, department="breast"),
            "thyroid": bearer(url, Role.CLINICIAN, None, department="head-neck-thyroid"),
            "data-officer": bearer(url, Role.DATA_OFFICER, None),
            "officer": bearer(url, Role.CITY_OFFICER),
        }
        for number in range(PATIENTS):
            person = {"subject": f"patient-{number}", "phone": f"+86{phone(number)}"}
            people[f"p{number}"] = bearer(url, Role.RESIDENT, None, **person)
        yield Flow(url, settings, people)


def in_days(days: int) -> str:
    return (local_day(now()) + timedelta(days=days)).isoformat()


def accepted(flow: Flow, number: int) -> str:
    """Patient `number` has asked, and stands in the department's queue."""
    county = ("330802", "330803")[number % 2]
    request = a_request(county=county, phone=phone(number), summary=SUMMARY)
    referral = str(flow.post(f"p{number}", "/referrals", request)["id"])
    flow.post("coordinator", f"/referrals/{referral}/triage", {"urgency": "routine"})
    flow.post("breast", f"/referrals/{referral}/accept", {})
    return referral


async def test_what_becomes_of_patients_is_what_everybody_is_told(flow: Flow) -> None:
    flow.put("breast", "/departments/breast/beds", {"beds": 6})
    ids = [accepted(flow, number) for number in range(PATIENTS)]
    for number, referral in enumerate(ids[:6]):  # who gets a bed, and comes
        flow.post("breast", f"/referrals/{referral}/offer-bed", {"admission_day": in_days(2)})
        flow.post(f"p{number}", f"/referrals/{referral}/confirm-offer")
        flow.post("breast", f"/referrals/{referral}/admit")
        flow.post("breast", f"/referrals/{referral}/complete", {})
    for referral in ids[6:]:  # who gets a bed, and does not answer
        flow.post("breast", f"/referrals/{referral}/offer-bed", {"admission_day": in_days(2)})
    with moved(timedelta(hours=25)):  # deadlines act by themselves

        async def lapsed() -> bool:
            queue = flow.get("breast", "/referrals/queues/department?state=accepted")["items"]
            return {item["id"] for item in queue} == set(ids[6:])

        await eventually(lapsed)
    await flow.check_audit()
    check_board(flow)
    check_inboxes(flow, ids)
    await flow.rebuild()
    check_board(flow)


def check_board(flow: Flow) -> None:
    board = flow.get("officer", "/notifier/dashboards/referrals")
    assert (board["people"], board["running"]["people"], board["ended"]["people"]) == (12, 6, 6)
    assert board["running"]["by_county"] == [{"groups": COUNTIES, "people": 6}]  # 3 and 3
    assert board["ended"]["by_state"] == [{"groups": ["completed"], "people": 6}]
    assert board["offers"] == {"kept": 6, "lapsed": 6}
    assert board["waited"] == {"p50": 0, "p90": 0}


def check_inboxes(flow: Flow, ids: list[str]) -> None:
    """Each step is told once, to the patient and to the coordinator, and says nothing about her health."""
    for number, last in ((0, "申请已办结"), (6, "安排已过期")):
        (person,) = flow.get(f"p{number}", "/notifier/inboxes")
        inbox = flow.get(f"p{number}", f"/notifier/inbox/{person}")
        titles = Counter(message["title"] for message in inbox["items"])
        assert titles[last] == 1 and set(titles.values()) == {1}
        assert inbox["items"][0]["title"] == last
        held = flow.get(f"p{number}", "/notifier/me")
        assert not [w for w in ("乳", SUMMARY, "床", "bed-offered", "breast") if w in f"{inbox} {held}"]
    told = flow.get("coordinator", "/notifier/desks/coordinator/inbox?limit=100")["items"]
    assert Counter(message["title"] for message in told)["安排已过期"] == 6


async def test_every_way_back_to_the_queue_is_told_step_by_step(flow: Flow) -> None:
    flow.put("breast", "/departments/breast/beds", {"beds": 1})
    referral = accepted(flow, 0)
    path, asked = f"/referrals/{referral}", {"why": "patient-asked"}
    first, second = (opened(flow, hours) for hours in (30, 40))
    flow.post("breast", f"{path}/offer-bed", {"admission_day": in_days(2)})
    flow.post("p0", f"{path}/return-offer", asked)
    flow.post("coordinator", f"{path}/book-consult", {"slot_id": first})
    flow.post("coordinator", f"{path}/reschedule", {"slot_id": second})
    flow.post("p0", f"{path}/release-consult", asked)
    flow.post("coordinator", f"{path}/book-consult", {"slot_id": first})
    flow.post("breast", f"/slots/{first}/withdraw", {"why": "department-unavailable"})
    flow.post("thyroid", f"{path}/break-glass", {"reason": "患者昏迷，须立即查阅病历"})
    held = flow.post("coordinator", f"{path}/hold", {"why": "patient-asked", "until": in_days(3)})
    assert held["state"] == "on_hold"
    with moved(timedelta(days=4)):  # the rest ends, and nobody has reviewed the emergency

        async def back_in_the_queue() -> bool:
            return [item["id"] for item in flow.get("breast", "/referrals/queues/department")["items"]] == [
                referral
            ]

        await eventually(back_in_the_queue)

        async def overdue() -> bool:
            return titles(flow, "data-officer", "desks/data-officer") == [
                "紧急查阅审核逾期",
                "记录被紧急查阅",
            ]

        await eventually(overdue)
    await flow.check_audit()
    (person,) = flow.get("p0", "/notifier/inboxes")
    assert titles(flow, "p0", f"inbox/{person}")[:9] == [
        *("申请已恢复", "申请已暂缓", "记录被紧急查阅", "预约已取消", "时间已预约"),
        *("预约已取消", "时间已改约", "时间已预约", "安排已退回"),
    ]


def opened(flow: Flow, hours: int) -> str:
    """A consult slot in so many hours."""
    slot = {"starts_at": (now() + timedelta(hours=hours)).isoformat(), "minutes": 30}
    path = "/departments/breast/slots"
    return str(flow.post("breast", path, slot | {"link": f"https://consult.example.com/{hours}"})["id"])


def titles(flow: Flow, who: str, where: str) -> list[str]:
    """What stands in an inbox, newest first."""
    path = f"/notifier/{where}" + ("" if where.startswith("inbox") else "/inbox")
    return [message["title"] for message in flow.get(who, path)["items"]]
