#!/usr/bin/env python3
"""Runs narrows and its peers on the same origin, in turns, and prints medians and ratios.

    python3 benches/run.py                # everything, about ten minutes
    python3 benches/run.py slots large    # some cases
    python3 benches/run.py --rounds 3

Cases: slots (673 GDELT slots), month (2,881 of them), large (ten 16 MB zips of 80 MB text),
small (200,000 files of 1 KiB), splice (a file that changes between two attempts),
inflate (the decoders alone). Peers that are not installed are left out.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")
NARROWS = os.path.join(RELEASE, "narrows")


def days(first, count):
    import datetime

    day = datetime.date.fromisoformat(first)
    for index in range(count):
        yield (day + datetime.timedelta(days=index)).strftime("%Y%m%d")


def slots(base, count):
    names = (f"{day}{slot // 4:02}{slot % 4 * 15:02}00" for day in days("2026-01-01", 31) for slot in range(96))
    return [f"{base}/gdeltv2/{name}.export.CSV.zip" for name, _ in zip(names, range(count))]


def large(base):
    return [f"{base}/trades/{day}.zip?mb=80" for day in days("2026-01-01", 10)]


def small(base, count=200_000):
    return [f"{base}/bytes/1024?name={index}" for index in range(count)]


def measure(command):
    """Wall and CPU seconds, resident MiB at most and over time, and stdout of a command."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak = 0
    curve = []
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        # The kernel's own high-water mark; `ru_maxrss` would count the parent's at the fork.
        try:
            with open(f"/proc/{child.pid}/status") as text:
                for line in text:
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]) / 1024)
                    elif line.startswith("VmRSS:"):
                        curve.append((time.perf_counter() - start, int(line.split()[1]) / 1024))
        except OSError:
            pass
        time.sleep(0.002)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    output = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}: {output[:300]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": peak, "curve": curve, "out": output}


def lines_of(run):
    try:
        return json.loads(run["out"])["lines"]
    except (ValueError, KeyError, TypeError):
        return int(run["out"].split()[0]) if run["out"].split() else None


def case(title, urls, limit, unpack, rounds, peers, budget="64MiB"):
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "list")
        with open(path, "w") as text:
            text.writelines(f"{url}\n" for url in urls)
        ours = [NARROWS, "get", "--list", path, "--discard", "--limit", str(limit), "--budget", budget]
        ours += ["--summary", "json", "--progress", "none"] + (["--unpack"] if unpack else [])
        commands = {"narrows": ours}
        if "naive" in peers:
            commands["reqwest + zip"] = [os.path.join(RELEASE, "naive"), path, str(limit)]
        if "hyper" in peers:
            commands["bare hyper"] = [os.path.join(RELEASE, "bare_hyper"), path, str(limit)]
        if "aiohttp" in peers and has_aiohttp():
            script = os.path.join(ROOT, "benches", "aiohttp_window.py")
            commands["Python aiohttp"] = [sys.executable, script, path, str(limit)]
        if "curl" in peers and shutil.which("curl"):
            config = os.path.join(scratch, "curl")
            with open(config, "w") as text:
                text.writelines(f'url = "{url}"\noutput = /dev/null\n' for url in urls)
            curl = ["curl", "--silent", "--parallel", "--parallel-max", str(limit), "--config", config]
            commands["curl (bytes only)"] = curl
        if "aria2" in peers and shutil.which("aria2c"):
            directory = os.path.join(scratch, "aria2")
            aria2 = ["aria2c", "--quiet", "-j", str(limit), "-i", path, "-d", directory, "--allow-overwrite=true"]
            commands["aria2 (to disk)"] = aria2 + ["--auto-file-renaming=false"]
        runs = {name: [] for name in commands}
        measure(ours)  # the origin generates its files
        for _ in range(rounds):
            for name, command in commands.items():
                runs[name].append(measure(command))
        counts = {name: lines_of(run[0]) for name, run in runs.items() if "only" not in name and "disk" not in name}
        if len(set(counts.values())) != 1:
            raise SystemExit(f"{title}: line counts differ: {counts}")
        print(f"\n{title}, limit {limit}, {rounds} rounds, {next(iter(counts.values())):,} lines")
        print(f"{'':20}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}{'wall':>8}{'CPU':>8}{'peak':>8}   of narrows'")
        median = {name: {key: statistics.median(run[key] for run in of) for key in ("wall", "cpu", "rss")}
                  for name, of in runs.items()}
        base = median["narrows"]
        for name, run in median.items():
            ratios = "".join(f"{run[key] / base[key]:8.2f}" for key in ("wall", "cpu", "rss"))
            print(f"{name:20}{run['wall']:9.2f}{run['cpu']:9.2f}{run['rss']:10.1f}{ratios}")
        return median


