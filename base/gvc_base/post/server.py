"""The NATS server between bases and post: where it is, who we are to it, the stream that keeps rows.

A connection is used until its first trouble, then thrown away: what was sent and not acknowledged is
sent again over the next one, and nothing that a client library would hold back can come late.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext
    from nats.js.api import StreamInfo

__all__ = [
    "STREAM",
    "PostServer",
    "connected",
    "heed_cancel",
    "parse_server",
    "stream_of",
    "subject_of",
    "words",
]

STREAM = "GVC_POST"
_SUBJECTS = "gvc.post"
_CONNECT_S = 10.0
_CLOSE_S = 0.3
_PING_S = 10
_DUPLICATES_S = 3600.0
_FORBIDDEN = "permissions violation"
_JWT = "BEGIN NATS USER JWT"
_WRONG_URL = "give nats://HOST:PORT or tls://HOST:PORT, through a leaf node with /DOMAIN behind it"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostServer:
    """Where the server is, and how we log in there."""

    url: str
    "For lines, too: it never holds a secret."
    host: str
    port: int
    tls: bool
    domain: str | None = None
    "JetStream domain of the server that keeps the rows, where a leaf node lies before it."
    ca: Path | None = None
    login: dict[str, Any] = field(default_factory=dict, repr=False)
    "Arguments of the client library."


def heed_cancel() -> None:
    """For loops that catch what a client library raises: a wait that ends in the moment its task
    is cancelled in swallows that (`asyncio.wait_for` before Python 3.12).

    Raises:
        CancelledError: the task's end was asked for.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def parse_server(url: str, creds: Path | None = None, ca: Path | None = None) -> PostServer:
    """What an operator gave.

    Args:
        creds: a NATS .creds file, a file with an nkey seed, or one with USER:PASSWORD.
        ca: certificates that the server's must come from; None for the system's.

    Raises:
        UserError: it is no such URL, has a secret in it, a file cannot be used, or the client library
            is not installed.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UserError(
            "a password in a command is seen by all on this machine; put USER:PASSWORD into a file "
            "that only you can read, and give it by --post-creds"
        )
    try:
        port = parts.port or 4222
    except ValueError:
        port = 0
    domain = parts.path.strip("/")
    bad = parts.scheme not in ("nats", "tls") or not parts.hostname or not port
    if bad or parts.query or parts.fragment or not re.fullmatch(r"[A-Za-z0-9_-]*", domain):
        raise UserError(f"{url!r:.80} is no address of a NATS server; {_WRONG_URL}")
    if ca is not None and not ca.is_file():
        raise UserError(f"no such file: {ca}; --post-ca is a file of certificates (PEM)")
    if ca is not None and parts.scheme != "tls":
        raise UserError("--post-ca goes with tls://HOST:PORT")
    try:
        import msgpack  # noqa: F401
        import nats  # noqa: F401
    except ImportError:
        raise UserError(
            "the command post needs more packages; run: pip install 'gvc-field[base,post]'"
        ) from None
    # The library logs the server's every error with a traceback; ours are told in one line.
    logging.getLogger("nats").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").addFilter(_no_chatter)
    return PostServer(
        url=url, host=str(parts.hostname), port=port, domain=domain or None,
        tls=parts.scheme == "tls", ca=ca, login={} if creds is None else _login(creds),
    )  # fmt: skip


def _no_chatter(record: logging.LogRecord) -> bool:
    """Every TLS connection that ends makes Python say that; it means nothing."""
    return "eof_received" not in record.getMessage()


def _login(path: Path) -> dict[str, Any]:
    try:
        text, mode = path.read_text(encoding="utf-8").strip(), path.stat().st_mode
    except UnicodeDecodeError:
        text, mode = "", 0
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; check --post-creds") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"{path} can be read by others; run: chmod 600 {path}")
    if _JWT in text:
        return {"user_credentials": str(path)}
    if re.fullmatch(r"SU[A-Z2-7]{56}", text):
        return {"nkeys_seed": str(path)}
    user, colon, password = text.partition(":")
    if not colon or not user or "\n" in text:
        raise UserError(
            f"{path} is neither a NATS .creds file, nor an nkey seed, nor one line USER:PASSWORD"
        )
    return {"user": user, "password": password}


def subject_of(station: str, archive_id: str) -> str:
    """Where a station's rows of an archive go."""
    return f"{_SUBJECTS}.{station}.{archive_id}"


