#!/usr/bin/env python3
"""Many small files and archives of many entries, durable: beside curl, unzip and sync.

    python3 benches/disk.py               # three rounds
    python3 benches/disk.py --rounds 7
    python3 benches/disk.py --shim        # also with every sync 5 ms slower, at limits of 10 and 50

A peer writes files without syncing any and calls `sync` at the end. Wall times are medians of interleaved rounds,
ratios are of the peer's in the same run. It also sends SIGTERM in the middle of each job and prints how long the
process needed to end. It needs curl, unzip, zip, gcc for --shim, and a release build of the command line.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NARROWS = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "narrows")

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#define SLOW(name) \
    int name(int fd) { usleep(5000); return ((int (*)(int))dlsym(RTLD_NEXT, #name))(fd); }
SLOW(fsync)
SLOW(fdatasync)
SLOW(syncfs)
"""


def archive(path, entries):
    chance = random.Random(entries)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for index in range(entries):
            file.writestr(f"d{index % 40}/e{index}.csv", f"{index},{chance.random()}\n" * 30)


def narrows(arguments, environment=None):
    command = [NARROWS, "get", "--progress", "none", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def shell(command, folder):
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def empty(folder):
    """An empty folder. Nothing is deleted before the end: ext4 without a journal takes a millisecond for a new file
    while it passes over what was deleted just before."""
    path = tempfile.mkdtemp(dir=folder)
    os.sync()
    return path


def compare(name, rounds, ours, peer, folder):
    """Medians of interleaved rounds; each begins with an empty folder and nothing to write back."""
    times = {"narrows": [], "peer": []}
    for _ in range(rounds):
        for who, work in (("narrows", ours), ("peer", peer)):
            out = empty(folder)
            times[who].append(timed(lambda: work(out)))
    own, other = (statistics.median(times[who]) for who in ("narrows", "peer"))
    print(f"{name:34} narrows {own:6.2f} s   peer {other:6.2f} s   {own / other:5.2f} x")


def terminated(name, arguments, folder):
    """How long SIGTERM takes to be answered in the middle of a job."""
    worst = 0
    for part in (0.2, 0.5, 0.8):
        first, out = empty(folder), empty(folder)
        whole = timed(lambda: narrows([*arguments, "--out", first]))
        child = subprocess.Popen([NARROWS, "get", "--progress", "none", *arguments, "--out", out],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * part)
        child.send_signal(signal.SIGTERM)
        worst = max(worst, timed(child.wait))
    print(f"{name:34} SIGTERM answered within {worst * 1000:.0f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shim", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/served")
        for entries in (10_000, 3_000):
            archive(f"{folder}/served/{entries}.zip", entries)
        for index in range(4_000):
            with open(f"{folder}/served/{index}.txt", "wb") as file:
                file.write(os.urandom(1024))
        origin = subprocess.Popen([NARROWS, "origin", "--until-stdin-closes", "--dir", f"{folder}/served"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        base = origin.stdout.readline().strip()
        try:
            run(options, folder, base)
        finally:
            origin.stdin.close()
            origin.wait()


def run(options, folder, base):
    for entries in (10_000, 3_000):
        url = f"{base}/{entries}.zip"
        compare(f"a zip of {entries} entries", options.rounds,
                lambda out: narrows([url, "--unpack", "--out", out]),
                lambda out: shell(f"curl -s {url} -o a.zip && unzip -q a.zip && sync", out), folder)
    small = [f"{base}/{index}.txt" for index in range(4_000)]
    lists = {}
    for count in (4_000, 1_000):
        lists[count] = f"{folder}/list{count}"
        with open(lists[count], "w") as file:
            file.write("\n".join(small[:count]))
    with open(f"{folder}/config", "w") as file:
        file.writelines(f"url = {url}\nremote-name\n" for url in small)
    compare("4,000 files of 1 KiB", options.rounds,
            lambda out: narrows(["--list", lists[4_000], "--out", out]),
            lambda out: shell(f"curl -s --no-progress-meter --parallel --parallel-max 10 --config {folder}/config && sync", out), folder)
    for name, arguments in (("a zip of 10,000 entries", [f"{base}/10000.zip", "--unpack"]),
                            ("4,000 files of 1 KiB", ["--list", lists[4_000]])):
        terminated(name, arguments, folder)
    if options.shim:
        with open(f"{folder}/shim.c", "w") as file:
            file.write(SHIM)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", f"{folder}/shim.so", f"{folder}/shim.c"], check=True)
        slow = dict(os.environ, LD_PRELOAD=f"{folder}/shim.so")
        times = {}
        for limit in ("10", "50"):
            def work():
                out = empty(folder)
                return timed(lambda: narrows(["--list", lists[1_000], "--out", out, "--limit", limit], slow))
            times[limit] = statistics.median(work() for _ in range(options.rounds))
        print(f"1,000 files, syncs 5 ms slower: limit 10 {times['10']:.2f} s, limit 50 {times['50']:.2f} s, "
              f"{times['10'] / times['50']:.2f} x")


main()
