"""How often somebody may ask, on any number of replicas."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from shared.clock import moved, now
from shared.problems import TooManyRequests
from shared.rates import WINDOW, Rates
from shared.store.driver import Client, connect

MOST = 20


@pytest.fixture
async def replica(mongodb_uri: str) -> AsyncIterator[Callable[..., Rates]]:
    """One more process on the same database; a minute begins with the test."""
    prefix, clients = f"r{uuid4().hex[:12]}", list[Client]()

    def start(most: int = MOST) -> Rates:
        clients.append(connect(mongodb_uri))
        return Rates(clients[-1], prefix, most, 10)

    with moved(timedelta(seconds=WINDOW - now().timestamp() % WINDOW)):
        yield start
    for client in clients:
        client.close()


async def let_in(requests: int, who: str, *replicas: Rates, share: int = 1) -> int:
    """How many of so many requests at once get through."""
    checks = [replicas[i % len(replicas)].check(who, share) for i in range(requests)]
    answers = await asyncio.gather(*checks, return_exceptions=True)
    refused = [answer for answer in answers if answer is not None]
    assert all(isinstance(answer, TooManyRequests) for answer in refused), refused
    return answers.count(None)


async def test_all_replicas_count_together_and_each_caller_alone(replica: Callable[..., Rates]) -> None:
    one, two = replica(), replica()
    await one.prepare()
    assert await let_in(15, "a", one) == 15
    assert await let_in(15, "a", two) == 5
    assert await let_in(5, "a", one, two) == 0
    assert await let_in(MOST + 1, "b", two) == MOST
    assert await let_in(3 * MOST, "system", one, share=2) == 2 * MOST


async def test_of_requests_at_once_on_two_replicas_exactly_as_many_pass(
    replica: Callable[..., Rates],
) -> None:
    one, two = replica(), replica()
    for who in ("a", "b", "c"):
        assert await let_in(3 * MOST, who, one, two) == MOST


async def test_the_next_minute_is_another_one_and_the_answer_says_when(replica: Callable[..., Rates]) -> None:
    rates = replica()
    assert await let_in(MOST + 5, "a", rates) == MOST
    with pytest.raises(TooManyRequests) as refused:
        await rates.check("a")
    wait = int(refused.value.headers["Retry-After"])
    assert 1 <= wait <= WINDOW
    with moved(timedelta(seconds=wait)):
        assert await let_in(MOST, "a", rates) == MOST


async def test_no_limit_is_none(replica: Callable[..., Rates]) -> None:
    assert await let_in(100, "a", replica(most=0)) == 100
