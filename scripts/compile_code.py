"""Makes a tree of code ready for containers with a read-only root: compile_code.py TREE CACHE

Every file becomes readable, every folder searchable, and every module gets its bytecode, which would otherwise be
compiled at every start. Bytecode is kept in CACHE under a digest of the source, so that after a small change only the
changed files are compiled. It is checked against its source by content when it is imported, because a file may be
mounted over the one that was compiled. A real monorepo holds files that do not parse: they get no bytecode, and saying
so is left to the scan.
"""

import hashlib
import os
import py_compile
import shutil
import sys
import time
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

DAYS_KEPT = 30
# Starting other processes takes longer than compiling fewer files than this.
WORTH_A_POOL = 20


def compile_one(job: tuple[str, str, Path]) -> None:
    """Compiles a file, which will be known by another path, into the cache; what does not compile leaves an empty entry,
    so that it is not tried again."""
    source, shown, entry = job
    partial = entry.with_suffix(f".{os.getpid()}")
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    try:
        py_compile.compile(source, str(partial), dfile=shown, doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, ValueError, RecursionError, MemoryError):
        partial.write_bytes(b"")
    # A whole entry or none: builds that run at the same time share the cache.
    partial.replace(entry)


def open_up(path: str, bits: int) -> None:
    mode = os.stat(path).st_mode
    if mode & bits != bits:
        os.chmod(path, mode | bits)


def entry_of(source: str, shown: str, cache: Path) -> Path:
    """Where the bytecode of a file is kept. The path is part of it because tracebacks show the path that was compiled."""
    digest = hashlib.sha256(MAGIC_NUMBER + shown.encode(errors="surrogateescape") + b"\0")
    with open(source, "rb") as file:
        digest.update(file.read())
    return cache / digest.hexdigest()


def fill(jobs: list[tuple[str, str, Path]]) -> None:
    """Compiles what the cache does not have yet."""
    missing = [job for job in jobs if not job[2].exists()]
    if len(missing) < WORTH_A_POOL:
        for job in missing:
            compile_one(job)
    else:
        # Imported when it is needed, which takes longer than compiling a file.
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor() as pool:
            list(pool.map(compile_one, missing, chunksize=10))


def forget_the_old(cache: Path) -> None:
    too_old = time.time() - DAYS_KEPT * 24 * 3600
    for entry in cache.iterdir():
        if entry.is_file() and entry.stat().st_mtime < too_old:
            entry.unlink(missing_ok=True)


def prepare(tree: str, cache: Path) -> dict[str, Path]:
    """Opens up everything in the tree; returns its Python files, each with its entry in the cache."""
    entries = {}
    for folder, _, files in os.walk(tree):
        open_up(folder, 0o555)
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            open_up(path, 0o444)
            if name.endswith(".py"):
                entries[path] = entry_of(path, path, cache)
    return entries


def main(tree: str, cache: Path) -> None:
    entries = prepare(tree, cache)
    fill([(path, path, entry) for path, entry in entries.items()])
    for path, entry in entries.items():
        os.utime(entry)
        if entry.stat().st_size:
            target = cache_from_source(path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(entry, target)
    forget_the_old(cache)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
