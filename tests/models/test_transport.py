"""The lean transport against a scripted server on loopback: whatever HTTP/1.1 allows, and what servers do beside it."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models import _transport
from pipeline.models._transport import DirectTransport, http_client

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\ntrue"
Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request; IncompleteReadError at the end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return head, await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[Peer]]]:
    """The URL of a server that runs `script` for each connection, and the connections so far."""
    peers: list[Peer] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Peer(reader, writer, len(peers)))
        try:
            await script(peers[-1])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}", peers
    finally:
        server.close()


async def always(peer: Peer, answer: bytes = PLAIN) -> None:
    while True:
        await peer.request()
        await peer.send(answer)


def answering(*answers: bytes) -> Script:
    """A connection that gives these answers in turn and then stays silent."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)
        await peer.reader.read()

    return script


def client(**limits: float) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=DirectTransport(), timeout=httpx2.Timeout(limits.get("seconds", 5.0)))


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def posted(script: Script, count: int = 1, **limits: float) -> tuple[list[httpx2.Response], int]:
    """The answers to so many posts, one after the other, and the number of connections they took."""
    async with serving(script) as (url, peers), client(**limits) as http:
        found = [await http.post(url, json={"a": i}) for i in range(count)]
        return found, len(peers)


def test_a_connection_is_used_again_and_the_request_arrives_as_it_was_built() -> None:
    async def script(peer: Peer) -> None:
        while True:
            head, body = await peer.request()
            assert head.startswith(b"POST /v1/chat?x=%C3%A9 HTTP/1.1\r\n")
            await peer.send(PLAIN.replace(b"length: 4", b"length: %d" % len(body))[:-4] + body)

    async def work() -> None:
        async with serving(script) as (url, peers), client() as http:
            for text in ("one", "zwei ü", "三" * 50_000):
                answer = await http.post(f"{url}/v1/chat?x=é", json={"text": text})
                assert answer.json() == {"text": text}
            assert len(peers) == 1

    run(work())


def test_requests_at_once_take_a_connection_each_and_later_ones_use_them_again() -> None:
    async def work() -> None:
        async with serving(always) as (url, peers), client() as http:
            for _ in range(3):
                await asyncio.gather(*(http.post(url, json={}) for _ in range(20)))
            assert len(peers) == 20

    run(work())


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\ntr\r\n2;x=y\r\nue\r\n0\r\ntrailer: t\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (CHUNKED, "true"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + PLAIN, "true"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(gzip.compress(b"packed"))
            + gzip.compress(b"packed"),
            "packed",
        ),
    ],
    ids=["chunked", "1xx first", "204", "gzip"],
)
def test_every_framing_of_an_answer_is_read_and_leaves_the_connection_usable(answer: bytes, text: str) -> None:
    found, connections = run(posted(answering(answer, answer, answer), 3))
    assert [each.text for each in found] == [text] * 3
    assert connections == 1


@given(cuts=st.lists(st.integers(1, len(CHUNKED) - 1), max_size=12))
@settings(max_examples=25, deadline=None)
def test_an_answer_may_be_cut_into_pieces_anywhere(cuts: list[int]) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        ends = [*sorted(set(cuts)), len(CHUNKED)]
        for start, end in zip([0, *ends], ends, strict=False):
            await peer.send(CHUNKED[start:end])
            await asyncio.sleep(0)
        await peer.reader.read()

    found, _ = run(posted(script))
    assert found[0].text == "true"


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN + b"HTTP/1.1 200 OK\r\n",
    ],
    ids=["close", "HTTP/1.0", "more than was asked for"],
)
def test_a_connection_that_cannot_be_trusted_again_is_not_used_again(answer: bytes) -> None:
    found, connections = run(posted(lambda peer: always(peer, answer), 3))
    assert [each.json() for each in found] == [True] * 3
    assert connections == 3


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\ntrue")

    assert run(posted(script))[0][0].json() is True


def test_a_connection_that_the_server_closed_meanwhile_is_replaced_without_a_fault() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(PLAIN)

    async def work() -> None:
        async with serving(script) as (url, peers), client() as http:
            for _ in range(3):
                assert (await http.post(url, json={})).status_code == 200
                await asyncio.sleep(0.01)
            assert len(peers) == 3

    run(work())


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "IDLE_SECONDS", 0.0)
    assert run(posted(always, 3))[1] == 3


async def half(peer: Peer) -> None:
    await peer.request()
    await peer.send(PLAIN[:-2])


async def gone(peer: Peer) -> None:
    await peer.request()


async def reset(peer: Peer) -> None:
    await peer.request()
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.send(PLAIN[:-2])
    await peer.reader.read()


async def rubbish(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def endless_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 2_000_000)
    await peer.reader.read()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (half, httpx2.RemoteProtocolError),
        (gone, httpx2.TransportError),
        (reset, httpx2.ReadError),
        (silent, httpx2.ReadTimeout),
        (rubbish, httpx2.RemoteProtocolError),
        (endless_head, httpx2.RemoteProtocolError),
    ],
)
def test_what_goes_wrong_is_the_error_that_the_sdks_know(script: Script, error: type[Exception]) -> None:
    with pytest.raises(error):
        run(posted(script, seconds=0.2))


def test_a_slow_answer_that_keeps_coming_is_no_silence() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for start in range(0, len(PLAIN), 20):
            await peer.send(PLAIN[start : start + 20])
            await asyncio.sleep(0.08)

    assert run(posted(script, seconds=0.2))[0][0].json() is True


def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work() -> None:
        async with client() as http:
            await http.post(f"http://127.0.0.1:{port}", json={})

    with pytest.raises(httpx2.ConnectError):
        run(work())


def test_giving_up_on_a_request_closes_its_connection() -> None:
    async def work() -> None:
        closed = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.reader.read()
            closed.set()

        async with serving(script) as (url, _), client() as http:
            asking = asyncio.create_task(http.post(url, json={}))
            await asyncio.sleep(0.05)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await asyncio.wait_for(closed.wait(), 2)

    run(work())


def test_a_body_that_is_not_in_memory_is_sent_all_the_same() -> None:
    async def script(peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        assert b"chunked" in head
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.send(PLAIN)

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def work() -> None:
        async with serving(script) as (url, _), client() as http:
            assert (await http.post(url, content=parts())).json() is True

    run(work())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_a_certificate_of_ones_own_is_trusted_where_the_environment_names_it_and_refused_otherwise(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def work() -> list[object]:
        async with serving(always, context) as (url, peers), client() as http:
            return [(await http.post(url, json={})).json(), (await http.post(url, json={})).json(), len(peers)]

    with pytest.raises(httpx2.ConnectError, match="certificate"):
        run(work())
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    assert run(work()) == [True, True, 1]


def test_a_proxy_of_the_environment_is_used_and_no_proxy_goes_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(peer: Peer) -> None:
        head, _ = await peer.request()
        assert head.startswith(b"POST http://model.example/v1/chat HTTP/1.1")
        await peer.send(PLAIN)

    async def work() -> None:
        async with serving(proxy) as (url, peers):
            for name in ("all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("http_proxy", url)
            assert http_client(openai, "http://model.example/v1") is None
            through = openai.AsyncOpenAI(
                api_key="k",
                base_url="http://model.example/v1",
                http_client=http_client(openai, "http://model.example/v1"),
            )
            assert await through.post("/chat", body={}, cast_to=str) == "true"
            await through.close()
            assert len(peers) == 1
            monkeypatch.setenv("no_proxy", "model.example")
            direct = http_client(openai, "http://model.example/v1")
            assert direct is not None
            await direct.aclose()

    run(work())
