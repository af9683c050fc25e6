"""The weather, as in the agents library's own guide.

With the app settings `WEATHER_ENDPOINT` and `GEOCODING_ENDPOINT`, addresses of services with the interface of
Open-Meteo (`/v1/forecast` and `/v1/search`), they are asked. Without them a few **sample** values are given,
and named so.
"""

from __future__ import annotations

import os
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field
from queue_tool import ToolError, queue_tool

SAMPLE = {"london": 11.0, "new york": 17.5, "oslo": 4.0, "seattle": 14.0}
"""Degrees Celsius, invented."""


@queue_tool(timeout=30)
async def get_weather(
    location: Annotated[str, Field(description="City, such as Oslo", min_length=1, max_length=100)],
) -> dict[str, str | float]:
    """Tell the temperature at a place now, in degrees Celsius."""
    forecast, geocoding = os.environ.get("WEATHER_ENDPOINT"), os.environ.get("GEOCODING_ENDPOINT")
    if not forecast or not geocoding:
        celsius = SAMPLE.get(location.partition(",")[0].strip().casefold())
        if celsius is None:
            known = ", ".join(name.title() for name in SAMPLE)
            raise ToolError(f"no weather service is set up; sample values are there for: {known}")
        return {"location": location, "temperature_celsius": celsius, "source": "sample, not measured"}
    place = await _get(geocoding, {"name": location, "count": "1"})
    if not place.get("results"):
        raise ToolError("there is no place of that name")
    found = place["results"][0]
    where = {"latitude": str(found["latitude"]), "longitude": str(found["longitude"])}
    now = await _get(forecast, {**where, "current": "temperature_2m"})
    return {
        "location": str(found["name"]),
        "temperature_celsius": float(now["current"]["temperature_2m"]),
        "source": _without_secrets(forecast),
    }


def _without_secrets(address: str) -> str:
    """An address without user, password and query."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


async def _get(endpoint: str, query: dict[str, str]) -> dict[str, Any]:
    import httpx

    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.get(endpoint, params=query)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body
