#!/usr/bin/env python3
"""`--limit auto` beside fixed limits on four links: local, 50 ms away, capped at 20 Mbit/s, lossy.

    python3 benches/limits.py                # all, about five minutes
    python3 benches/limits.py capped         # one
    python3 benches/limits.py --rounds 3

Throughput is that of whole runs, medians of interleaved rounds; the search costs its part of each.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time

import distance

FIXED = [1, 2, 4, 8, 16, 32, 50]
FAR = [8, 16, 32, 50]  # fewer take minutes for as many files


class Capped(distance.Delay):
    """A proxy whose connections share so many bytes a second towards the client."""

    def __init__(self, target, round_trip, rate):
        self.rate, self.due = rate, time.monotonic()
        super().__init__(target, round_trip)

    async def carry(self, reader, writer):
        try:
            while data := await reader.read(1 << 14):
                now = time.monotonic()
                self.due = max(self.due, now) + len(data) / self.rate
                await asyncio.sleep(self.half + max(0, self.due - now))
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def links(port):
    """Name, port to ask, the addresses' paths, and the fixed limits."""
    plain = lambda count, length: [f"/bytes/{length}?name={index}" for index in range(count)]
    yield "local", lambda: port, plain(8000, 200_000), FIXED
    yield "50 ms away", lambda: distance.Delay(port, 0.05).port, plain(6000, 20_000), FAR
    yield "capped at 20 Mbit/s", lambda: Capped(port, 0.02, 2.5e6).port, plain(250, 200_000), FIXED
    yield "lossy, 20 ms away", lambda: distance.Delay(port, 0.02).port, [
        f"/bytes/100000?name={index}" + ("&reset=30000&times=1" if index % 10 == 0 else "") for index in range(9000)
    ], FAR


def run(base, paths, limit):
    """Wall seconds, and the limit at its end."""
    with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
        # Faults count by address, so each run has addresses of its own.
        file.writelines(f"{base}{path}&run={time.monotonic_ns()}\n" for path in paths)
        file.flush()
        command = [distance.NARROWS, "get", "--list", file.name, "--discard", "--limit", str(limit), "--summary", "json",
                   "--budget", "256MiB", "--progress", "none", "--memory-limit", "none"]
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.monotonic() - start
        summary = json.loads(done.stdout.splitlines()[-1])
        if summary["done"] != len(paths):
            raise SystemExit(f"limit {limit}: {summary}")
        return wall, summary["limit"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("links", nargs="*", help="words of the names of links")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "narrows-cli"], cwd=distance.ROOT, check=True)
    origin = subprocess.Popen([distance.NARROWS, "origin"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(origin.stdout.readline().strip().rsplit(":", 1)[1])
        for name, open_link, paths, fixed in links(port):
            if arguments.links and not any(word in name for word in arguments.links):
                continue
            base = f"http://127.0.0.1:{open_link()}"
            walls = {limit: [] for limit in [*fixed, "auto"]}
            used = []
            for _ in range(arguments.rounds):
                for limit in walls:
                    wall, ends_at = run(base, paths, limit)
                    walls[limit].append(wall)
                    used += [ends_at] if limit == "auto" else []
            wall = {limit: statistics.median(of) for limit, of in walls.items()}
            best = min(wall[limit] for limit in fixed)
            least = next(limit for limit in fixed if wall[limit] * 0.9 <= best)
            print(f"\n{name}: auto {best / wall['auto']:.2f} of the best, ends at {used}; {least} reaches 0.9 of it")
            print("".join(f"  {limit}: {seconds:.2f} s" for limit, seconds in wall.items()), flush=True)
    finally:
        origin.terminate()
        origin.wait()


if __name__ == "__main__":
    main()
