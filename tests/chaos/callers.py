"""A caller of the API: asks for patients again and again, and keeps the request id of every answer."""

import asyncio
from collections import Counter

import aiohttp

from chartwire.core.ids import uuid7

_ANSWER_S = 15.0


class Caller:
    """One client of `/api/v1/patients`. A connection that breaks is opened again; nothing else may go wrong."""

    may_answer = (200, 503)

    def __init__(self, port: int, api_key: str) -> None:
        self.answered: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.breaks = 0
        self._url = f"http://127.0.0.1:{port}/api/v1/patients"
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop`."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:
            while not stop.is_set():
                try:
                    await self._ask(session)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    self.breaks += 1
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.02)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        request_id = str(uuid7())
        async with session.get(self._url, headers={"X-Request-Id": request_id}) as answer:
            await answer.read()
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.answered.append(answer.headers["X-Request-Id"])
