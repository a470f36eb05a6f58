"""Keeps both sides on the same CPUs: where they differ in speed, neither side has the better one."""

from __future__ import annotations

import os
import pathlib

# What this process may use, before it is confined to less.
_ALLOWED = sorted(os.sched_getaffinity(0))


def confine(processes: list[int], threads: int) -> list[int]:
    """Confines all threads of the processes to the first CPUs, one for each thread asked for.

    Threads that start later inherit it. Returns the CPUs.
    """
    cpus = _ALLOWED[:threads]
    for process in processes:
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            try:
                os.sched_setaffinity(int(task.name), cpus)
            except ProcessLookupError:
                pass  # it has ended meanwhile
    return cpus
