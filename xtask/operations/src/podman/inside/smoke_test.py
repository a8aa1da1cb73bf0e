"""Imports every top-level module of the named packages: smoke_test.py PACKAGE...

They are those that an image adds to its parent. An image whose packages do not import is worthless, and the place to find
out is the end of its build. All failures are reported together, each with its package, module and error. No GPU is needed.
"""

import importlib
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import PurePosixPath

# Folders that some wheels drop next to their package by mistake: they are not meant to be imported.
NOT_MODULES = {"benchmarks", "docs", "examples", "scripts", "test", "tests"}
# Modules that cannot be imported in a container without a screen, a GPU and compilers, and why.
NOT_HERE = {
    "antigravity": "opens a web browser",
    "deepspeed": "looks for the CUDA compiler",
    "mouseinfo": "needs a screen",
    "pyautogui": "needs a screen",
    "pynput": "needs a screen",
    "tensorrt": "needs the driver of a GPU",
}


def modules(package: str) -> list[str]:
    """The top-level modules a package installed, from the record of its files."""
    found = set()
    for file in distribution(package).files or []:
        path = PurePosixPath(file)
        is_code = path.suffix in {".py", ".so"}
        if not is_code or path.parts[0] == ".." or path.name.startswith("__editable__"):
            continue
        # An extension module carries its ABI before the suffix: _webrtcvad.cpython-311-x86_64-linux-gnu.so
        top = path.parts[0] if len(path.parts) > 1 else path.name.split(".")[0]
        # Folders such as "numpy.libs" hold shared libraries, not modules.
        if top.isidentifier() and top not in NOT_MODULES:
            found.add(top)
    return sorted(found)


def failures(package: str) -> list[str]:
    try:
        tops = modules(package)
    except PackageNotFoundError:
        return [f"{package}: not installed"]
    failed = []
    for module in tops:
        if module in NOT_HERE:
            print(f" (not {module}: it {NOT_HERE[module]})", end="")
            continue
        try:
            importlib.import_module(module)
        except BaseException as error:  # some modules exit or raise their own kind of error when a library is missing
            failed.append(f"{package}: import {module}: {type(error).__name__}: {error}")
    return failed


def main(packages: list[str]) -> int:
    failed = []
    for package in packages:
        started = time.monotonic()
        # Said beforehand, so that the last line names the culprit when an import takes the whole process down.
        print(f"import {package}", end="", flush=True)
        found = failures(package)
        print(" failed" if found else f" {time.monotonic() - started:.2f} s", flush=True)
        failed += found
    for failure in failed:
        print(f"smoke test: {failure}", file=sys.stderr)
    print(f"{len(packages)} packages, {len(failed)} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
