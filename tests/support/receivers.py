"""One HTTP server that stands for everybody whom Alertmanager tells, and keeps what it was told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.patience import HANG_SECONDS


@dataclass(frozen=True)
class Delivery:
    """One request: whom it was for (the first part of its path) and what it said."""

    receiver: str
    body: dict[str, Any]

    @property
    def group(self) -> dict[str, str]:
        """Of a webhook."""
        return dict(self.body.get("groupLabels") or {})

    @property
    def status(self) -> str:
        """Of a webhook: firing, or resolved."""
        return str(self.body["status"])

    @property
    def names(self) -> set[str]:
        """The alerts that a webhook was told to be firing."""
        return {each["labels"].get("alertname", "") for each in self.body["alerts"] if each["status"] == "firing"}


@dataclass
class Receivers:
    """What came so far; `wait_for` blocks until something did."""

    url: str
    _all: list[Delivery] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, delivery: Delivery) -> None:
        with self._changed:
            self._all.append(delivery)
            self._changed.notify_all()

    def told(self, receiver: str, **group: str) -> list[Delivery]:
        """Deliveries to one receiver, of groups with these labels."""
        with self._changed:
            found = [each for each in self._all if each.receiver == receiver]
        return [each for each in found if group.items() <= each.group.items()]

    def wait_for(self, look: Callable[[], object]) -> None:
        """Raises AssertionError when it does not come true."""
        with self._changed:
            came = self._changed.wait_for(look, timeout=HANG_SECONDS)
        told = [f"{each.receiver} {each.body.get('status', '')} {each.group}" for each in self._all]
        assert came, f"not delivered within {HANG_SECONDS:g} s; so far: {told}"


@contextmanager
def serve_receivers(host: str) -> Iterator[Receivers]:
    """Serves on a free port while the context is open."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            # PagerDuty's Events API accepts with 202 and Slack says ok; the others take any success.
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"ok")
            receivers.take(Delivery(self.path.split("/")[1], body))

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    receivers = Receivers(f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receivers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
