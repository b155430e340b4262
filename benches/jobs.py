#!/usr/bin/env python3
"""`narrows bars` and `narrows tardis` beside what people would take instead, on the same data.

    python3 benches/jobs.py                  # both, some minutes
    python3 benches/jobs.py bars             # one
    python3 benches/jobs.py year             # a year of 300,000 trades a day: memory, not a peer
    python3 benches/jobs.py --rounds 5

narrows downloads from a local origin; the others read local files, which is in their favour. Peers are
installed into a virtual environment of the benchmark's own where they are missing. Medians of interleaved
rounds; wall and CPU as ratios of narrows'.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import urllib.request
import venv

from run import NARROWS, ROOT, measure

PEERS = ["duckdb", "pandas", "polars", "pyarrow", "rangebar==9.1.0"]
ENVIRONMENT = os.path.join(tempfile.gettempdir(), "narrows-bench-peers")

RANGEBAR = """
import io, sys, zipfile, polars, rangebar
archive = zipfile.ZipFile(sys.argv[1])
names = ['agg_trade_id', 'price', 'quantity', 'first_trade_id', 'last_trade_id', 'timestamp', 'is_buyer_maker', 'best']
rows = polars.read_csv(io.BytesIO(archive.read(archive.namelist()[0])), has_header=False, new_columns=names)
bars = rangebar.process_trades_polars(rows.lazy().select(names[:-1]), 250)
print(len(bars))
"""

POLARS = """
import os, sys, polars
for path in sys.argv[2:]:
    rows = polars.scan_csv(path, schema_overrides={'id': polars.String})
    rows.sink_parquet(os.path.join(sys.argv[1], os.path.basename(path) + '.parquet'), compression='snappy')
"""

DUCKDB = """
import os, sys, duckdb
for path in sys.argv[2:]:
    to = os.path.join(sys.argv[1], os.path.basename(path) + '.parquet')
    duckdb.sql(f"copy (from read_csv('{path}', types={{'id': 'varchar'}})) to '{to}' (format parquet)")
