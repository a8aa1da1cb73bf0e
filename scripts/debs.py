"""Unpacks the packages that apt has downloaded as far as that can be done ahead: debs.py ARCHIVES REPOSITORY

The files in a package are compressed, and undoing that takes apt a third of its time. REPOSITORY gets every package of
ARCHIVES with its files as they are, and an index, so that apt can install from it and needs no other. What apt downloads
it checks against its signed lists.
"""

import gzip
import hashlib
import io
import lzma
import shutil
import sys
import tarfile
from pathlib import Path
from typing import BinaryIO

# A package is an archive of ar: this, and for each part a line of 60 bytes, the part, and one more byte if its length is
# odd. deb(5) knows data.tar as it is, too; what is compressed in another way stays so.
MAGIC = b"!<arch>\n"
HEAD = 60
OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def parts(deb: BinaryIO) -> list[tuple[bytes, int, int]]:
    """The first line of each part, with the place and length of what follows."""
    if deb.read(len(MAGIC)) != MAGIC:
        raise ValueError("not a package")
    found = []
    while head := deb.read(HEAD):
        length = int(head[48:58])
        found.append((head, deb.tell(), length))
        deb.seek(length + length % 2, io.SEEK_CUR)
    return found


def control(text: bytes) -> str:
    """What a package says of itself, from the part that holds it."""
    with tarfile.open(fileobj=io.BytesIO(text)) as archive:
        return archive.extractfile("./control").read().decode().strip()


def unpack(source: Path, target: Path) -> str:
    """Writes the package with its files as they are; returns its entry in the index."""
    about = ""
    with source.open("rb") as deb, target.open("w+b") as out:
        out.write(MAGIC)
        for head, at, length in parts(deb):
            deb.seek(at)
            name = head[:16].decode().strip().removesuffix("/")
            stem, suffix = name.removesuffix(Path(name).suffix), Path(name).suffix
            start = out.tell() + HEAD
            if stem == "data.tar" and suffix in OPENERS:
                out.write(bytes(HEAD))
                with OPENERS[suffix](io.BytesIO(deb.read(length))) as files:
                    shutil.copyfileobj(files, out, 1 << 20)
                length = out.tell() - start
                out.seek(start - HEAD)
                out.write(stem.encode().ljust(16) + head[16:48] + str(length).encode().ljust(10) + head[58:])
                out.seek(0, io.SEEK_END)
            else:
                text = deb.read(length)
                about = control(text) if stem == "control.tar" else about
                out.write(head + text)
            out.write(b"\n" * (length % 2))
        size = out.tell()
        out.seek(0)
        digest = hashlib.sha256(out.read()).hexdigest()
    return f"{about}\nFilename: ./{target.name}\nSize: {size}\nSHA256: {digest}\n"


def main(archives: Path, repository: Path) -> None:
    repository.mkdir(exist_ok=True)
    # The colon of an epoch is "%3a" in a file's name, which apt would take for a part of an address and undo.
    packages = {deb.name.replace("%", "_"): deb for deb in sorted(archives.glob("*.deb"))}
    for stale in repository.iterdir():
        if stale.name.removesuffix(".entry") not in packages:
            stale.unlink()
    entries = []
    for name, deb in packages.items():
        entry = repository / f"{name}.entry"
        # Written last: what there is of a package without it is not whole.
        if not entry.exists():
            entry.write_text(unpack(deb, repository / name), encoding="utf-8")
        entries.append(entry.read_text(encoding="utf-8"))
    (repository / "Packages").write_text("\n".join(entries), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
