from __future__ import annotations

import asyncio

from sammix.label.events import WAITING, Events


def test_every_listener_hears_what_happens_until_the_end() -> None:
    async def two_listeners() -> list[list[str]]:
        events, heard = Events(), [list[str](), list[str]()]

        async def listen(n: int) -> None:
            async for message in events.listen():
                heard[n].append(message)

        tasks = [asyncio.create_task(listen(n)) for n in range(2)]
        await asyncio.sleep(0)
        await asyncio.to_thread(events.tell, "answers", stack=3)
        await asyncio.sleep(0)
        events.end()
        await asyncio.gather(*tasks)
        return heard

    for heard in asyncio.run(two_listeners()):
        assert heard == ["event: hello\ndata: {}\n\n", 'event: answers\ndata: {"stack": 3}\n\n']


def test_a_listener_that_sleeps_holds_nobody_up() -> None:
    async def sleeper() -> int:
        events = Events()
        listening = events.listen()
        await anext(listening)
        for n in range(WAITING + 50):
            events.tell("answers", stack=n)
        await asyncio.sleep(0)
        first = await anext(listening)
        await listening.aclose()
        return int(first.split('"stack": ')[1].split("}")[0])

    assert asyncio.run(sleeper()) == 50


def test_nobody_needs_to_listen() -> None:
    Events().tell("answers", stack=1)
