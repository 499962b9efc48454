"""How often somebody may ask, on any number of replicas."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from shared.model.clock import moved, now
from shared.model.problems import TooManyRequests
from shared.mongo.driver import Client, connect
from shared.store.rates import DAY, EVER, HOUR, MINUTE, SHANGHAI, Limit, Rates, Tally

MOST = 20
PER_MINUTE = (Limit(MOST, MINUTE),)


@pytest.fixture
async def replica(mongodb_uri: str) -> AsyncIterator[Callable[[], Rates]]:
    """One more process on the same database; a day begins with the test."""
    prefix, clients = f"r{uuid4().hex[:12]}", list[Client]()

    def start() -> Rates:
        clients.append(connect(mongodb_uri))
        return Rates(clients[-1], prefix, 10)

    with moved(timedelta(seconds=DAY - (now().timestamp() + SHANGHAI) % DAY)):
        yield start
    await clients[0].drop_database(f"{prefix}_rates")
    for client in clients:
        client.close()


async def let_in(requests: int, tallies: str | tuple[Tally, ...], *replicas: Rates, most: int = MOST) -> int:
    """How many of so many requests at once get through."""
    counting = (Tally(tallies, (Limit(most, MINUTE),)),) if isinstance(tallies, str) else tallies
    checks = [replicas[i % len(replicas)].check(*counting) for i in range(requests)]
    answers = await asyncio.gather(*checks, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, TooManyRequests) for answer in refused), refused
    return len(answers) - len(refused)


async def test_all_replicas_count_together_and_each_caller_alone(replica: Callable[[], Rates]) -> None:
    one, two = replica(), replica()
    await one.prepare()
    assert await let_in(15, "a", one) == 15
    assert await let_in(15, "a", two) == 5
    assert await let_in(5, "a", one, two) == 0
    assert await let_in(MOST + 1, "b", two) == MOST
    assert await let_in(3 * MOST, "system", one, most=2 * MOST) == 2 * MOST


async def test_of_requests_at_once_on_two_replicas_exactly_as_many_pass(
    replica: Callable[[], Rates],
) -> None:
    one, two = replica(), replica()
    for who in ("a", "b", "c"):
        assert await let_in(3 * MOST, who, one, two) == MOST


async def test_the_next_minute_is_another_one_and_the_answer_says_when(replica: Callable[[], Rates]) -> None:
    rates = replica()
    assert await let_in(MOST + 5, "a", rates) == MOST
    with pytest.raises(TooManyRequests) as refused:
        await rates.check(Tally("a", PER_MINUTE))
    wait = int(refused.value.headers["Retry-After"])
    assert 1 <= wait <= MINUTE
    with moved(timedelta(seconds=wait)):
        assert await let_in(MOST, "a", rates) == MOST


async def test_an_hour_and_a_day_count_on_where_minutes_end(replica: Callable[[], Rates]) -> None:
    rates = replica()
    longer = (Tally("a", (Limit(5, MINUTE), Limit(8, HOUR), Limit(10, DAY))),)
    assert await let_in(6, longer, rates) == 5
    for later, gets in ((MINUTE, 3), (2 * MINUTE, 0), (HOUR, 2), (2 * HOUR, 0), (DAY, 5)):
        with moved(timedelta(seconds=later)):
            assert await let_in(6, longer, rates) == gets, later


async def test_who_is_over_a_limit_of_their_own_uses_up_none_that_they_share(
    replica: Callable[[], Rates],
) -> None:
    one, two = replica(), replica()
    shared = Tally("shared", (Limit(MOST, MINUTE), Limit(MOST, DAY)))
    stranger, owner = (Tally(who, (Limit(5, MINUTE), Limit(9, DAY))) for who in ("stranger", "owner"))
    assert [await let_in(1, (stranger, shared), one) for _ in range(30)].count(1) == 5
    assert [await let_in(1, (stranger, shared), two) for _ in range(30)].count(1) == 0
    assert await let_in(5, (owner, shared), one, two) == 5
    assert await let_in(MOST, (shared,), one) == MOST - 10


async def test_beyond_a_brake_nobody_is_refused_and_all_are_told(replica: Callable[[], Rates]) -> None:
    rates = replica()
    brake = Tally("city", (Limit(3, MINUTE),), brake="city")
    over = [(await rates.check(brake))[0].over for _ in range(5)]
    assert over == [False] * 3 + [True] * 2
    counted = await rates.check(brake)
    await rates.take_back(counted)
    assert (await rates.check(brake))[0].number == 6


async def test_what_may_happen_once_happens_once(replica: Callable[[], Rates]) -> None:
    one, two = replica(), replica()
    once = (Tally("proof", (Limit(1, EVER),)),)
    assert await let_in(6, once, one, two) == 1
    with moved(timedelta(days=1)):
        assert await let_in(6, once, one, two) == 0


@pytest.mark.parametrize("seldom", [True, False])
async def test_each_part_has_its_own_limits_and_all_together_theirs(
    replica: Callable[[], Rates], seldom: bool
) -> None:
    one, two = replica(), replica()
    limits = (Limit(5, MINUTE, own=True), Limit(9, DAY, own=True), Limit(8, MINUTE), Limit(20, DAY))

    def part(name: str) -> tuple[Tally, ...]:
        return (Tally("phone", limits, part=name, seldom=seldom),)

    assert await let_in(1, part("a"), one) == 1
    assert await let_in(7, part("a"), two) == 4
    assert await let_in(7, part("a"), one, two) == 0
    assert await let_in(7, part("b"), one) == 3
    assert await let_in(1, part("c"), two) == 0
    with moved(timedelta(seconds=MINUTE)):
        assert await let_in(7, part("a"), one) == 4  # of its day
        assert await let_in(7, part("d"), two) == 4
    with moved(timedelta(seconds=2 * MINUTE)):
        assert [await let_in(7, part(name), one) for name in "ef"] == [4, 0]  # of the phone's day


async def test_of_first_requests_at_once_exactly_as_many_pass(replica: Callable[[], Rates]) -> None:
    one, two = replica(), replica()
    for who in "abcdef":
        assert await let_in(3 * MOST, (Tally(who, PER_MINUTE, seldom=True),), one, two) == MOST
