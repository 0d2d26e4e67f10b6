"""Work that goes on beside everything else until it is closed."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine


class Background:
    """One endless coroutine function as a task: started once, cancelled at the end and waited for."""

    def __init__(self, run: Callable[[], Coroutine[None, None, None]]) -> None:
        self._run = run
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not closed since."""
        return self._task is not None

    def start(self) -> None:
        """Begin in the running loop; nothing where it has begun."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Cancel and wait for the end; nothing where it has not begun."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
