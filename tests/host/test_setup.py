# SPDX-License-Identifier: GPL-2.0-only
"""scripts/setup.sh on machines that lack something.

dpkg-query, apt-get, sudo and id are stand-ins: nothing is installed, and apt-get's
arguments are noted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from support import projects

pytestmark = pytest.mark.once

TOOLS = ("bash", "env", "sed", "awk", "dirname", "realpath", "setpriv", "cat")
SHARED = {
    "git",
    "perl",
    "python3",
    "python3-rich",
    "python3-numpy",
    "python3-pyelftools",
}
INSTALL = "apt-get -o DPkg::Lock::Timeout=120 -q install"


def wanted(name: str = "packages.txt") -> list[str]:
    """The packages of a list in scripts/."""
    table = (projects.ROOT / "scripts" / name).read_text()
    lines = (line.split("#")[0].strip() for line in table.splitlines())
    return [line for line in lines if line]


class Machine:
    """A PATH with only the tools named above and the stand-ins added to it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir(parents=True)
        self.log.touch()
        self.log.chmod(0o666)
        for name in TOOLS:
            found = projects.run("bash", "-c", f"command -v {name}").stdout.strip()
            (self.bin / name).symlink_to(found)

    def has(self, name: str, text: str) -> None:
        """Add a stand-in NAME that notes its arguments, then runs TEXT."""
        record = f"""echo "{name} $*" >>'{self.log}'"""
        projects.command(self.bin, name, f"{record}\n{text}")

    def installed(self, *packages: str) -> None:
        """Add a dpkg-query that knows these packages, with the real one's output."""
        known = "\n".join(f"{package} installed" for package in packages)
        projects.command(
            self.bin, "dpkg-query", f"echo '{known}\ngone not-installed'; exit 1"
        )

    def setup(self, *lists: str, **settings):
        """Run scripts/setup.sh here."""
        script = projects.ROOT / "scripts" / "setup.sh"
        return projects.run("bash", script, *lists, PATH=self.bin, **settings)

    def calls(self) -> list[str]:
        """Return the calls of the stand-ins, in order."""
        return self.log.read_text().splitlines()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine without xz-utils and gdb, open to any user."""
    with projects.open_folder() as folder:
        made = Machine(folder / "machine")
        made.installed(*(p for p in wanted() if p not in ("xz-utils", "gdb")))
        yield made


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.parametrize("name", ["packages.txt", "packages-checks.txt"])
def test_this_machine_is_set_up(name: str) -> None:
    """With the real dpkg: each package in the list is installed here."""
    result = projects.run(projects.ROOT / "scripts" / "setup.sh", name)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_nothing_missing_asks_nobody(machine: Machine) -> None:
    machine.installed(*wanted())
    result = machine.setup()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert machine.calls() == []


@as_root
def test_what_checks_need_is_no_part_of_running(machine: Machine) -> None:
    """`make debug` installs neither crash nor black, `make check` no QEMU, `make test` all."""
    machine.has("apt-get", "true")
    machine.installed()
    running, checks = wanted(), wanted("packages-checks.txt")
    assert {"qemu-system-x86", "gdb"} <= set(running) and "qemu" not in str(checks)
    assert {"crash", "black", "mypy", "python3-pytest"} <= set(checks)
    assert set(running) & set(checks) <= SHARED
    for lists, packages in (
        ((), running),
        (("packages-checks.txt",), checks),
        (("packages.txt", "packages-checks.txt"), [*running, *checks]),
    ):
        machine.log.write_text("")
        assert machine.setup(*lists).returncode == 0
        asked = machine.calls()[-1].removeprefix(
            f"{INSTALL} -y --no-install-recommends "
        )
        assert asked.split() == list(dict.fromkeys(packages))


def test_a_list_that_is_not_there(machine: Machine) -> None:
    result = machine.setup("packages-none.txt")
    assert result.returncode != 0
    assert "packages-none.txt" in result.stderr


@as_root
def test_missing_packages_are_installed(machine: Machine) -> None:
    machine.has("apt-get", 'echo "frontend $DEBIAN_FRONTEND"')
    result = machine.setup()
    assert result.returncode == 0, result.stderr
    assert result.stderr == "missing packages: xz-utils gdb\n"
    assert result.stdout == "frontend noninteractive\n"
    assert machine.calls() == [
        f"{INSTALL} --simulate xz-utils gdb",
        f"{INSTALL} -y --no-install-recommends xz-utils gdb",
    ]


@as_root
def test_lists_are_fetched_when_apt_knows_no_such_package(machine: Machine) -> None:
    machine.has("apt-get", '[[ "$*" != *--simulate* ]]')
    assert machine.setup().returncode == 0
    assert machine.calls()[1:] == [
        "apt-get -o DPkg::Lock::Timeout=120 -q update",
        f"{INSTALL} -y --no-install-recommends xz-utils gdb",
    ]


@as_root
def test_lists_are_fetched_when_they_are_stale(machine: Machine) -> None:
    """The archive has newer files than the lists name, so the first install fails."""
    (machine.bin / "grep").symlink_to("/usr/bin/grep")
    machine.has("apt-get", f"[[ $* != *-y* || $(grep -c -- -y '{machine.log}') != 1 ]]")
    assert machine.setup().returncode == 0
    assert [call.split()[4] for call in machine.calls()] == [
        "install",
        "install",
        "update",
        "install",
    ]


@as_root
@pytest.mark.parametrize("broken", ["update", "install"])
def test_apt_fails(machine: Machine, broken: str) -> None:
    machine.has("apt-get", f'echo "E: no"; [[ "$*" != *{broken}* && $* != *-s* ]]')
    result = machine.setup()
    assert result.returncode == 1
    assert "E: no" in result.stdout
    assert result.stderr.splitlines()[-1].startswith("error: apt-get")
    assert "try again" in result.stderr


@pytest.mark.parametrize("sudo", ["none", "asks for a password"])
def test_without_root_the_command_is_printed(machine: Machine, sudo: str) -> None:
    machine.has("apt-get", "true")
    if sudo != "none":
        machine.has("sudo", "exit 1")
    result = machine.setup(as_nobody=True)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        "sudo apt-get update && "
        "sudo apt-get install --no-install-recommends xz-utils gdb"
    )
    assert [call for call in machine.calls() if not call.startswith("sudo -n ")] == []


def test_sudo_without_password_is_used(machine: Machine) -> None:
    machine.has("apt-get", 'echo "frontend $DEBIAN_FRONTEND"')
    machine.has("sudo", '[[ $1 == -n ]] && shift && exec "$@"')
    (machine.bin / "true").symlink_to("/bin/true")
    result = machine.setup(as_nobody=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "frontend noninteractive\n"
    asked = [call for call in machine.calls() if call.startswith("sudo")]
    assert asked[-1].endswith("-y --no-install-recommends xz-utils gdb")
    assert all(call.startswith("sudo -n ") for call in asked)


def test_no_debian(machine: Machine) -> None:
    (machine.bin / "dpkg-query").unlink()
    result = machine.setup()
    assert result.returncode == 1
    assert "Debian 12" in result.stderr
