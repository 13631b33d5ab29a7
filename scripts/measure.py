"""Runs programs in turn and reports of each run how long it took and what the kernel says it used.

Node cannot ask for the resources of one child (getrusage knows only of itself), and wait4 can. Reads JSON from stdin:
{"runs": N, "warmUp": N, "cases": [{"argv": [...], "env": {...}, "expected": "text"}]}; writes a list of samples per case.
"""

import json
import os
import sys
import time


def run(case):
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)]
    start = time.perf_counter()
    pid = os.posix_spawn(case["argv"][0], case["argv"], case["env"], file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    elapsed = time.perf_counter() - start
    os.close(write)
    with os.fdopen(read) as stdout:
        said = stdout.read()
    if status != 0 or case["expected"] not in said:
        sys.exit(f"unexpected answer of {case['argv']}: status {status}, {said!r}")
    return {
        "ms": elapsed * 1000,
        "cpuMs": (used.ru_utime + used.ru_stime) * 1000,
        "rssBytes": used.ru_maxrss * 1024,
    }


plan = json.load(sys.stdin)
samples = [[] for _ in plan["cases"]]
for number in range(-plan["warmUp"], plan["runs"]):
    for case, taken in zip(plan["cases"], samples):
        sample = run(case)
        if number >= 0:
            taken.append(sample)
json.dump(samples, sys.stdout)
