"""A lean HTTP/1.1 transport below the SDKs' own clients: one write a request, one parser a connection.

The SDKs bring httpx2, whose default transport walks through all its connections twice a request, sends head and body
apart and enters a time limit for every read and write; with a hundred connections that is more work than all the rest
of the request. This one keeps idle connections on a stack. Everything above it stays the SDK's: keys, headers,
redirects, decompression, errors. TLS is httpx2's own context (SSL_CERT_FILE is honoured), parsing is h11's, and what
goes through a proxy, or has a body that is not in memory, is left to httpx2.
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections import deque
from types import ModuleType
from urllib.parse import urlsplit

import h11
import httpx2

IDLE_SECONDS = 15.0
"""An idle connection is not used again after this time: many servers close theirs soon after."""

_HAPPY_EYEBALLS_SECONDS = 0.25
_Origin = tuple[str, str, int]


def http_client(sdk: ModuleType, url: str) -> httpx2.AsyncClient | None:
    """The HTTP client for an SDK and a server; None, the SDK's own, where a proxy stands between."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if (parts.scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    client: httpx2.AsyncClient = sdk.DefaultAsyncHttpxClient(transport=DirectTransport())
    return client


class DirectTransport(httpx2.AsyncBaseTransport):
    """Connections straight to the servers, reused last in, first out. Bound to one event loop."""

    def __init__(self) -> None:
        self._idle: dict[_Origin, deque[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._other: httpx2.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The server's answer, read whole. Raises httpx2's TransportErrors."""
        try:
            body = request.content
        except httpx2.RequestNotRead:
            return await self._left_to_httpx(request)
        limits = request.extensions.get("timeout", {})
        origin = (request.url.scheme, request.url.raw_host.decode("ascii"), request.url.port or _port(request))
        connection = self._warm(origin) or await self._connect(origin, limits.get("connect"))
        response = await connection.ask(request, body, limits.get("read"))
        if connection.reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault(origin, deque()).append(connection)
        return response

    def _warm(self, origin: _Origin) -> _Connection | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while idle and (idle[0].idle_since < oldest or not idle[0].reusable):
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.reusable:
                return connection
        return None

    async def _connect(self, origin: _Origin, seconds: float | None) -> _Connection:
        scheme, host, port = origin
        tls = self._tls_context() if scheme == "https" else None
        loop = asyncio.get_running_loop()
        connection = _Connection()
        try:
            async with asyncio.timeout(seconds):
                await loop.create_connection(
                    lambda: connection, host, port, ssl=tls, happy_eyeballs_delay=_HAPPY_EYEBALLS_SECONDS
                )
        except TimeoutError:
            raise httpx2.ConnectTimeout(f"no connection to {host} after {seconds} seconds") from None
        except OSError as error:
            # ssl.SSLError, with what is wrong with a certificate, is one of them.
            raise httpx2.ConnectError(str(error) or type(error).__name__) from error
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def _left_to_httpx(self, request: httpx2.Request) -> httpx2.Response:
        if self._other is None:
            self._other = httpx2.AsyncHTTPTransport()
        return await self._other.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every idle connection."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
        if self._other is not None:
            await self._other.aclose()


def _port(request: httpx2.Request) -> int:
    return 443 if request.url.scheme == "https" else 80


class _Connection(asyncio.Protocol):
    """One connection and its parser; one request at a time."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._parser = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[httpx2.Response] | None = None
        self._head: h11.Response | None = None
        self._body: list[bytes] = []
        self._silence: float | None = None
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request can go out on it."""
        return self._transport is not None and not self._transport.is_closing() and self._parser.our_state is h11.IDLE

    async def ask(self, request: httpx2.Request, body: bytes, seconds: float | None) -> httpx2.Response:
        """Send a request and read its answer; `seconds` is the longest silence of the server."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        head = h11.Request(method=request.method.encode(), target=request.url.raw_path, headers=request.headers.raw)
        self._silence = seconds
        self._set_alarm()
        whole = False
        try:
            parts = [self._parser.send(event) for event in (head, h11.Data(data=body), h11.EndOfMessage())]
            self._transport.write(b"".join(part for part in parts if part))
            response = await self._answer
            whole = True
            return response
        except h11.LocalProtocolError as error:
            raise httpx2.LocalProtocolError(str(error)) from error
        finally:
            self._answer = None
            if self._alarm is not None:
                self._alarm.cancel()
            if not whole:
                self.abort()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._silence is not None:
            self._alarm = asyncio.get_running_loop().call_later(self._silence, self._time_out)

    def _time_out(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(httpx2.ReadTimeout(f"silence for {self._silence} seconds"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            # Nobody asked: whatever comes next would be taken for the answer to another request.
            self.abort()
            return
        self._read(data)

    def eof_received(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._read(b"")

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(httpx2.ReadError(str(error or "the server closed the connection")))

    def _read(self, data: bytes) -> None:
        assert self._answer is not None
        try:
            self._parser.receive_data(data)
            while True:
                event = self._parser.next_event()
                match event:
                    case h11.Response():
                        self._head, self._body = event, []
                    case h11.Data():
                        self._body.append(bytes(event.data))
                    case h11.EndOfMessage():
                        self._answer.set_result(self._finish())
                        return
                    case h11.NEED_DATA | h11.PAUSED | h11.ConnectionClosed():
                        self._set_alarm()
                        return
        except h11.RemoteProtocolError as error:
            self._answer.set_exception(httpx2.RemoteProtocolError(str(error)))

    def _finish(self) -> httpx2.Response:
        assert self._head is not None
        head, body = self._head, b"".join(self._body)
        self._head, self._body = None, []
        done = self._parser.our_state is h11.DONE and self._parser.their_state is h11.DONE
        if done and not self._parser.trailing_data[0]:
            self._parser.start_next_cycle()
        else:
            self.close()
        return httpx2.Response(head.status_code, headers=head.headers.raw_items(), content=body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
