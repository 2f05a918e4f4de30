"""A server on loopback that answers as it is told: JSON, errors, hangs, dropped connections, broken bodies."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True)
class Step:
    """One answer of the server."""

    body: Any = None
    """JSON value, or text that is sent as it is."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: Literal["hang", "drop", "reset", "half", "drip"] | None = None
    """No answer at all; the connection closed, or cut, without one; half a body; a byte of it now and then."""
    after: float = 0.0
    """Seconds until it answers."""


@dataclass
class Call:
    """One request that the server got."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # With the usual 5, connections that come at the same time are reset.
    request_queue_size = 256


class FaultServer:
    """Answers each request with `respond(call, number)`, where `number` counts the calls from 0."""

    def __init__(self, respond: Callable[[Call, int], Step]) -> None:
        self.respond = respond
        self.calls: list[Call] = []
        self.released = threading.Event()
        self._lock = threading.Lock()
        self.in_flight = 0
        self.most_in_flight = 0
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes, and the second would wait for the first to be acknowledged.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                with outer._lock:
                    outer.connections += 1

            def do_POST(self) -> None:
                outer._serve(self)

            def do_GET(self) -> None:
                outer._serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers.get("content-length", 0))) or b"{}")
        call = Call(handler.path, body, {name.lower(): value for name, value in handler.headers.items()})
        with self._lock:
            number = len(self.calls)
            self.calls.append(call)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self._send(handler, self.respond(call, number))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with self._lock:
                self.in_flight -= 1

    def _send(self, handler: BaseHTTPRequestHandler, step: Step) -> None:
        handler.close_connection = step.fault is not None
        if step.fault == "hang" or step.after:
            self.released.wait(step.after or 30)
        if step.fault == "reset":
            # Closing with data unsent or lingering for no time sends a reset instead of an end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        if step.fault in {"hang", "drop", "reset"}:
            return
        text = step.body if isinstance(step.body, str) else json.dumps(step.body)
        data = text.encode()
        handler.send_response(step.status)
        for name, value in {"content-type": "application/json", **step.headers}.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        if step.fault == "drip":
            for byte in data:
                handler.wfile.write(bytes([byte]))
                self.released.wait(0.05)
            return
        handler.wfile.write(data[: len(data) // 2] if step.fault == "half" else data)

    @contextmanager
    def running(self) -> Iterator[FaultServer]:
        self._thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def serving(respond: Callable[[Call, int], Step]) -> Any:
    """A context in which a server answers with `respond`."""
    return FaultServer(respond).running()


def chat(text: str = "fine", finish: str = "stop", **more: Any) -> Step:
    """An answer of the chat completions API."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}, **more}
    return Step({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}})


def message(text: str = "fine", stop: str = "end_turn") -> Step:
    """An answer of Anthropic's Messages API."""
    content = [{"type": "text", "text": text}] if text else []
    usage = {"input_tokens": 7, "output_tokens": 2}
    return Step({"type": "message", "role": "assistant", "content": content, "stop_reason": stop, "usage": usage})


def listing(*names: str) -> Step:
    """A list of models, as both APIs send it."""
    return Step({"object": "list", "data": [{"id": name, "object": "model"} for name in names], "has_more": False})


def error(status: int, text: str, code: str = "", **headers: str) -> Step:
    """An error as both APIs send it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Step({"type": "error", "error": {"message": text, "type": code, "code": code}}, status, named)


FAULTS: dict[str, Step] = {
    "429": error(429, "slow down", "rate_limit_exceeded"),
    "429 with Retry-After": error(429, "slow down", "rate_limit_exceeded", retry_after="7"),
    "500": error(500, "oops", "api_error"),
    "529": error(529, "Overloaded", "overloaded_error"),
    "reset": Step(fault="reset"),
    "hang": Step(fault="hang"),
    "half a body": Step("{" + " " * 100, fault="half"),
    "wrong JSON": Step('{"choices": [{"message": '),
    "HTML page": Step("<html><body>Bad gateway</body></html>", headers={"content-type": "text/html"}),
    "200 with an error": Step({"error": {"message": "The server is overloaded, try again", "code": "overloaded"}}),
}
"""Everything that goes wrong with real servers and heals."""


def mixed(respond: Callable[[Call, int], Step], seed: int = 0, share: float = 0.3) -> Callable[[Call, int], Step]:
    """`respond`, but for a share of the calls a fault of any kind, drawn by seed and number of the call."""

    def failing(call: Call, number: int) -> Step:
        draw = random.Random(f"{seed} {number}")
        return draw.choice(list(FAULTS.values())) if draw.random() < share else respond(call, number)

    return failing
