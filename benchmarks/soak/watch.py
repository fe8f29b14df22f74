"""What a process takes, second by second: resident memory, file descriptors, threads. By /proc, so on Linux."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """What a process took at one moment: seconds, KiB, counts."""

    at: float
    resident: int
    files: int
    threads: int


def sample(pid: int) -> Sample:
    """What the process takes now."""
    process = Path(f"/proc/{pid}")
    status = dict(line.partition(":")[::2] for line in (process / "status").read_text().splitlines())
    return Sample(
        time.monotonic(),
        int(status["VmRSS"].split()[0]),
        len(list((process / "fd").iterdir())),
        int(status["Threads"]),
    )


def children(pid: int) -> list[int]:
    """The processes that it started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass(slots=True)
class Watched:
    """One process and its samples; `before` and `after` are of when nobody asked it anything."""

    name: str
    pid: int
    before: Sample
    after: Sample
    samples: list[Sample] = field(default_factory=list)

    def halves(self) -> tuple[list[Sample], list[Sample]]:
        """The samples of the first half of the load, and of the second."""
        middle = len(self.samples) // 2
        return self.samples[:middle], self.samples[middle:]

    def slope(self) -> float:
        """How fast its memory grows in the second half, in KiB a minute, by least squares."""
        _, half = self.halves()
        minutes = [each.at / 60 for each in half]
        mean_at, mean = sum(minutes) / len(half), sum(each.resident for each in half) / len(half)
        above = sum((at - mean_at) * (each.resident - mean) for at, each in zip(minutes, half, strict=True))
        return above / sum((at - mean_at) ** 2 for at in minutes)


def watch(processes: list[Watched], stopped: threading.Event) -> None:
    """Sample all of them every second until stopped."""
    while not stopped.wait(1):
        for process in processes:
            process.samples.append(sample(process.pid))


def at_rest(pid: int, most: Sample | None = None, seconds: float = 10) -> Sample:
    """A sample once its file descriptors no longer change (or are no more than in `most`), at the latest in time."""
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
