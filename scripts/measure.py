"""Runs programs in turn and reports of each run how long it took and what the kernel says it used.

Node cannot ask for the resources of one child (getrusage knows only of itself), and wait4 can. Reads JSON from stdin:
{"rounds": N, "warmUp": N, "evict": [paths], "cases": [{"argv": [...], "env": {...}, "expected": "text"}]}; writes a list
of samples per case. Every other round goes backwards (ABBA), so that what drifts weighs on all alike, and the samples of
one round are neighbours in time.
"""

import json
import os
import sys
import time


def evict(path):
    """Takes a file out of the page cache. It comes back by being run, page by page, as after a start of the machine; how
    it was written decides no more how large its pages are, which weighs as much as all that is to be compared."""
    descriptor = os.open(path, os.O_RDWR)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def run_once(case, stdout):
    start = time.perf_counter()
    pid = os.posix_spawn(case["argv"][0], case["argv"], case["env"], file_actions=[(os.POSIX_SPAWN_DUP2, stdout, 1)])
    _, status, used = os.wait4(pid, 0)
    elapsed = time.perf_counter() - start
    return {
        "status": status,
        "ms": elapsed * 1000,
        "cpuMs": (used.ru_utime + used.ru_stime) * 1000,
        "rssBytes": used.ru_maxrss * 1024,
        "faults": used.ru_minflt,
    }


def run(case):
    """By a process of its own, as by a kubectl: to the plugin, the same parent again is a warning sign."""
    said_read, said_write = os.pipe()
    taken_read, taken_write = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(said_read)
        os.write(taken_write, json.dumps(run_once(case, said_write)).encode())
        os._exit(0)
    os.close(said_write)
    os.close(taken_write)
    with os.fdopen(said_read) as stdout, os.fdopen(taken_read) as taken:
        said = stdout.read()
        sample = json.load(taken)
    os.waitpid(parent, 0)
    if sample["status"] != 0 or case["expected"] not in said:
        sys.exit(f"unexpected answer of {case['argv']}: status {sample['status']}, {said!r}")
    return sample


plan = json.load(sys.stdin)
for path in plan["evict"]:
    evict(path)
cases = list(enumerate(plan["cases"]))
samples = [[] for _ in cases]
for number in range(-plan["warmUp"], plan["rounds"]):
    for index, case in cases if number % 2 == 0 else reversed(cases):
        sample = run(case)
        if number >= 0:
            samples[index].append(sample)
json.dump(samples, sys.stdout)
