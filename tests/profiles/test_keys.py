"""Key files, boot numbers and the replay window on disk: nothing shown, nothing repeated."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_profiles import keys, load
from gvc_profiles.boots import next_boot_id
from gvc_profiles.keys import format_key, link_key, parse_key, read_key, spoken, write_key
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND

KEY = LinkKey(bytes(range(32)))
secrets = st.binary(min_size=32, max_size=32).map(LinkKey)
laws = settings(max_examples=60, deadline=None)


# --- files ------------------------------------------------------------------------------------


@given(secrets)
@laws
def test_a_key_comes_back_from_its_text_however_it_is_typed(key: LinkKey) -> None:
    text = format_key(key)
    assert parse_key(text) == key
    assert key.secret.hex() not in text and key.fingerprint in text.splitlines()[0]
    typed = "\n".join(text.splitlines()[1:]).lower().replace(" ", "-")
    assert parse_key(typed.replace("0", "o").replace("1", "l")) == key


@given(secrets, st.data())
@laws
def test_a_typing_error_is_found_and_told_by_its_line(key: LinkKey, data: st.DataObject) -> None:
    lines = format_key(key).splitlines()[1:]
    row, at = data.draw(st.integers(0, 3)), data.draw(st.sampled_from([*range(4), *range(5, 9)]))
    wrong = data.draw(st.sampled_from([c for c in keys._DIGITS if c != lines[row][at]]))
    lines[row] = lines[row][:at] + wrong + lines[row][at + 1 :]
    with pytest.raises(UserError, match=f"typing error in line {row + 1}") as error:
        parse_key("\n".join(lines))
    assert lines[row] not in str(error.value)


def test_lines_in_the_wrong_order_or_missing_are_told() -> None:
    first, second, *rest = format_key(KEY).splitlines()[1:]
    with pytest.raises(UserError, match="line 1"):
        parse_key("\n".join([second, first, *rest]))
    for text, said in ((first, "1 lines"), ("", "0 lines"), (f"{first}\n" * 4, "line 2")):
        with pytest.raises(UserError, match=said):
            parse_key(text)
    for line, said in (("0000", "4 characters"), ("U" + first[1:], "character 1")):
        with pytest.raises(UserError, match=said):
            parse_key("\n".join([line, second, *rest]))


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "link.key"
    write_key(path, KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and read_key(path) == KEY
    with pytest.raises(UserError, match="not overwritten"):
        write_key(path, LinkKey(bytes(32)))
    assert read_key(path) == KEY
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(UserError, match=f"chmod 600 {path}"):
            read_key(path)


def test_what_is_no_key_file_is_told_in_one_line(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("noise", bytes(range(256))), ("long", b"0" * 5000)):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(UserError, match=r"^[^\n]+ is no key file[^\n]*$"):
            read_key(path)
    with pytest.raises(UserError, match="no such key file"):
        read_key(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot read"):
        read_key(tmp_path)


def test_a_key_on_the_command_line_is_refused_and_not_repeated() -> None:
    for text in (format_key(KEY).splitlines()[1], KEY.secret.hex()):
        typed = text * 2 if " " in text else text
        with pytest.raises(UserError, match="the path of a key file") as error:
            read_key(Path(typed))
        assert text not in str(error.value)


def test_a_fingerprint_can_be_read_aloud() -> None:
    words = spoken(KEY.fingerprint)
    assert len(words.replace(",", "").split()) == 8 and words.count(",") == 1
    assert spoken("0AZ9-HJKM") == "zero alfa zulu nine, hotel juliett kilo mike"


def test_encryption_needs_a_key_and_the_law(tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key(path, KEY)
    allowed = load("sik-64")
    ham = replace(allowed, legal=replace(allowed.legal, encryption="forbidden"))
    assert link_key(None) is None and link_key(path, encrypt=True, profile=allowed) == KEY
    assert link_key(path, profile=ham) == KEY
    with pytest.raises(UserError, match=r"^encryption is forbidden on sik-64[^\n]+$"):
        link_key(path, encrypt=True, profile=ham)
    with pytest.raises(UserError, match="--encrypt needs a key"):
        link_key(None, encrypt=True, profile=allowed)


# --- boot numbers -----------------------------------------------------------------------------


def test_boot_numbers_of_a_key_never_repeat(tmp_path: Path) -> None:
    key_path, other = tmp_path / "link.key", LinkKey(bytes(32))
    a, b = tmp_path / "a", tmp_path / "b"
    assert [next_boot_id(a, KEY, key_path) for _ in range(3)] == [1, 2, 3]
    assert next_boot_id(b, KEY, key_path) == 4  # another --state
    (a / f"boot-counter-{KEY.fingerprint}").unlink()  # a state folder that was deleted
    assert next_boot_id(a, KEY, key_path) == 5
    Path(f"{key_path}.boots").unlink()
    assert next_boot_id(a, KEY, key_path) == 6
    assert next_boot_id(a, other, key_path) == 1 and next_boot_id(a) == 1
    assert next_boot_id(a, KEY, key_path) == 7  # another key's count beside the file is not ours


def test_the_last_boot_number_of_a_key_is_the_last(tmp_path: Path) -> None:
    (tmp_path / f"boot-counter-{KEY.fingerprint}").write_text("65534\n")
    assert next_boot_id(tmp_path, KEY) == 65535
    for _ in range(2):
        with pytest.raises(UserError, match="none may repeat; make a new key"):
            next_boot_id(tmp_path, KEY)
    (tmp_path / "boot-counter").write_text("65535")
    assert next_boot_id(tmp_path) == 1  # without a key numbers wrap


def test_a_damaged_count_is_not_guessed(tmp_path: Path) -> None:
    for name in (f"boot-counter-{KEY.fingerprint}", "k.boots"):
        path = tmp_path / name
        path.write_text(f"{KEY.fingerprint} x" if name == "k.boots" else "many")
        with pytest.raises(UserError, match="does not hold a number"):
            next_boot_id(tmp_path, KEY, tmp_path / "k")
        path.unlink()


# --- the replay window ------------------------------------------------------------------------


def test_the_window_outlives_a_restart_and_two_bases_share_it(tmp_path: Path) -> None:
    one, two = ReplayStore(tmp_path, KEY), ReplayStore(tmp_path, KEY)
    one.guard.accept(1, False, 4, 100)
    two.guard.accept(2, False, 9, 7)
    two.guard.accept(1, False, 4, 90)
    one.tick(5 * SECOND)
    two.tick(5 * SECOND)
    assert one.problem == two.problem == ""
    again = ReplayStore(tmp_path, KEY).guard
    for number in ((1, False, 4, 100), (1, False, 4, 90), (2, False, 9, 7)):
        assert again.accept(*number).name == "SEEN"
    assert again.accept(1, False, 3, 200).name == "OLD"
    assert ReplayStore(tmp_path, LinkKey(bytes(32))).guard.export()["heard"] == []


def test_a_damaged_window_is_refused_and_a_full_disk_is_told(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path, KEY)
    store.guard.accept(1, False, 1, 1)
    store.save()
    path = tmp_path / f"replay-{KEY.fingerprint}.json"
    assert json.loads(path.read_text())["heard"] == [[1, False, 1, 1, "1"]]
    for text in ("", "{}", "[" * 100_000, path.read_text()[:-9]):
        path.write_text(text)
        with pytest.raises(UserError, match=r"^[^\n]+ is damaged [^\n]+$"):
            ReplayStore(tmp_path, KEY)
    path.unlink()
    path.mkdir()  # cannot be written
    store.guard.accept(1, False, 1, 2)
    store.tick(9 * SECOND)
    assert "not saved" in store.problem
