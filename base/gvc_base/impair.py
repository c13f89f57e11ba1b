"""`gvc-base impair`: what a bad link would have made of a capture. Seeded, so it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gvc_base.channel import Channel, ChannelSpec
from gvc_protocol.errors import UserError
from gvc_protocol.pcap import Record, pack_file_header, pack_record, read_records

__all__ = ["ImpairReport", "impair_capture"]


@dataclass(slots=True, kw_only=True)
class ImpairReport:
    """What was done to a capture, in datagrams unless named otherwise."""

    packets_in: int = 0
    packets_out: int = 0
    packets_lost: int = 0
    packets_damaged: int = 0
    packets_duplicated: int = 0
    packets_reordered: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seed: int = 0
    out: str = ""

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """One line for people."""
        return (
            f"{self.packets_in} packets in, {self.packets_out} out: {self.packets_lost} lost, "
            f"{self.packets_damaged} damaged, {self.packets_duplicated} sent twice, "
            f"{self.packets_reordered} out of order (seed {self.seed})"
        )


def impair_capture(source: Path, out: Path, spec: ChannelSpec) -> ImpairReport:
    """Send every record of `source` through the channel; what comes out keeps its time.

    A reordered datagram takes the time of the one that overtook it, as records must rise in time.

    Raises:
        UserError: `source` is missing or no GVC capture, or `out` cannot be written.
    """
    try:
        with source.open("rb") as file:
            records = list(read_records(file, name=str(source)))
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror}") from None
    channel = Channel(spec)
    part = out.with_name(out.name + ".part")
    report = ImpairReport(seed=spec.seed, out=str(out))
    report.bytes_in = sum(len(r.data) for r in records)
    try:
        with part.open("wb") as file:
            file.write(pack_file_header())
            for time_ns, data in _through(channel, records):
                file.write(pack_record(Record(time_ns=time_ns, data=data)))
                report.packets_out += 1
                report.bytes_out += len(data)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"cannot write {out}: {error.strerror}") from None
    stats = channel.stats
    report.packets_in, report.packets_lost = stats.sent, stats.lost
    report.packets_damaged, report.packets_duplicated = stats.damaged, stats.duplicated
    report.packets_reordered = stats.reordered
    return report


def _through(channel: Channel, records: list[Record]) -> Iterator[tuple[int, bytes]]:
    for record in records:
        for data in channel.pass_datagram(record.data):
            yield record.time_ns, data
    for data in channel.flush():
        yield records[-1].time_ns, data
