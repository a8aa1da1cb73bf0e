"""What an agent's surroundings look like from inside its container: python3 -c THIS CONFIG

CONFIG is a JSON object: `port` (the agent's health port), `paths` (each with a `name` and a `path`), `gpu` (whether to
look for one) and `deadline_s`. Prints one JSON object; what was not known at the deadline is left out of it. Nothing
is changed, and nothing is imported that an agent's image may lack.
"""

import glob
import json
import os
import socket
import sys
import threading
import time

CONNECT_S = 1.0
# A folder is not walked further than this.
FILES_MAX = 2000
DEPTH_MAX = 4
# What lies in a folder that holds nothing of use.
NO_CONTENT = ("readme", "license", "licence", ".git", ".keep")


def outcome_of(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "unknown_name"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "unreachable"


def reach(host: str, port: int) -> dict:
    """Whether somebody takes connections there."""
    try:
        with socket.create_connection((host, port), CONNECT_S):
            return {"outcome": "open", "error": None}
    except OSError as error:
        return {"outcome": outcome_of(error), "error": str(error)}


def own_port(port: int) -> dict:
    """The same of the agent itself; `greets` if it starts to talk, as ZeroMQ does."""
    try:
        with socket.create_connection(("127.0.0.1", port), CONNECT_S) as connection:
            try:
                greets = bool(connection.recv(1))
            except OSError:
                greets = False
            return {"outcome": "open", "error": None, "greets": greets}
    except OSError as error:
        return {"outcome": outcome_of(error), "error": str(error), "greets": False}


def addresses() -> dict[str, tuple[str, int]]:
    """The variables that say where other agents are."""
    found = {}
    for name, value in os.environ.items():
        if not name.endswith("_ADDRESS") or not value.startswith("tcp://"):
            continue
        host, _, port = value.removeprefix("tcp://").rpartition(":")
        if host and host != "*" and port.isdigit() and int(port) < 65536:
            found[name] = (host.strip("[]"), int(port))
    return found


def look_at(path: str) -> dict:
    """Whether this user can use a file or a folder, and how much is in it."""
    try:
        is_folder = os.path.isdir(path)
        os.stat(path)
    except PermissionError as error:
        return {"kind": "unknown", "readable": False, "files": 0, "bytes": 0, "unreadable": path, "error": str(error)}
    except OSError as error:
        return {"kind": "missing", "readable": False, "files": 0, "bytes": 0, "unreadable": None, "error": str(error)}
    if not is_folder:
        readable = os.access(path, os.R_OK)
        size = os.path.getsize(path)
        return {"kind": "file", "readable": readable, "files": 1, "bytes": size, "unreadable": None, "error": None}
    found = {"kind": "folder", "readable": os.access(path, os.R_OK | os.X_OK), "files": 0, "bytes": 0, "unreadable": None, "error": None}
    for folder, folders, files in os.walk(path):
        if folder.count(os.sep) - path.count(os.sep) >= DEPTH_MAX:
            folders.clear()
        for name in sorted(folders):
            if not os.access(os.path.join(folder, name), os.R_OK | os.X_OK):
                found["unreadable"] = found["unreadable"] or os.path.join(folder, name)
        for name in sorted(files):
            if name.lower().startswith(NO_CONTENT):
                continue
            whole = os.path.join(folder, name)
            found["files"] += 1
            try:
                found["bytes"] += os.path.getsize(whole)
            except OSError:
                pass
            if not os.access(whole, os.R_OK):
                found["unreadable"] = found["unreadable"] or whole
            if found["files"] >= FILES_MAX:
                return found
    return found


def free_mb() -> dict[str, int]:
    """What is left where this user may write."""
    left = {}
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        targets = [line.split()[1] for line in mounts if line.split()[3].split(",")[0] == "rw"]
    for target in sorted(set(targets)):
        if target.startswith(("/proc", "/sys", "/dev")) or not os.access(target, os.W_OK):
            continue
        state = os.statvfs(target)
        if state.f_blocks:
            left[target] = state.f_bavail * state.f_frsize >> 20
    return left


def gpu() -> dict:
    """The devices that are here, and what NVIDIA's library says about them."""
    nodes = sorted(glob.glob("/dev/nvidia[0-9]*"))
    try:
        import ctypes

        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        code = nvml.nvmlInit_v2()
        if code:
            return {"nodes": nodes, "count": 0, "error": f"nvmlInit answers {code}"}
        count = ctypes.c_uint()
        nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        return {"nodes": nodes, "count": count.value, "error": None}
    except (ImportError, OSError, AttributeError) as error:
        return {"nodes": nodes, "count": len(nodes), "error": str(error)}


def main() -> None:
    config = json.loads(sys.argv[1])
    end = time.monotonic() + config["deadline_s"]
    result: dict = {"user": os.getuid(), "addresses": {}, "paths": {}, "targets": {}}
    lock = threading.Lock()
    work = []

    def note(where: dict, key: str, value) -> None:
        with lock:
            where[key] = value

    def job(where: dict, key: str, question, *arguments) -> None:
        def ask() -> None:
            try:
                value = question(*arguments)
            except Exception:
                return
            note(where, key, value)

        work.append(threading.Thread(target=ask, daemon=True))

    for name, (host, port) in addresses().items():
        result["targets"][name] = f"{host}:{port}"
        job(result["addresses"], name, reach, host, port)
    for item in config["paths"]:
        job(result["paths"], item["name"], look_at, item["path"])
    job(result, "own_port", own_port, config["port"])
    job(result, "free_mb", free_mb)
    if config["gpu"]:
        job(result, "gpu", gpu)
    for thread in work:
        thread.start()
    for thread in work:
        thread.join(max(0.0, end - time.monotonic()))
    with lock:
        print(json.dumps(result), flush=True)
    # A look-up of a name or a dead file system may still hold a thread.
    os._exit(0)


main()
