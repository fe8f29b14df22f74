"""Samples a process every second: resident memory, file descriptors, threads. Reads /proc, so it needs Linux."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """The resources of a process at one time: seconds, KiB, counts."""

    at: float
    resident: int
    files: int
    threads: int


def sample(pid: int) -> Sample:
    """Returns a sample of the process."""
    process = Path(f"/proc/{pid}")
    status = dict(line.partition(":")[::2] for line in (process / "status").read_text().splitlines())
    return Sample(
        time.monotonic(),
        int(status["VmRSS"].split()[0]),
        len(list((process / "fd").iterdir())),
        int(status["Threads"]),
    )


def children(pid: int) -> list[int]:
    """Returns the child processes."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass(slots=True)
class Watched:
    """One process and its samples; `before`, `after` and `objects` are of when nobody asked it anything.

    `objects` are the blocks of memory that Python's objects took, between the two halves of the load and at the end:
    under load they go up and down with what is under way.
    """

    name: str
    port: int
    pid: int
    before: Sample
    after: Sample
    samples: list[Sample] = field(default_factory=list)
    objects: list[tuple[float, int]] = field(default_factory=list)

    def halves(self) -> tuple[list[Sample], list[Sample]]:
        """Returns the samples of the first half of the load, and of the second half."""
        middle = len(self.samples) // 2
        return self.samples[:middle], self.samples[middle:]

    def growth(self) -> float:
        """Returns the growth of resident memory in the second half, in KiB per minute."""
        return _slope([(each.at, each.resident) for each in self.halves()[1]])

    def growth_of_objects(self) -> float:
        """Returns the growth of allocated Python blocks in the second half, in blocks per minute."""
        (begun, held), (ended, more) = self.objects
        return (more - held) / (ended - begun) * 60

    def count_objects(self) -> None:
        """Request the number of allocated blocks from the server."""
        self.objects.append((time.monotonic(), _objects(self.port)))


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Returns the growth per minute, by least squares."""
    minutes, values = [at / 60 for at, _ in points], [value for _, value in points]
    middle, mean = sum(minutes) / len(minutes), sum(values) / len(values)
    above = sum((at - middle) * (value - mean) for at, value in zip(minutes, values, strict=True))
    return above / sum((at - middle) ** 2 for at in minutes)


def watch(processes: list[Watched], stopped: threading.Event) -> None:
    """Sample all processes every second until the event is set."""
    while not stopped.wait(1):
        for process in processes:
            process.samples.append(sample(process.pid))


def _objects(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/objects")
        body: int = json.loads(connection.getresponse().read())
        return body


def at_rest(pid: int, most: Sample | None = None, seconds: float = 10) -> Sample:
    """Returns a sample when the number of file descriptors is stable or at most `most`, or after the time limit."""
    until = time.monotonic() + seconds
    last, same = sample(pid), 0
    while time.monotonic() < until:
        time.sleep(0.1)
        now = sample(pid)
        same = same + 1 if now.files == last.files else 0
        last = now
        if same >= 10 and (most is None or now.files <= most.files):
            break
    return last
