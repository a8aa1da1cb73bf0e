"""Imports sets of modules, each in a fresh process: cold_import.py SET...

A set is a comma-separated list, what one kind of agent imports at its start. Prints one JSON object: "failures", each
with the "set" (its position), the "module" and the "error". What libraries print is dropped.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

# Seconds for one set. Large libraries take ten on a slow disk.
DEADLINE = 120
AT_ONCE = 2
TEXT_MAX = 500

CHILD = """
import importlib, json, os, sys
report = os.fdopen(int(sys.argv[1]), "w", buffering=1)
for module in sys.argv[2:]:
    report.write(json.dumps([module, None]) + "\\n")
    try:
        importlib.import_module(module)
    except BaseException as error:
        report.write(json.dumps([module, f"{type(error).__name__}: {error}"]) + "\\n")
# Threads that a library has started must not keep the process, nor its exit fail.
report.flush()
os._exit(0)
"""


def failures(number: int, modules: list[str]) -> list[dict]:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", CHILD, str(writing), *modules]
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command, pass_fds=[writing], stdin=quiet, stdout=quiet, stderr=quiet)
    os.close(writing)
    with os.fdopen(reading) as report, ThreadPoolExecutor(1) as reader:
        lines = reader.submit(report.readlines)
        try:
            code = child.wait(DEADLINE)
            how = f"the process ended with {code}" if code >= 0 else f"the process died of signal {-code}"
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            how = f"no end within {DEADLINE} s"
            code = None
        said = [json.loads(line) for line in lines.result()]
    found = {module: error for module, error in said if error}
    if code != 0:
        # The one that was announced last, or the first if none was.
        last = said[-1][0] if said else modules[0]
        found.setdefault(last, how)
    return [{"set": number, "module": module, "error": found[module][:TEXT_MAX]} for module in modules if module in found]


def main(sets: list[str]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(failures, range(len(sets)), [one.split(",") for one in sets])
        print(json.dumps({"failures": [failure for result in results for failure in result]}))


if __name__ == "__main__":
    main(sys.argv[1:])
