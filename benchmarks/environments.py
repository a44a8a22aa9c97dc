"""An environment of its own for each peer, in `.cache/bench` of the clone: a venv, or a folder of npm packages.

Made once, by package name, with pip and npm as they are configured; made anew when the packages of a peer change. One
that can't be made says why: the table shows that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
_PATIENCE = 300.0


@dataclass(frozen=True)
class Client:
    """One client: its module in `runners`, the packages it needs, what a user imports of it.

    One with an option that its users must know of (`only_rest`: another JSON parser) has a column of its own, for the
    measures of REST alone, and is not among those that the best is chosen of.
    """

    name: str
    runner: str
    packages: tuple[str, ...]
    imports: str
    language: str = "python"
    only_rest: bool = False


OURS = Client("lavalink_sync", "ours", (), "lavalink_sync")
BEFORE = Client("before", "ours", (), "lavalink_sync")
"""This package as it was at some commit; see `earlier`."""

BARE = Client("bare", "bare", (), "")
PEERS = (
    Client("Lavalink.py", "lavalinkpy", ("lavalink",), "lavalink"),
    Client("Wavelink", "wavelink", ("wavelink",), "wavelink"),
    Client("mafic", "mafic", ("mafic", "discord.py"), "mafic"),
    Client("mafic + orjson", "mafic", ("mafic", "discord.py", "orjson"), "mafic", only_rest=True),
    Client("pomice", "pomice", ("pomice", "discord.py"), "pomice"),
    Client("Shoukaku", "shoukaku", ("shoukaku",), "shoukaku", "javascript"),
    Client("lavalink-client", "lavalinkclient", ("lavalink-client",), "lavalink-client", "javascript"),
)


class UnavailableError(Exception):
    """A peer can't be run here; the text says why, in a few words."""


@dataclass(frozen=True)
class Environment:
    """Where a client runs: the start of its command line, its folder, the versions of what is in it.

    `home` is the working folder, from which Python takes `benchmarks` and this package.
    """

    client: Client
    command: tuple[str, ...]
    folder: Path
    versions: dict[str, str]
    home: Path = ROOT

    def run(self, measure: str, address: str, count: int) -> tuple[str, ...]:
        """The command of one run."""
        if self.client.language == "javascript":
            runner = str(ROOT / "benchmarks" / "runners" / f"{self.client.runner}.mjs")
            return (*self.command, runner, measure, address, str(count))
        return (*self.command, "-m", f"benchmarks.runners.{self.client.runner}", measure, address, str(count))

    def run_import(self) -> tuple[str, ...]:
        """The command that prints how many milliseconds the import took in a fresh process."""
        if self.client.language == "javascript":
            module = json.dumps(_main_file(self.folder, self.client.imports))
            text = f"const b = performance.now(); await import({module}); console.log(performance.now() - b)"
            return (self.command[0], "--input-type=module", "-e", text)
        clock = "time.perf_counter()"
        text = f"import time; b = {clock}; import {self.client.imports}; print(({clock} - b) * 1e3)"
        return (*self.command, "-c", text)


def environment(client: Client) -> Environment:
    """The client's environment, made if it is not there yet. Raises `UnavailableError`."""
    if not client.packages:
        return Environment(client, (sys.executable,), ROOT, {})
    folder = CACHE / (client.runner + "-orjson" * client.only_rest)
    if client.language == "javascript":
        return _node_environment(client, folder)
    if not _is_made(client, folder):
        _call(sys.executable, "-m", "venv", "--clear", str(folder))
        _call(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *client.packages)
        _note_made(client, folder)
    python = str(folder / "bin" / "python")
    listed = json.loads(_call(python, "-m", "pip", "list", "--format=json"))
    return Environment(client, (python,), folder, {entry["name"]: entry["version"] for entry in listed})


def earlier(commit: str) -> Environment:
    """This package as it was at `commit`, measured by the runners of today. Raises `UnavailableError`."""
    home = CACHE / f"before-{commit}"
    if not home.exists():
        home.mkdir(parents=True)
        archive = home / "archive.tar"
        _call("git", "-C", str(ROOT), "archive", "--output", str(archive), commit, "lavalink_sync")
        _call("tar", "-x", "-f", str(archive), "-C", str(home))
        archive.unlink()
        (home / "benchmarks").symlink_to(ROOT / "benchmarks")
    return Environment(BEFORE, (sys.executable,), home, {"commit": commit}, home)


def _node_environment(client: Client, folder: Path) -> Environment:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise UnavailableError("node or npm is not found")
    if not _is_made(client, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = ("--silent", "--no-audit", "--no-fund", "--cache", str(ROOT / ".cache" / "npm"))
        _call(npm, "install", *options, "--prefix", str(folder), *client.packages)
        _note_made(client, folder)
    versions = {
        name: json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        for name in client.packages
    }
    versions["node"] = _call(node, "--version").strip().lstrip("v")
    return Environment(client, (node, "--expose-gc"), folder, versions)


def _main_file(folder: Path, package: str) -> str:
    """The file that `import` of the package would load, for a program that is not in its folder."""
    home = folder / "node_modules" / package
    described = json.loads((home / "package.json").read_text())
    exported = described.get("exports", {})
    exported = exported.get(".", exported) if isinstance(exported, dict) else exported
    while isinstance(exported, dict) and exported:
        exported = exported.get("import") or exported.get("default") or next(iter(exported.values()))
    return str(home / (exported or described["main"]))


def _is_made(client: Client, folder: Path) -> bool:
    made = folder / "made-of.txt"
    return made.exists() and made.read_text() == " ".join(client.packages)


def _note_made(client: Client, folder: Path) -> None:
    (folder / "made-of.txt").write_text(" ".join(client.packages))


def _call(*command: str) -> str:
    # pip's cache stays in the clone, whoever runs this.
    variables = {**os.environ, "PIP_CACHE_DIR": str(ROOT / ".cache" / "pip"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no reason given").splitlines()[-1]
        raise UnavailableError(f"can't be installed: {last[:120]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"can't be installed: {type(error).__name__}") from error
    return done.stdout
