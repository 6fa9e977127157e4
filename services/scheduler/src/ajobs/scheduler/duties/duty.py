"""The interface of everything that the leading scheduler does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Leads = Callable[[], bool]
"""Returns whether this scheduler leads right now. Ask before each step: leadership can end between any two."""


class Duty(Protocol):
    """A job that runs in every scheduler and acts only while that scheduler leads."""

    @property
    def name(self) -> str:
        """Its name in the log."""
        ...

    async def run(self, leads: Leads) -> None:
        """Work until cancelled, and act only while ``leads()`` is true."""
        ...
