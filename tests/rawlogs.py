"""Raw logs for tests: the real ones of test_data, and the same with something changed."""

import io
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import Damage, RawLog
from atop_timeline.record import Sample

LOGS = Path(__file__).parents[1] / "test_data" / "logs"
NAMES = sorted(path.parent.name for path in LOGS.glob("*/atop_raw"))


@cache
def raw(name: str) -> bytes:
    return (LOGS / name / "atop_raw").read_bytes()


def read(data: bytes) -> RawLog:
    """A log that has been read to its end."""
    log = RawLog(io.BytesIO(data))
    for _ in log.samples():
        pass
    return log


def samples(data: bytes) -> tuple[list[Sample], list[Damage]]:
    log = RawLog(io.BytesIO(data))
    return list(log.samples()), log.damages


@cache
def whole(name: str) -> tuple[Sample, ...]:
    return tuple(samples(raw(name))[0])


def contents(some: list[Sample] | tuple[Sample, ...]) -> list[tuple[bytes, bytes]]:
    """Records and tasks of samples, to compare them wherever they lie."""
    return [(each.record.tobytes(), each.tasks.tobytes()) for each in some]


def offsets(name: str) -> list[int]:
    """Where the records of a log begin, and where it ends."""
    return [*(each.offset for each in whole(name)), len(raw(name))]


def with_field(name: str, number: int, field: str, value: int) -> bytes:
    """A log in which a field of one record has another value."""
    record = RawLog(io.BytesIO(raw(name))).header.layout.rawrecord
    return changed(raw(name), offsets(name)[number], record, field, value)


def with_header(name: str, field: str, value: int) -> bytes:
    """A log in whose header a field has another value."""
    return changed(raw(name), 0, RawLog(io.BytesIO(raw(name))).header.layout.rawheader, field, value)


def changed(data: bytes, offset: int, dtype: np.dtype[np.void], field: str, value: int) -> bytes:
    structure = np.frombuffer(data, dtype, 1, offset).copy()
    structure[field] = value
    return data[:offset] + structure.tobytes() + data[offset + dtype.itemsize :]


def without(data: bytes, begin: int, end: int, filling: bytes = b"") -> bytes:
    """A log with something else in place of some of its bytes."""
    return data[:begin] + filling + data[end:]


def with_task_list(count: int, blob: bytes) -> bytes:
    """A log of one sample, whose record announces so many tasks in this stream."""
    record = np.zeros(1, RawLog(io.BytesIO(raw("2.8.1"))).header.layout.rawrecord)
    record["curtime"], record["ndeviat"], record["pcomplen"] = 1_795_404_820, count, len(blob)
    return raw("2.8.1")[:RAWHEADER_BYTES] + record.tobytes() + blob


def rebuilt(name: str, tstat_bytes: int, gen_offset: int, sstat_bytes: int, aversion: int) -> bytes:
    """A log as an atop to come might write it: longer structures, with `gen` of each task moved."""
    log = RawLog(io.BytesIO(raw(name)))
    header = np.frombuffer(raw(name), log.header.layout.rawheader, 1).copy()
    header["aversion"], header["tstatlen"], header["sstatlen"] = aversion, tstat_bytes, sstat_bytes
    parts = [header.tobytes()]
    for sample in log.samples():
        gen = np.ascontiguousarray(sample.tasks["gen"]).view(np.uint8).reshape(len(sample.tasks), -1)
        tasks = np.full((len(gen), tstat_bytes), 0x5A, np.uint8)
        tasks[:, gen_offset : gen_offset + gen.shape[1]] = gen
        blobs = [zlib.compress(bytes(sstat_bytes)), zlib.compress(tasks.tobytes())]
        record = np.array([sample.record])
        record["scomplen"], record["pcomplen"] = map(len, blobs)
        for field in {"ccomplen", "icomplen"} & set(record.dtype.names or ()):
            record[field] = 0
        parts += [record.tobytes(), *blobs]
    return b"".join(parts)
