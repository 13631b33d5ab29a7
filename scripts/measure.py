"""Runs programs in turn, and reports the time and the resources of each run.

Node cannot read the resources of one child, but wait4 can. Reads JSON from stdin:
{"rounds": N, "warmUp": N, "evict": [paths], "cases": [{"argv": [...], "env": {...}, "expected": "text"}]}; writes a list
of samples per case. Every other round runs backward (ABBA), so that a drift affects all cases alike, and the samples of one
round are close in time.
"""

import json
import os
import sys
import time


def evict(path):
    """Removes a file from the page cache. Running it loads it again, page by page, as after a start of the machine.
    Otherwise, the way that it was written would decide the size of its pages, which affects times by up to a sixth."""
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
    """Runs a case from a new parent process, as kubectl does. The plugin treats the same parent asking again specially."""
    stdout_read, stdout_write = os.pipe()
    sample_read, sample_write = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(stdout_read)
        os.write(sample_write, json.dumps(run_once(case, stdout_write)).encode())
        os._exit(0)
    os.close(stdout_write)
    os.close(sample_write)
    with os.fdopen(stdout_read) as stdout_file, os.fdopen(sample_read) as sample_file:
        output = stdout_file.read()
        sample = json.load(sample_file)
    os.waitpid(parent, 0)
    if sample["status"] != 0 or case["expected"] not in output:
        sys.exit(f"unexpected output of {case['argv']}: status {sample['status']}, {output!r}")
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