"""

PYARROW = """
import os, sys, pyarrow, pyarrow.csv, pyarrow.parquet
for path in sys.argv[2:]:
    types = pyarrow.csv.ConvertOptions(column_types={'id': pyarrow.string()})
    with pyarrow.csv.open_csv(path, convert_options=types) as reader:
        to = os.path.join(sys.argv[1], os.path.basename(path) + '.parquet')
        with pyarrow.parquet.ParquetWriter(to, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
"""

PANDAS = """
import os, sys, pandas
for path in sys.argv[2:]:
    rows = pandas.read_csv(path, dtype={'id': str}).sort_values('timestamp')
    rows.to_parquet(os.path.join(sys.argv[1], os.path.basename(path) + '.parquet'), row_group_size=100_000)
"""


def python():
    """An interpreter that has the peers."""
    path = os.path.join(ENVIRONMENT, "bin", "python")
    if not os.path.exists(path):
        venv.create(ENVIRONMENT, with_pip=True)
    subprocess.run([path, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return path


def table(title, programs, rounds):
    print(f"\n{title}")
    runs = {name: [] for name in programs}
    for _ in range(rounds):
        for name, command in programs.items():
            runs[name].append(measure(command()))
    figures = lambda of: [statistics.median(run[figure] for run in of) for figure in ("wall", "cpu", "rss")]
    median = {name: figures(of) for name, of in runs.items()}
    own = median["narrows"]
    print(f"  {'':34} {'wall':>9} {'CPU':>9} {'peak memory':>12}")
    for name, (wall, cpu, memory) in median.items():
        if name == "narrows":
            print(f"  {name:34} {wall:7.2f} s {cpu:7.2f} s {memory:8.1f} MiB")
        else:
            print(f"  {name:34} {wall / own[0]:9.2f} {cpu / own[1]:9.2f} {memory / own[2]:12.2f}")
    draw({name: of[-1] for name, of in runs.items()})


def draw(runs, width=64):
    """A line for each run: resident memory over time, all at one scale."""
    longest, most = max(run["wall"] for run in runs.values()), max(run["rss"] for run in runs.values())
    print(f"\n  resident memory over {longest:.1f} s; a full block is {most:.0f} MiB")
    for name, run in runs.items():
        columns = [0.0] * width
        for at, memory in run["curve"]:
            column = min(width - 1, int(at / longest * width))
            columns[column] = max(columns[column], memory)
        last = min(width - 1, int(run["wall"] / longest * width))
        for column in range(1, last + 1):  # nothing was read in it: as before
            columns[column] = columns[column] or columns[column - 1]
        line = "".join(" ▁▂▃▄▅▆▇█"[-(-int(memory / most * 800) // 100)] for memory in columns)
        print(f"  {name.split(',')[0]:16} │{line.rstrip()}")


def bars(base, folder, rounds):
    url = f"{base}/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-30.zip?trades=1000000"
    path = os.path.join(folder, "day.zip")
    urllib.request.urlretrieve(url, path)
    programs = {
        "narrows": lambda: [NARROWS, "bars", url, "--threshold-dbps", "250"],
        "rangebar 9.1, polars, local file": lambda: [python(), "-c", RANGEBAR, path],
    }
    table("A million trades to range bars", programs, rounds)


def year(base, folder, _rounds):
    command = [NARROWS, "bars", "--symbol", "BTCUSDT", "--base", f"{base}/with/trades=300000",
               "--from", "2024-01-01", "--to", "2024-12-31", "--threshold-dbps", "250", "--out"]
    took = measure([*command, os.path.join(folder, "year.csv")])
    wall, cpu, memory = took["wall"], took["cpu"], took["rss"]
    print(f"\nA year of 300,000 trades a day: {wall:.0f} s (mostly the origin's), {cpu:.1f} s CPU, {memory:.1f} MiB")
    draw({"narrows": took})


def tardis(base, folder, rounds):
    days = [f"2024/01/{day:02}" for day in range(1, 11)]
    paths = []
    for day in days:
        paths.append(os.path.join(folder, day.replace("/", "-") + ".csv.gz"))
        url = f"{base}/with/rows=1000000/v1/deribit/trades/{day}/BTC-PERPETUAL.csv.gz"
        urllib.request.urlretrieve(url, paths[-1])
    size = lambda at: sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(at) for name in names)
    places = {name: os.path.join(folder, name) for name in ["narrows", "polars", "duckdb", "pyarrow", "pandas"]}

    def own(*more):
        subprocess.run(["rm", "-rf", places["narrows"]], check=True)
        days = more or ["--from", "2024-01-01", "--to", "2024-01-10", "--base", f"{base}/with/rows=1000000"]
        return [NARROWS, "tardis", "--exchange", "deribit", "--type", "trades", "--symbol", "BTC-PERPETUAL",
                "--out", places["narrows"], *days]

    def peer(name, program):
        os.makedirs(places[name], exist_ok=True)
        return lambda: [python(), "-c", program, places[name], *paths]

    programs = {
        "narrows": own,
        "polars, lazy, local files": peer("polars", POLARS),
        "DuckDB, local files": peer("duckdb", DUCKDB),
        "pyarrow, streaming, local files": peer("pyarrow", PYARROW),
        "pandas, as the tick downloader": peer("pandas", PANDAS),
    }
    table("Ten days of a million trades to Parquet, four at a time", programs, rounds)
    print(f"  size of the files to polars': {size(places['narrows']) / size(places['polars']):.2f}")
    days = ["--from", "2024-01-01", "--to", "2024-01-20", "--base", f"{base}/with/rows=300000"]
    many = [measure(own(*days, "--limit", "20", "--budget", "512MiB"))["rss"] for _ in range(rounds)]
    print(f"  twenty tables at once: {statistics.median(many):.1f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", choices=["bars", "tardis", "year", []], help="which of them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "narrows-cli"], cwd=ROOT, check=True)
    origin = subprocess.Popen([NARROWS, "origin", "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    base = origin.stdout.readline().decode().strip()
    try:
        with tempfile.TemporaryDirectory() as folder:
            python()
            for job in [bars, tardis, year]:
                if not arguments.jobs or job.__name__ in arguments.jobs:
                    job(base, folder, arguments.rounds)
    finally:
        origin.kill()
        origin.wait()


if __name__ == "__main__":
    main()
