"""What the edge keeps on disk between boots: the boot counter (gvc_profiles.boots) and the spool."""

from __future__ import annotations

import os
from pathlib import Path

from gvc_profiles import boots
from gvc_profiles.boots import next_boot_id
from gvc_protocol.errors import UserError
from gvc_protocol.pcap import Record, pack_file_header, pack_record

__all__ = ["PcapFile", "Spool", "default_state_dir", "next_boot_id"]


def default_state_dir() -> Path:
    """`$XDG_STATE_HOME/gvc-edge`, or `~/.local/state/gvc-edge`."""
    return boots.default_state_dir("gvc-edge")


class PcapFile:
    """A capture file being written. Every record is handed to the system at once."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("wb")
            self._file.write(pack_file_header())
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        self.path = path

    def write(self, data: bytes, time_ns: int) -> None:
        """Add one packet. Raises OSError when the disk is full."""
        self._file.write(pack_record(Record(time_ns=time_ns, data=data)))

    def sync(self) -> None:
        """Put what was written on the disk, past every cache."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            self.sync()
            self._file.close()


class Spool:
    """The edge's own copy of every packet it sent, one capture a boot, oldest dropped over the limit.

    A full disk ends the spool, not the mission: `problem` then holds one line for the operator.
    """

    def __init__(self, folder: Path, boot_id: int, *, limit_bytes: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot keep the spool in {folder}: {error.strerror}") from None
        self._limit_bytes = limit_bytes
        self.path = folder / f"boot-{boot_id:05d}.pcap"
        self._make_room(folder)
        self._file: PcapFile | None = PcapFile(self.path)
        self._size = 0
        self.problem = ""

    def write(self, data: bytes, time_ns: int) -> None:
        """Keep one packet."""
        if self._file is None:
            return
        self._size += len(data) + 16
        if self._size > self._limit_bytes:
            self._end(f"spool is full ({self._limit_bytes >> 20} MiB); later packets are not kept")
            return
        try:
            self._file.write(data, time_ns)
        except OSError as error:
            self._end(f"spool stopped: {error.strerror}; the mission goes on without a local copy")

    def sync(self) -> None:
        """Put the packets of the last unit on the disk."""
        if self._file is None:
            return
        try:
            self._file.sync()
        except OSError as error:
            self._end(f"spool stopped: {error.strerror}; the mission goes on without a local copy")

    def close(self) -> None:
        """Sync and close."""
        if self._file is not None:
            self._file.close()

    def _end(self, problem: str) -> None:
        self.problem = problem
        self._file = None

    def _make_room(self, folder: Path) -> None:
        """Delete the oldest captures until half of the limit is free for this boot."""
        files = sorted(folder.glob("boot-*.pcap"), key=lambda p: p.stat().st_mtime)
        used = sum(p.stat().st_size for p in files)
        while files and used > self._limit_bytes // 2:
            oldest = files.pop(0)
            used -= oldest.stat().st_size
            oldest.unlink(missing_ok=True)
