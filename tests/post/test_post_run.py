"""The programs themselves: a base that runs with --post, TLS, and what is printed."""

from __future__ import annotations

import datetime
import ipaddress
import json
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gvc_base.archive_seal import Signer
from gvc_base.archive_verify import verify_archive
from gvc_base.post.sender import Sender
from gvc_base.post.server import parse_server
from tests.e2e.programs import wait_for
from tests.post.growing import fill, open_archive
from tests.post.nats import NatsServer, needs_nats, wait_until
from tests.post.running import Running, copies, datagrams, is_like, receiving, send
from tests.station.flights import packets

pytestmark = needs_nats


def test_a_base_that_runs_feeds_the_post_and_does_not_mind_its_absence(tmp_path: Path) -> None:
    server, archive, log = NatsServer(tmp_path / "server"), tmp_path / "m.db", tmp_path / "base.log"
    command = [
        sys.executable, "-m", "gvc_base", "run", "--link", "udp://127.0.0.1:0", "-p", "udp",
        "--archive", str(archive), "--no-console", "--state", str(tmp_path / "state"),
        "--objects", "movers", "--post", server.url, "--post-name", "ridge",
    ]  # fmt: skip
    sent = packets()
    with ExitStack() as stack, log.open("w") as out:
        base = subprocess.Popen(command, stderr=out, stdout=out)
        stack.callback(base.kill)
        port = int(wait_for(log, "listening on udp port").split("udp port ")[1].split(",")[0])
        wait_for(log, "nobody listens on that port")
        radio = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for data in sent[: len(sent) // 2]:
            radio.sendto(data, ("127.0.0.1", port))
        wait_until(lambda: datagrams(archive) > 0, "the base receives")
        server.start()
        stack.callback(server.kill)
        receiving(stack, server.url, tmp_path / "out")
        wait_until(lambda: bool(copies(tmp_path / "out", "ridge")), log.read_text())
        for data in sent[len(sent) // 2 :]:
            radio.sendto(data, ("127.0.0.1", port))
        base.send_signal(signal.SIGTERM)
        assert base.wait(60) == 0, log.read_text()
        wait_until(lambda: is_like(archive, tmp_path / "out", "ridge"), log.read_text())
    found = verify_archive(copies(tmp_path / "out", "ridge")[0])
    assert found.whole and found.closed and found.rows > 0
    lines = [line for line in log.read_text().splitlines() if "command post" in line]
    assert len(lines) == 2 and "nobody listens" in lines[0] and "sending again" in lines[1]
    # Nothing of the sender is left beside the archive: the server knows how far it came.
    assert not list(tmp_path.glob("*post*"))


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "command post")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    return cert, secret


def test_tls_to_a_server_whose_certificate_we_know(
    tmp_path: Path, signer: Signer, server: NatsServer
) -> None:
    plain, login = server.url.replace("nats:", "tls:"), tmp_path / "login"
    login.write_text("base:hush")
    login.chmod(0o600)
    server.kill()  # and again, with a trace of what it is told
    server.start("-V")
    cert, secret = _certificate(tmp_path)
    tls = f'tls {{ cert_file: "{cert}", key_file: "{secret}" }}\n'
    spoken, server = server, NatsServer(tmp_path / "tls", tls).start()
    path = tmp_path / "m.db"
    archive, session = open_archive(path, signer)
    fill(archive, session, 1, 20)
    archive.close()
    url = server.url.replace("nats:", "tls:")
    with ExitStack() as stack:
        stack.callback(server.kill)
        for target, words in (
            (parse_server(url), "its certificate is not trusted"),
            (parse_server(server.url), "its certificate is not trusted"),
            (parse_server(plain), "wants TLS"),
            (parse_server(plain, login), "wants TLS"),
        ):
            lines: list[str] = []
            running = Running(Sender(path, target, "alpha", say=lines.append).run(follow=False))
            wait_until(lambda said=lines: bool(said), "a line")
            running.stop()
            assert words in lines[0]
        # A server that asks for no TLS is told nothing, and least of all the password.
        assert '"pass"' not in spoken.log() and "CONNECT" in spoken.log()
        known = parse_server(url, ca=cert)
        send(path, known)
        receiving(stack, known, tmp_path / "out")
        wait_until(lambda: is_like(path, tmp_path / "out", "alpha"), "a copy")


def told(*args: object) -> tuple[int, str]:
    """`gvc-base post` as a process: (exit code, all that it printed, its answer last)."""
    done = subprocess.run(
        [sys.executable, "-m", "gvc_base", "post", *map(str, args)], capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr + done.stdout


def test_what_send_and_receive_print(tmp_path: Path, server: NatsServer) -> None:
    path, out = tmp_path / "m.db", tmp_path / "out"
    archive, session = open_archive(path)
    fill(archive, session, 1, 20)
    archive.close()
    to = ["--to", server.url, "--post-name", "alpha"]
    code, said = told("send", path, *to)
    assert code == 0 and "27 rows in 1 messages were new" in said
    code, said = told("send", path, *to, "--json")
    assert code == 0 and json.loads(said.splitlines()[-1])["rows"] == 0
    code, said = told("receive", "--from", server.url, "--out", out, "--seconds", 1)
    assert code == 0 and "alpha: a mission begins" in said
    assert "27 rows were new, 0 were there already" in said
    server.kill()
    code, said = told("send", path, *to, "--seconds", 0.2)
    assert code == 2 and "run the same again" in said and "Traceback" not in said
