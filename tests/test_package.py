"""The package as it is built: metadata, the marker for type checkers, and no need for any extra."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from importlib import resources
from pathlib import Path

import lavalink_sync

ROOT = Path(__file__).parent.parent
BASE = {"requests", "websocket-client", "dataclasses-json", "orjson"}


def setup_cfg() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def names(requirements: str) -> set[str]:
    return {line.split(">=")[0].split(";")[0].strip() for line in requirements.splitlines() if line.strip()}


def test_the_package_is_typed() -> None:
    assert resources.files(lavalink_sync).joinpath("py.typed").is_file()


def test_it_requires_what_was_asked_for_and_no_more() -> None:
    assert names(setup_cfg()["options"]["install_requires"]) == BASE


def test_importing_it_needs_no_extra() -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in {'h11', 'wsproto', 'mutagen', 'pytest', 'hypothesis', 'redis'}:\n"
        "            raise ImportError(name + ' is not installed')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import lavalink_sync\n"
        "print(len(lavalink_sync.__all__))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(lavalink_sync.__all__)


def test_the_development_node_says_which_extra_it_needs() -> None:
    code = "import sys; sys.modules['h11'] = None\nimport lavalink_sync.devnode"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "lavalink_sync[devnode]" in done.stderr


def test_the_redis_store_says_which_extra_it_needs_and_the_others_need_none() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from lavalink_sync.stores import FileStore, MemoryStore, SQLiteStore, Store\n"
        "from lavalink_sync.stores import RedisStore"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "lavalink_sync[redis]" in done.stderr
    assert "line 3" in done.stderr


def test_json_is_read_without_orjson_too() -> None:
    code = (
        "import sys; sys.modules['orjson'] = None\n"
        "from lavalink_sync import PlayerState\n"
        "print(PlayerState.from_json(PlayerState(1, 2, True, 3).to_json()).ping)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "3", done.stderr


def test_every_public_class_and_method_is_documented() -> None:
    undocumented = []
    for name in lavalink_sync.__all__:
        thing = getattr(lavalink_sync, name)
        if not isinstance(thing, type):
            continue
        if not thing.__doc__:
            undocumented.append(name)
        undocumented += [
            f"{name}.{attribute}"
            for attribute, value in vars(thing).items()
            if not attribute.startswith("_") and callable(value) and not getattr(value, "__doc__", None)
        ]
    assert not undocumented
