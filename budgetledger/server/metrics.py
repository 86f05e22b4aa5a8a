"""Metrics for Prometheus: requests by operation, never by project or account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "budgetledger_requests",
            "Requests answered; a hold that a budget refuses has status 402.",
            ("operation", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "budgetledger_request_seconds",
            "Seconds until the answer was ready.",
            ("operation",),
            registry=self._registry,
            buckets=_BUCKETS,
        )

    def counted(self, operation: str, endpoint: Endpoint) -> Endpoint:
        """Wrap *endpoint* to count and time its requests as *operation*."""
        seconds = self._seconds.labels(operation)
        statuses: dict[int, Counter] = {}

        async def counting(request: Request) -> Response:
            started = perf_counter()
            response = await endpoint(request)
            seconds.observe(perf_counter() - started)
            status = response.status_code
            if status not in statuses:
                statuses[status] = self._requests.labels(operation, str(status))
            statuses[status].inc()
            return response

        return counting

    def page(self) -> Response:
        """All metrics, as Prometheus reads them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