@asynccontextmanager
async def connected(server: PostServer, name: str) -> AsyncIterator[Client]:
    """One connection, closed at the end whatever became of it. When it breaks, the block ends at once,
    whatever it waits for.

    Args:
        name: ours, shown by the server's own tools.

    Raises:
        OSError, TimeoutError, nats.errors.Error: it cannot be had, or broke; `words` tells of them.
    """
    from nats.aio.client import Client

    client, seen = Client(), list[Exception]()

    body, in_use = asyncio.current_task(), False
    lost: Exception | None = None

    def lose(why: Exception) -> None:
        nonlocal lost
        if in_use and body is not None and lost is None:
            lost = why
            body.cancel()

    async def on_error(error: Exception) -> None:
        seen.append(error)
        if _FORBIDDEN in str(error).lower():  # no answer will come to what was not let through
            lose(error)

    async def on_lost() -> None:
        lose(ConnectionError())

    tls = _Tls(server.ca) if server.tls else None
    try:
        try:
            async with asyncio.timeout(_CONNECT_S):
                address = await _resolve(server.host, server.port)
                await client.connect(
                    f"nats://{address}:{server.port}", error_cb=on_error, name=name,
                    disconnected_cb=on_lost,
                    allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0,
                    connect_timeout=int(_CONNECT_S), ping_interval=_PING_S, max_outstanding_pings=2,
                    tls=tls, tls_hostname=server.host if tls else None, **_guarded(server.login, tls),
                )  # fmt: skip
                if tls is not None:
                    tls.expect_used()
        except Exception as error:
            raise seen[-1] if seen and not isinstance(error, asyncio.TimeoutError) else error  # noqa: B904
        in_use = True
        yield client
    except asyncio.CancelledError:
        # Ours, or somebody's who wants an end.
        if lost is not None and body is not None and body.uncancel() == 0:
            raise lost from None
        raise
    finally:
        in_use = False
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await client.close()


class _Tls(ssl.SSLContext):
    """Knows whether it was used. The client library goes without where the server does not ask for TLS,
    and somebody in the middle could see to that."""

    def __new__(cls, _ca: Path | None) -> _Tls:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, ca: Path | None) -> None:
        super().__init__()
        self.used = False
        if ca is None:
            self.load_default_certs()
        else:
            self.load_verify_locations(ca)

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:
        self.used = True
        return super().wrap_bio(*args, **more)

    def expect_used(self) -> None:
        """Raises nats.errors.SecureConnWantedError where the connection is in the open."""
        if not self.used:
            from nats.errors import SecureConnWantedError

            raise SecureConnWantedError


def _guarded(login: dict[str, Any], tls: _Tls | None) -> dict[str, Any]:
    """A password leaves only when the connection is what we asked for."""
    if tls is None or "password" not in login:
        return login

    def password() -> str:
        tls.expect_used()
        return str(login["password"])

    return {**login, "password": password}


async def _resolve(host: str, port: int) -> str:
    """An address, looked up in a thread of our own: the loop's would be waited for at the end, and a
    name server that is gone takes half a minute."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()

    def settle(address: str, error: OSError | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(address)
        else:
            found.set_exception(error)

    def look() -> None:
        address, failed = "", None
        try:
            address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, address, failed)

    threading.Thread(target=look, name="post-resolve", daemon=True).start()
    address = await found
    return f"[{address}]" if ":" in address else address


async def stream_of(js: JetStreamContext) -> StreamInfo:
    """The stream on the server, made where there is none.

    It is kept on the server's disk, and a full one refuses what is new rather than forget what is old:
    then the bases wait, and nothing is lost.

    Raises:
        nats.errors.Error: the server has no JetStream, or does not let us.
    """
    from nats.js.api import DiscardPolicy, StorageType, StreamConfig
    from nats.js.errors import NotFoundError

    try:
        return await js.stream_info(STREAM)
    except NotFoundError:
        return await js.add_stream(
            StreamConfig(
                name=STREAM, subjects=[f"{_SUBJECTS}.>"], storage=StorageType.FILE,
                discard=DiscardPolicy.NEW, duplicate_window=_DUPLICATES_S, allow_direct=True,
                description="rows of gvc-field mission archives, from bases to command posts",
            )
        )  # fmt: skip


def words(error: BaseException) -> str:
    """What is wrong with a server and what to do, on one line."""
    import nats.errors as plain
    import nats.js.errors as js

    text = " ".join(str(error).split())[:160]
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens on that port; start nats-server there"
    if isinstance(error, socket.gaierror):
        return "its name is not known; check the name, or give its address"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); --post-ca FILE names whose is"
    if isinstance(error, plain.AuthorizationError) or "authorization" in text.lower():
        return "it does not let us in; check --post-creds"
    if _FORBIDDEN in text.lower():
        return f"it does not let us do that ({text}); check the user's permissions there"
    silent = isinstance(error, js.ServiceUnavailableError) and error.err_code is None
    if silent or isinstance(error, js.NoStreamResponseError | plain.NoRespondersError):
        return (
            "it answers, but nobody keeps the rows: start it with -js; a leaf node's uplink may be "
            "down, or want /DOMAIN behind the address"
        )
    if isinstance(error, js.APIError):
        why = error.description or text
        full = error.code == 503 or any(w in str(why) for w in ("resource", "exceeded", "storage"))
        return f"it does not take the rows ({why}); " + (
            "make room on its disk and start it anew" if full else "see its log"
        )
    if isinstance(error, plain.SecureConnRequiredError | plain.SecureConnWantedError):
        return "one of the two ends wants TLS; give tls://HOST:PORT, or nats:// where it has none"
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer; the link or the server is down"
    if isinstance(error, plain.Error | EOFError | ConnectionError):
        return f"the connection broke ({text})" if text else "the connection broke"
    if isinstance(error, OSError):
        return f"it is not reached ({error.strerror or text})"
    return f"unexpected {type(error).__name__}: {text}"
