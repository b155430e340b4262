#!/usr/bin/env python3
"""Writes small valid files for the fuzzer to start from, into corpus/."""

import gzip
import io
import os
import zipfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")

# Two frames of RFC 8878 by hand: a raw block, and an RLE block with a content size.
ZSTD = [b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello", b"\x28\xb5\x2f\xfd\x20\x09\x4b\x00\x00a"]


class Stream(io.RawIOBase):
    """Cannot seek, so that the writer uses data descriptors."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def write(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as file:
        file.write(data)


def main():
    text = b"a\tb\n" * 20
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for entries in (0, 1, 3):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", method) as archive:
                for index in range(entries):
                    archive.writestr(f"d/{index}.csv", text * index)
            write("zip", f"{method}-{entries}", out.getvalue())
    out = Stream()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("é.csv", text)
        with archive.open("big.csv", "w", force_zip64=True) as entry:
            entry.write(text)
    write("zip", "descriptors", out.bytes)
    one = gzip.compress(text)
    for name, data in {"one": one, "two": one + gzip.compress(b""), "empty": gzip.compress(b"")}.items():
        write("gzip", name, data)
    named = io.BytesIO()
    with gzip.GzipFile("name.csv", "wb", fileobj=named) as file:
        file.write(text)
    write("gzip", "named", named.getvalue())
    for index, data in enumerate(ZSTD):
        write("zstd", str(index), data)
    rows = [b'a,1,2.5\n"b, ""c""",-7,1e3\n', b"1,61000.27,0.5,1,2,1704067200095,true\n2,1,1,3,3,1704067200096,False\n",
            b"\xef\xbb\xbfx,1,.5\r\n\r\ny,2,5.\r\n"]
    for index, data in enumerate(rows):
        for which in range(6):
            write("rows", f"{index}-{which}", bytes([which, 16]) + data)


main()