def has_aiohttp():
    return subprocess.run([sys.executable, "-c", "import aiohttp"], stderr=subprocess.DEVNULL).returncode == 0


def splice(base):
    """Interrupts each tool in the middle of a file (Ctrl-C), puts other bytes of the same length in
    its place, with another validator, and runs the tool again, told to resume."""
    length = 2_000_000
    print("\nA file replaced by another of the same length between interrupt and resume; what is then on the disk:")
    for name, arguments in {
        "narrows": [NARROWS, "get", "--progress", "none", "--out", "{directory}", "{url}"],
        "curl -C -": ["curl", "-s", "-C", "-", "-o", "{directory}/2000000", "{url}"],
        "wget -c": ["wget", "-q", "-c", "-O", "{directory}/2000000", "{url}"],
        "aria2c -c": ["aria2c", "-q", "-c", "-d", "{directory}", "-o", "2000000", "{url}"],
    }.items():
        if not shutil.which(arguments[0]):
            continue
        with tempfile.TemporaryDirectory() as directory:
            word = name.split()[0]
            url = f"{base}/bytes/{length}?change&rate=1000000&name={word}"
            command = [argument.format(directory=directory, url=url) for argument in arguments]
            first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1)
            first.send_signal(signal.SIGINT)
            first.wait()
            again = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            path = os.path.join(directory, "2000000")
            body = open(path, "rb").read() if os.path.exists(path) else b""
            versions = [fetch(f"{base}/bytes/{length}?change&name={word}") for _ in range(4)]
            if any(body == version for version in versions):
                verdict = "one version, whole"
            elif len(body) == length:
                verdict = "SPLICED: the right length, the bytes of no version"
            else:
                verdict = f"{len(body):,} of {length:,} bytes"
            print(f"{name:20}exit {again.returncode}: {verdict}")


def fetch(url):
    import urllib.request

    return urllib.request.urlopen(url).read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    chosen = set(arguments.cases or ["slots", "month", "large", "small", "splice", "inflate"])
    build = ["cargo", "build", "--quiet", "--release", "-p", "narrows-cli", "-p", "benches"]
    subprocess.run(build, cwd=ROOT, check=True)
    origin = subprocess.Popen([NARROWS, "origin"], stdout=subprocess.PIPE, text=True)
    try:
        base = origin.stdout.readline().strip()
        rounds = arguments.rounds
        everyone = {"naive", "aiohttp", "curl", "aria2"}
        if "slots" in chosen:
            case("673 GDELT slots", slots(base, 673), 10, True, rounds, everyone)
        if "month" in chosen:
            case("2,881 GDELT slots", slots(base, 2881), 10, True, max(1, rounds // 2), set())
        if "large" in chosen:
            case("Ten 16 MB zips", large(base), 4, True, rounds, everyone)
        if "small" in chosen:
            case("2,000 files of 1 KiB", small(base, 2000), 10, False, rounds, set())
            case("200,000 files of 1 KiB", small(base), 10, False, max(1, rounds // 2), {"hyper", "naive"})
        if "splice" in chosen:
            splice(base)
        if "inflate" in chosen:
            subprocess.run([os.path.join(RELEASE, "inflate")], check=True)
    finally:
        origin.terminate()
        origin.wait()


if __name__ == "__main__":
    main()
