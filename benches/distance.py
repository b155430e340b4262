#!/usr/bin/env python3
"""Large files over distance: TLS, HTTP/1.1 and HTTP/2, behind a proxy that delays, beside curl.

    python3 benches/distance.py              # round trips of 0, 40 and 100 ms, three rounds
    python3 benches/distance.py --rounds 7

Wall times are medians of interleaved rounds; ratios are of curl's over the same protocol. It needs
nginx, curl, openssl and a release build of the command line.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NARROWS = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "narrows")
LENGTH = 20_000_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_nginx(folder):
    """nginx with TLS and both versions of HTTP, and files of 20 MB; its port and the process."""
    with open(f"{folder}/openssl.cnf", "w") as file:
        file.write("[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=127.0.0.1\n"
                   "[ext]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-config", f"{folder}/openssl.cnf", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    with open(f"{folder}/file0", "wb") as file:
        file.write(os.urandom(LENGTH))
    for index in range(1, 10):
        os.link(f"{folder}/file0", f"{folder}/file{index}")
    port = free_port()
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"""daemon off; user root; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 512; }}
http {{ access_log off; {temporary}
server {{ listen 127.0.0.1:{port} ssl http2; root {folder};
ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; }} }}""")
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([nginx, "-c", f"{folder}/nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return port, process
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nginx does not listen")


class Delay:
    """Passes bytes on after half a round trip, each way, however many are on the way."""

    def __init__(self, target, round_trip):
        self.target, self.half, self.port = target, round_trip / 2, free_port()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    async def serve(self, ready):
        server = await asyncio.start_server(self.connect, "127.0.0.1", self.port, limit=1 << 20)
        ready.set()
        await server.serve_forever()

    async def connect(self, reader, writer):
        await asyncio.sleep(self.half * 2)  # TCP's own handshake
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=1 << 20)
        except OSError:
            return writer.close()
        await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer))

    async def carry(self, reader, writer):
        queue = asyncio.Queue()

        async def receive():
            try:
                while data := await reader.read(1 << 18):
                    queue.put_nowait((time.monotonic() + self.half, data))
            except OSError:
                pass
            queue.put_nowait((time.monotonic() + self.half, None))

        task = asyncio.create_task(receive())
        try:
            while True:
                due, data = await queue.get()
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                if data is None:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            task.cancel()
            writer.close()


def measure(command):
    """Wall seconds of a command, and the peaks it tells itself: resident and charged MiB."""
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    wall = time.monotonic() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr}")
    told = json.loads(done.stdout) if command[0] == NARROWS else {"peak_rss_bytes": 0, "peak_charged_bytes": 0}
    return wall, told["peak_rss_bytes"] / (1 << 20), told["peak_charged_bytes"] / (1 << 20)


def commands(base, certificate, files):
    urls = [f"{base}/file{index}" for index in range(files)]
    curl = ["curl", "-sS", "--cacert", certificate, "-Z", "--parallel-max", "10"]
    targets = [part for url in urls for part in ("-o", "/dev/null", url)]
    get = [NARROWS, "get", "--cacert", certificate, "--discard", "--progress", "none", "--summary", "json"]
    wide = ["--http2", "--http2-window", "32MiB", "--budget", "400MiB"]
    return {
        ("HTTP/1.1", "curl"): curl + ["--http1.1"] + targets,
        ("HTTP/1.1", "narrows"): get + urls,
        ("HTTP/2", "curl"): curl + ["--http2"] + targets,
        ("HTTP/2", "narrows"): get + ["--http2"] + urls,
        ("HTTP/2", "narrows, 32 MiB windows"): get + wide + urls,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round-trips", default="0,40,100", help="milliseconds, separated by commas")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="narrows-distance-")
    port, nginx = start_nginx(folder)
    try:
        print(f"{'round trip':>10} {'files':>5}  {'protocol':<9} {'':<24} {'wall':>7} {'of curl':>8} {'RSS MiB':>8} {'charged':>8}")
        for milliseconds in map(int, options.round_trips.split(",")):
            delay = Delay(port, milliseconds / 1000)
            for files in (1, 10):
                all_commands = commands(f"https://127.0.0.1:{delay.port}", f"{folder}/cert.pem", files)
                runs = {name: [] for name in all_commands}
                for _ in range(options.rounds):
                    for name, command in all_commands.items():
                        runs[name].append(measure(command))
                medians = {name: [statistics.median(values) for values in zip(*run)] for name, run in runs.items()}
                for (protocol, who), (wall, resident, charged) in medians.items():
                    ratio = wall / medians[(protocol, "curl")][0]
                    print(f"{milliseconds:>7} ms {files:>5}  {protocol:<9} {who:<24} {wall:>6.2f}s {ratio:>8.2f} {resident:>8.1f} {charged:>8.1f}", flush=True)
    finally:
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
