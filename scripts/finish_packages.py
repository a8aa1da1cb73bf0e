"""Makes installed packages ready for an image: finish_packages.py CACHE [AHEAD]

Takes out what nothing in an image can use, then compiles the rest: containers run with a read-only root, so that
bytecode which is not there now would be compiled at every start. Bytecode is kept in CACHE. AHEAD is a folder that the
packages have been linked into: what will be needed of them is compiled and nothing else is done, while there is nothing
better to do.
"""

import os
import re
import shutil
import struct
import sys
import sysconfig
import time
from importlib.util import cache_from_source
from pathlib import Path

import compile_code

# Where packages are in an image, whatever is compiled ahead of it.
PLACE = Path("/opt/venv/lib/python{}.{}/site-packages".format(*sys.version_info))

# Large packages whose own tests are folders that nothing else imports. Named one by one, because there are packages
# that import theirs.
TESTED = (
    "joblib", "matplotlib", "mpmath", "networkx", "numba", "numpy", "pandas", "pyarrow", "scipy", "setuptools", "sklearn",
    "sympy",
)  # fmt: skip
# What else is removed, relative to site-packages, and why: only what no program can use where there is no compiler.
USELESS = {
    "pyarrow/include": "headers",
    "torch/bin/protoc*": "a compiler for files that torch no longer reads",
    "torch/include": "headers",
    "torch/share": "files for CMake",
    "triton/backends/nvidia/lib/**/*.a": "static libraries",
    "nvidia/cusolver/lib/libcusolverMg.so.*": "a solver for several GPUs that nothing links or loads, torch included",
}


# Of several hundred families of models, or languages to be coloured, a program loads one, which costs it a fraction of a
# second at its start. All of the models would be half of the bytecode of the gpu image. The others serve tests, builds,
# experiments, Python 2, fonts in PDF files and physicists.
NOT_COMPILED = re.compile(
    "/(transformers/models|pygments/lexers|torch/testing|numpy/(distutils|f2py)|sympy/physics|trl/experimental"
    "|fontTools|future)/",
)


def size(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(entry.lstat().st_size for entry in path.rglob("*") if not entry.is_dir())


def other_cuda(packages: Path) -> list[Path]:
    """Variants of bitsandbytes for other releases of CUDA than torch's, of which it loads one by its name."""
    version = packages / "torch/version.py"
    own = version.exists() and re.search(r"^cuda[^=]*= '(\d+)\.(\d+)'", version.read_text(), re.MULTILINE)
    if not own:
        return []
    variants = packages.glob("bitsandbytes/libbitsandbytes_*.so")
    kept = {f"libbitsandbytes_cuda{own[1]}{own[2]}.so", "libbitsandbytes_cpu.so"}
    return [path for path in variants if path.name not in kept]


def without_debug_info(library: Path) -> int:
    """Cuts debug information off the end of a shared library; returns the number of bytes.

    What is loaded is described by the program header alone. The section headers and whatever lies behind the last byte
    that is loaded serve linkers and debuggers. A library whose last part is loaded keeps everything.
    """
    # A library of the parent is left alone: opening it for writing would copy it into this image.
    with library.open("rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
            return 0
        segments, sections = struct.unpack_from("<QQ", head, 32)
        segment_size, segment_count, section_size, section_count, names_at = struct.unpack_from("<5H", head, 54)
        file.seek(sections + names_at * section_size)
        names = struct.unpack("<IIQQQQ", file.read(40))
        file.seek(names[4])
        if section_count == 0 or b".debug_info" not in file.read(names[5]):
            return 0
        file.seek(segments)
        table = file.read(segment_size * segment_count)
        end = segments + len(table)
        for at in range(0, len(table), segment_size):
            offset, length = struct.unpack_from("<Q", table, at + 8)[0], struct.unpack_from("<Q", table, at + 32)[0]
            end = max(end, offset + length)
        before = file.seek(0, os.SEEK_END)
    if end >= before:
        return 0
    with library.open("r+b") as file:
        file.seek(40)
        file.write(bytes(8))
        file.seek(60)
        file.write(bytes(4))
        file.truncate(end)
        return before - end


def remove_useless(packages: Path) -> int:
    """Returns the number of bytes."""
    patterns = [f"{package}/**/tests" for package in TESTED] + list(USELESS)
    useless = [path for pattern in patterns for path in packages.glob(pattern)] + other_cuda(packages)
    freed = 0
    for path in useless:
        # A folder of tests may hold another one.
        if not os.path.lexists(path):
            continue
        freed += size(path)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return freed


def to_compile(packages: Path, cache: Path) -> list[tuple[str, str, Path]]:
    """Every module without bytecode, as it will be known, with its place in the cache; those of the parent have theirs."""
    jobs = []
    for folder, _, names in os.walk(packages):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".py") and not NOT_COMPILED.search(path) and not os.path.exists(cache_from_source(path)):
                shown = str(PLACE / os.path.relpath(path, packages))
                jobs.append((path, shown, compile_code.entry_of(path, shown, cache)))
    return jobs


def put(source: str, entry: Path) -> None:
    """Gives a module its bytecode, which is checked by the module's time and size, as that of installers is."""
    os.utime(entry)
    code = entry.read_bytes()
    if code:
        about = os.stat(source)
        target = cache_from_source(source)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        head = struct.pack("<III", 0, int(about.st_mtime) & 0xFFFFFFFF, about.st_size & 0xFFFFFFFF)
        Path(target).write_bytes(code[:4] + head + code[16:])


def main(cache: Path, ahead: str | None) -> None:
    cache.mkdir(exist_ok=True)
    if ahead:
        # Links only: nothing that they lead to is touched.
        remove_useless(Path(ahead))
        compile_code.fill(to_compile(Path(ahead), cache))
        return
    packages = Path(sysconfig.get_path("purelib"))
    freed = remove_useless(packages)
    freed += sum(without_debug_info(library) for library in packages.glob("triton/_C/*.so"))
    print(f"removed {freed / 1e6:.0f} MB that nothing in a container can use")

    started = time.monotonic()
    jobs = to_compile(packages, cache)
    compile_code.fill(jobs)
    for source, _, entry in jobs:
        put(source, entry)
    compile_code.forget_the_old(cache)
    print(f"{len(jobs)} modules have bytecode after {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
