"""What an agent is told: its environment variables, and `config/agents.json` where that exists."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from main_pc_code.common.log import LEVELS
from main_pc_code.common.messages import MAX_FRAME_BYTES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG_PATH = os.path.join(ROOT, "config", "agents.json")
LOG_FOLDER = os.path.join(ROOT, "logs")
DATA_FOLDER = os.path.join(ROOT, "data")
MODEL_FOLDER = os.path.join(ROOT, "models")

LIMITS = {"register_interval_s": (1, 3600), "max_request_bytes": (1024, MAX_FRAME_BYTES)}


class StartError(Exception):
    """A reason why an agent cannot start; the text is for whoever deployed it."""


class Config(NamedTuple):
    """`config/agents.json`, shared by all agents."""

    log_level: str = "info"
    register_interval_s: float = 30
    max_request_bytes: int = 1024 * 1024


class Settings(NamedTuple):
    """One agent's settings. `peers` maps names such as `COORDINATOR_AGENT` to addresses."""

    port: int
    health_port: int
    publish_port: int | None
    bind_address: str
    data_folder: str
    peers: dict[str, str]
    environment: Mapping[str, str]
    config: Config


def read_settings(
    environment: Mapping[str, str], default_port: int, default_publish_port: int | None = None
) -> Settings:
    """Environment variables that are absent or empty get their defaults; the health port is the main port + 1.

    An agent without a default for its publish port has none.
    """
    port = _port(environment, "PORT", default_port)
    return Settings(
        port=port,
        health_port=_port(environment, "HEALTH_CHECK_PORT", port + 1),
        publish_port=default_publish_port and _port(environment, "PUBLISH_PORT", default_publish_port),
        bind_address=environment.get("BIND_ADDRESS") or "*",
        data_folder=environment.get("DATA_FOLDER") or DATA_FOLDER,
        peers={
            key.removesuffix("_ADDRESS"): value
            for key, value in sorted(environment.items())
            if key.endswith("_ADDRESS") and value.startswith("tcp://")
        },
        environment=environment,
        config=read_config(CONFIG_PATH),
    )


def read_config(path: str) -> Config:
    """The defaults if there is no such file; StartError if it cannot be used."""
    try:
        with open(path, "rb") as file:
            values = json.load(file)
    except FileNotFoundError:
        return Config()
    except (OSError, ValueError) as error:
        raise StartError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise StartError(f"{path}: expected a JSON object")
    for key, value in values.items():
        if problem := _config_problem(key, value):
            raise StartError(f"{path}: `{key}`: {problem}")
    return Config(**values)


def _config_problem(key: str, value: Any) -> str | None:
    if key == "log_level":
        return None if value in LEVELS else f"expected one of {', '.join(LEVELS)}"
    if key not in LIMITS:
        return f"unknown key; known are {', '.join(Config._fields)}"
    low, high = LIMITS[key]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if is_number and low <= value <= high else f"expected a number from {low} to {high}"


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise StartError(f"{variable}: `{text}` is not a port number from 1 to 65535")
    return int(text)
