"""Who may use the console: loopback, token, other sites, headers, bad input. Without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from gvc_base.console.app import Server, is_loopback, serve
from gvc_base.console.guard import new_token
from gvc_protocol.errors import UserError
from tests.console.clip import Clip
from tests.console.rehearsed import RehearsedView

Console = Callable[..., Server]


def test_not_loopback_needs_a_token(clip: Clip) -> None:
    for host, token in (("0.0.0.0", None), ("0.0.0.0", " "), ("127.0.0.1", "")):
        with pytest.raises(UserError, match="token"):
            serve(RehearsedView(clip), host=host, port=0, token=token, say=print)
    assert is_loopback("127.0.0.1") and is_loopback("::1") and not is_loopback("0.0.0.0")


def test_a_taken_port_is_one_clear_line(clip: Clip, console: Console) -> None:
    port = int(console(RehearsedView(clip)).url.rsplit(":", 1)[1])
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}"):
        serve(RehearsedView(clip), host="127.0.0.1", port=port, token=None, say=print)


def test_token_once_then_a_cookie(clip: Clip, console: Console) -> None:
    token = new_token()
    assert re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", token)
    port = console(RehearsedView(clip), host="0.0.0.0", token=token).url.rsplit(":", 1)[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/api/state").status_code == 401
        assert client.get("/").headers["location"] == "/login"
        assert client.post("/api/ask", json={}).status_code == 401
        wrong = client.post("/login", data={"token": "guess"})
        assert wrong.status_code == 401 and token not in wrong.text
        client.post("/login", data={"token": token})
        assert client.get("/api/state").status_code == 200
        cookie = client.post("/login", data={"token": token}).headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and token not in cookie


def test_other_sites_and_rebound_names_are_turned_away(clip: Clip, console: Console) -> None:
    url = console(RehearsedView(clip)).url
    assert httpx.get(url, headers={"host": "evil.example"}).status_code == 421
    asked = httpx.post(f"{url}/api/ask", headers={"origin": "http://evil.example"}, json={})
    assert asked.status_code == 403


def test_headers_keep_everything_elsewhere_out(clip: Clip, console: Console) -> None:
    url = console(RehearsedView(clip)).url
    for path in ("/", "/static/main.js", "/api/state", "/nothing"):
        headers = httpx.get(url + path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert "javascript" in httpx.get(f"{url}/static/main.js").headers["content-type"]
    assert httpx.get(f"{url}/static/../guard.py").status_code == 404


def test_bad_input_is_a_line_not_a_fault(clip: Clip, console: Console) -> None:
    live = console(RehearsedView(clip)).url
    tape = console(RehearsedView(clip, recorded=True)).url
    for url, path, body in (
        (live, "ask", []), (live, "ask", {"drone": "0-0"}), (live, "note", {"drone": 3}),
        (live, "play", {"playing": True}), (live, "seek", {"to_ms": 1}),
        (tape, "play", {"speed": 17}), (tape, "play", {"speed": True}),
        (tape, "seek", {"to_ms": "now"}), (tape, "jump", {"kind": "end"}),
        (live, "ask", {"drone": "9-9", "wanted": {"ask": "keyframe"}}),
    ):  # fmt: skip
        answer = httpx.post(f"{url}/api/{path}", json=body)
        assert answer.status_code == 400 and answer.json()["error"], (path, body)
    assert httpx.get(f"{live}/api/tile/0-0/99999999999/0").status_code == 400
    assert httpx.get(f"{live}/api/picture/9-9.png?layer=marks").status_code == 404
    assert httpx.post(f"{live}/api/note", content=b"x" * 70_000).status_code == 413
