"""An export tells a stranger what is real in it, and a changed byte is found."""

from __future__ import annotations

import stat
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from gvc_base.provenance import AlteredError, MarkLedger, own_identity, sign_media, verify_media
from gvc_base.provenance.certificate import SIGNER_FILE, SigningIdentity
from gvc_base.video import Mp4Writer, read_video
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark
from gvc_protocol.truth import Truth


def frame(number: int, mark: Mark) -> DecodedFrame:
    marks = np.full((8, 12), Mark.ENHANCED, np.uint8)
    marks[2:4, 3:6] = mark
    truth = np.full((8, 12), Truth.VERIFIED, np.uint8)
    pixels = np.random.default_rng(number).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    return DecodedFrame(
        frame_no=number, unit_no=0, pixels=pixels, mark=marks, truth=truth,
        age_ms=np.zeros((8, 12), np.uint16), p_wrong=np.zeros((8, 12), np.float16),
    )  # fmt: skip


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> SigningIdentity:
    made = own_identity(tmp_path_factory.mktemp("state"))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def ledger() -> MarkLedger:
    out = MarkLedger(Fraction(25))
    for i in range(50):
        out.take(frame(i, Mark.REGENERATED if i < 25 else Mark.RECEIVED))
    out.offer(0, 0, np.full((16, 24, 3), 90, np.uint8))
    return out


@pytest.fixture(scope="module")
def video(
    tmp_path_factory: pytest.TempPathFactory, ledger: MarkLedger, identity: SigningIdentity
) -> Path:
    path = tmp_path_factory.mktemp("video") / "out.mp4"
    with Mp4Writer(path, width=96, height=64, fps=Fraction(25), comment="marks") as writer:
        for i in range(50):
            writer.write(frame(i, Mark.RECEIVED).pixels)
    sign_media(path, ledger, identity, burned=True, generated=True, sender="unauthenticated")
    return path


def test_a_stranger_is_told_what_is_real(
    video: Path, identity: SigningIdentity, tmp_path: Path
) -> None:
    text = "\n".join(verify_media(video, state=tmp_path))
    assert "unaltered" in text and identity.fingerprint in text and "compare it" in text
    assert "compositeWithTrainedAlgorithmicMedia" in text and "(digitalCapture)" in text
    assert "0.0-1.0 s: enhanced 94 %, regenerated 6 %; the sender verified 100 %" in text
    assert "1.0-2.0 s: received 6 %, enhanced 94 %" in text
    assert len(list(read_video(video))) == 50


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
def test_a_changed_byte_is_found(video: Path, tmp_path: Path, share: float) -> None:
    raw = bytearray(video.read_bytes())
    raw[int(len(raw) * share)] ^= 0x10
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(bytes(raw))
    with pytest.raises(AlteredError, match="ALTERED"):
        verify_media(changed, state=tmp_path)


def test_a_picture_carries_them_too_and_its_own_base_knows_it(
    ledger: MarkLedger, tmp_path: Path
) -> None:
    mine = own_identity(tmp_path)
    assert mine is not None and own_identity(tmp_path) == mine
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), frame(0, Mark.LOST).pixels)
    sign_media(path, ledger, mine, burned=False, generated=True, sender="key ABCD-0123")
    text = "\n".join(verify_media(path, state=tmp_path))
    assert "this base's own" in text and "it is unmarked" in text


def test_a_file_without_credentials_or_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "bare.png"
    cv2.imwrite(str(path), frame(0, Mark.LOST).pixels)
    with pytest.raises(UserError, match="no credentials"):
        verify_media(path)
    with pytest.raises(UserError, match="neither"):
        verify_media(tmp_path / "x.txt")
    with pytest.raises(UserError, match="cannot read"):
        verify_media(tmp_path / "gone.png")


def test_the_signing_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    own_identity(tmp_path)
    path = tmp_path / SIGNER_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        own_identity(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="no signing key"):
        own_identity(tmp_path)
    assert own_identity(tmp_path / "new", make=False) is None


def test_who_claims_anothers_root_is_found_out(
    ledger: MarkLedger, identity: SigningIdentity, tmp_path: Path
) -> None:
    forger = own_identity(tmp_path)
    assert forger is not None
    # The forger's own leaf and key, under the name of the other base's root.
    leaf = forger.chain.split(b"-----BEGIN CERTIFICATE-----")[1]
    mixed = SigningIdentity(
        chain=b"-----BEGIN CERTIFICATE-----" + leaf + identity.root, key=forger.key
    )
    path = tmp_path / "forged.png"
    cv2.imwrite(str(path), frame(0, Mark.LOST).pixels)
    with pytest.raises((AlteredError, UserError)):
        sign_media(path, ledger, mixed, burned=True, generated=True, sender="x")
        verify_media(path, state=tmp_path)


def test_the_ledger_keeps_its_size() -> None:
    out = MarkLedger(Fraction(1))
    for i in range(1000):
        out.take(frame(0, Mark.LOST))
        out.offer(i, i, np.zeros((8, 8, 3), np.uint8))
    assert len(out.spans) <= 64 and sum(s.frames for s in out.spans) == out.frames == 1000
    assert len(out.pictures) <= 8 and out.pictures[-1].unit_no > 700
