"""What a process and all that it started take: memory and processor time. For benchmarks."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

Seconds = dict[tuple[int, float], float]  # (process id, when it began) -> processor time so far


def family(pid: int) -> Iterator[psutil.Process]:
    """This process and every one below it."""
    first = psutil.Process(pid)
    yield first
    yield from first.children(recursive=True)


def memory(pid: int) -> float:
    """MB of all of them together. What they share counts once, on Linux (PSS); elsewhere once for each."""
    return sum(_megabytes(one) for one in family(pid))


def memory_by_kind(pid: int) -> dict[str, list[float]]:
    """kind -> MB of each process: the app, replicas of reid and of clip, Serve's own, Ray's own."""
    sizes: dict[str, list[float]] = {}
    for one in family(pid):
        sizes.setdefault(_kind(one), []).append(_megabytes(one))
    return {kind: sorted(own) for kind, own in sorted(sizes.items()) if sum(own)}


def told(by_kind: dict[str, list[float]]) -> str:
    """In one line; of many small ones their sum."""
    return ", ".join(
        f"{kind} {' + '.join(f'{size:.0f}' for size in own) if len(own) < 4 else f'{sum(own):.0f}'}"
        for kind, own in by_kind.items()
    )


def processor(pid: int) -> Seconds:
    """Processor time of each of them so far."""
    seconds: Seconds = {}
    for one in family(pid):
        try:
            times = one.cpu_times()
            seconds[one.pid, one.create_time()] = times.user + times.system
        except psutil.Error:
            continue
    return seconds


def taken(before: Seconds, after: Seconds) -> float:
    """Seconds between the two, of those that are there at the end."""
    return sum(seconds - before.get(one, 0.0) for one, seconds in after.items())


def _megabytes(one: psutil.Process) -> float:
    """0 where it has just ended."""
    try:
        info = one.memory_full_info()
        return float(getattr(info, "pss", 0) or info.rss) / 1e6
    except psutil.Error:
        return 0.0


def _kind(one: psutil.Process) -> str:
    try:
        words = one.cmdline()
    except psutil.Error:
        words = []
    title = words[0] if words else ""
    if title.startswith("ray::ServeReplica:"):
        return title.split(":")[3].removeprefix("chatreid-")
    if title.startswith("ray::Serve"):
        return "Serve"
    if "app.py" in words:
        return "app"
    return "Ray itself" if any("ray" in word.lower() for word in words) else "other"
