"""Tags and encryption: only what the key made is believed, and any one wrong bit is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.auth import LinkKey, Opener, Sealer, auth_label
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.wire import CRC_BYTES, Datagram, RejectReason
from tests.protocol.helpers import datagrams, repair_crc
from tests.vectors import regenerate

laws = settings(max_examples=80, deadline=None)
KEY, OTHER = LinkKey(bytes(range(32))), LinkKey(bytes(range(1, 33)))
VECTORS = json.loads((Path(regenerate.__file__).parent / "auth.json").read_text())
plain_datagrams = datagrams(60).map(lambda d: replace(d, tag=b"", encrypted=False))
full_numbers = st.integers(0, (1 << 28) - 1)


def opened(key: LinkKey, raw: bytes) -> Datagram | RejectReason | None:
    """What a receiver that heard nothing before says."""
    read = Datagram.unpack(raw)
    return Opener(key, ReplayGuard()).open(read) if isinstance(read, Datagram) else read


@given(plain_datagrams, full_numbers, st.booleans())
@laws
def test_what_is_sealed_opens_once(d: Datagram, seq: int, encrypt: bool) -> None:
    sealed = Sealer(KEY, encrypt=encrypt).seal(replace(d, seq=seq))
    opener = Opener(KEY, ReplayGuard())
    read = Datagram.unpack(sealed.pack())
    assert isinstance(read, Datagram) and read.encrypted is encrypt
    got = opener.open(read)
    assert isinstance(got, Datagram)
    assert replace(got, tag=b"", encrypted=False) == replace(d, seq=seq % (1 << 24))
    assert len(sealed.pack()) == len(d.pack()) + 8
    assert opener.open(read) is None


@given(plain_datagrams, full_numbers, st.booleans(), st.data())
@laws
def test_one_wrong_bit_under_a_right_crc_is_refused(
    d: Datagram, seq: int, encrypt: bool, data: st.DataObject
) -> None:
    raw = bytearray(Sealer(KEY, encrypt=encrypt).seal(replace(d, seq=seq)).pack())
    bit = data.draw(st.integers(16, 8 * (len(raw) - CRC_BYTES) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert isinstance(opened(KEY, repair_crc(bytes(raw))), RejectReason)


@given(plain_datagrams, st.booleans())
@laws
def test_another_key_or_no_tag_is_refused(d: Datagram, encrypt: bool) -> None:
    raw = Sealer(OTHER, encrypt=encrypt).seal(d).pack()
    assert opened(KEY, raw) is RejectReason.BAD_TAG
    assert opened(KEY, d.pack()) is RejectReason.NO_TAG


@given(datagrams(60))
@laws
def test_any_datagram_is_opened_or_refused_without_an_exception(d: Datagram) -> None:
    assert opened(KEY, d.pack()) in (RejectReason.BAD_TAG, RejectReason.NO_TAG)


def test_the_wrong_number_of_wraps_is_another_number() -> None:
    """The tag covers all 64 bits of the sequence, of which 24 travel."""
    d, guard = replace(regenerate.PLAIN, seq=5), ReplayGuard()
    guard.accept(d.stream_id, False, d.boot_id, 3)
    late = Datagram.unpack(Sealer(KEY, encrypt=False).seal(replace(d, seq=5 + (1 << 24))).pack())
    assert isinstance(late, Datagram)
    assert Opener(KEY, guard).open(late) is RejectReason.BAD_TAG


def table() -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS["auth"]]


@pytest.mark.parametrize("case", table())
def test_vectors(case: dict[str, Any]) -> None:
    """Both ways, and a second time from the words of WIRE.md, without our code."""
    fields = {**case["fields"], "payload": bytes.fromhex(case["fields"]["payload"]), "tag": b""}
    datagram, raw = Datagram(**fields), bytes.fromhex(case["hex"])
    key = LinkKey(bytes.fromhex(VECTORS["key"]))
    assert Sealer(key, encrypt=case["encrypt"]).seal(datagram).pack() == raw
    guard = ReplayGuard()
    guard.accept(datagram.stream_id, datagram.from_base, datagram.boot_id, datagram.seq)
    assert Opener(key, guard).open(Datagram.unpack(raw)) is None  # type: ignore[arg-type]

    header, sealed = raw[2:17], raw[17:-4]
    seq = datagram.seq.to_bytes(8, "big")
    if not case["encrypt"]:
        subkey = blake2b(key=key.secret, person=b"gvc tag 1", digest_size=32).digest()
        assert (
            blake2b(header + sealed[:-8] + seq, key=subkey, digest_size=8).digest() == sealed[-8:]
        )
        return
    aead = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead")
    subkey = blake2b(key=key.secret, person=b"gvc ccm 1", digest_size=32).digest()
    nonce = bytes([datagram.from_base]) + raw[5:9] + seq
    assert aead.AESCCM(subkey, tag_length=8).decrypt(nonce, sealed, header) == datagram.payload


def test_subkeys_and_fingerprint_stay() -> None:
    assert (KEY.tag_key.hex(), KEY.ccm_key.hex()) == (VECTORS["tag_key"], VECTORS["ccm_key"])
    assert KEY.fingerprint == VECTORS["fingerprint"] != OTHER.fingerprint


def test_a_key_does_not_show_itself() -> None:
    shown = f"{KEY!r} {KEY} {Sealer(KEY, encrypt=False)!r}"
    assert KEY.secret.hex() not in shown and str(KEY.secret) not in shown
    with pytest.raises(LocalProtocolError) as error:
        LinkKey(b"too short and secret")
    assert "secret" not in str(error.value)
    assert auth_label("") == "unauthenticated"
    assert auth_label(KEY.fingerprint) == f"authenticated (key {KEY.fingerprint})"


def test_tags_need_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from gvc_protocol.auth import *\nfrom gvc_protocol.replay import ReplayGuard\n"
        "from gvc_protocol.wire import Datagram\nfrom gvc_protocol.errors import UserError\n"
        "d, e = (Datagram.unpack(bytes.fromhex(a)) for a in sys.argv[1:])\n"
        "key = LinkKey(bytes(range(32)))\n"
        "opener = Opener(key, ReplayGuard())\n"
        "print(opener.open(d) is not None, opener.open(e).name)\n"
        "try: Sealer(key, encrypt=True)\n"
        "except UserError as error: print(error)\n"
    )
    made = [c["hex"] for c in VECTORS["auth"] if c["name"].startswith("one_byte_")]
    encrypted, tagged = sorted(made, key=lambda text: int(text[4:6], 16) & 2, reverse=True)
    done = subprocess.run(
        [sys.executable, "-c", code, tagged, encrypted], capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "True ENCRYPTED" and "install it" in lines[1], done.stderr
