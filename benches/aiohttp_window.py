"""A sliding window over aiohttp: LIST LIMIT. Each file whole in memory, unzipped if it is a zip,
its lines counted, and dropped."""

import asyncio
import io
import sys
import zipfile

import aiohttp


async def count(session, url):
    async with session.get(url) as response:
        response.raise_for_status()
        body = await response.read()
    if ".zip" in url:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            body = archive.read(archive.namelist()[0])
    return body.count(b"\n") + (not body.endswith(b"\n") and bool(body))


async def main(path, limit):
    lines = 0
    running = set()
    connector = aiohttp.TCPConnector(limit=limit)
    async with aiohttp.ClientSession(connector=connector) as session:
        with open(path) as urls:
            for url in urls:
                if len(running) >= limit:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    lines += sum(task.result() for task in done)
                running.add(asyncio.create_task(count(session, url.strip())))
        lines += sum(await asyncio.gather(*running))
    print(lines)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
