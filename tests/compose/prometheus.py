"""Queries Prometheus."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from typing import Any


class Prometheus:
    """The Prometheus server of the stack."""

    def __init__(self, port: str) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    async def query(self, query: str) -> list[float]:
        """Return the current values of a query; an invalid query is an error."""
        data = await self._get("query?" + urllib.parse.urlencode({"query": query}))
        return [float(each["value"][1]) for each in data["result"]]

    async def sees(self, **services: int) -> None:
        """Wait until exactly the given number of replicas of each service is up."""
        async with asyncio.timeout(120):
            while True:
                targets = (await self._get("targets?state=active"))["activeTargets"]
                up = Counter(each["labels"].get("service") for each in targets if each["health"] == "up")
                if {name: up[name] for name in services} == services:
                    return
                await asyncio.sleep(1)

    async def _get(self, path: str) -> Any:
        return await asyncio.to_thread(self._get_now, path)

    def _get_now(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/{path}", timeout=30) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{path}: {e.read().decode(errors='replace')}") from e
