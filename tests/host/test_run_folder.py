# SPDX-License-Identifier: GPL-2.0-only
"""A lab's private folder, in a place that all users share.

Its contents may be removed, but nothing that somebody else has put under its name.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import labs

pytestmark = pytest.mark.once

# Runs a function of scripts/lab-folder.sh or guest.sh again and again. Each time, the
# folder's name is changed to lead elsewhere one step later, from before the first step to
# after the last.
SWAPPING = r"""
. scripts/guest.sh
RUN=$TMPDIR/seginfo-lab-$(id -u)-$PORT shm=$TMPDIR
LOGS=$TMPDIR/logs BUILD=$TMPDIR/build
step() {
	[[ $BASHPID != "$tried" ]] || ((++steps != at)) || {
		rm -rf -- "$RUN"
		mv -T -- "$TMPDIR/trap" "$RUN"
		: >"$TMPDIR/swapped"
	}
}
mkdir() { # a lab tries a hundred times to get its folder: a few will do
	((++made < 4)) || exit
	command mkdir "$@"
}
try() {
	tried=$BASHPID steps=0
	set -o functrace
	trap step DEBUG
	"$@"
}
for ((at = 1; at < 1000; at++)); do
	rm -rf -- "$TMPDIR/swapped" "$TMPDIR/trap" "$RUN"
	made=0
	mkdir -m 700 -- "$RUN"
	: >"$RUN/also"
	ln -s -- "$TRAP" "$TMPDIR/trap"
	(try "$@") >"$TMPDIR/output" 2>&1 </dev/null || true
	[[ -f $CANARY/file && -f $TRAP/file ]] || { echo "removed at step $at"; exit 1; }
	[[ -e $TMPDIR/swapped ]] || { echo "$((at - 1)) steps"; exit 0; }
done
"""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A folder that a lab must not remove."""
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "file").touch()
    return folder


def call(function: str, shared: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Call a function of scripts/guest.sh, with labs in another folder than /dev/shm."""
    steps = [". scripts/guest.sh", "shm=$TMPDIR", "RUN=$shm/${RUN##*/}", function]
    return labs.run("bash", "-c", "\n".join(steps), TMPDIR=shared, PORT=port)


def left_folder(shared: Path, port: int, mode: int, *also: object) -> Path:
    """Make a folder like a killed lab's, and return what must be removed with it."""
    folder = shared / labs.run_folder(port).name
    folder.mkdir(parents=True)
    folder.chmod(mode)
    names = [os.fsencode(str(path)) + b"\0" for path in also]
    (folder / "also").write_bytes(b"".join(names))
    return folder


@pytest.mark.parametrize("trap_mode", [0o755, 0o700])
@pytest.mark.parametrize("function", ["sweep", "start_lab"])
def test_a_name_that_leads_elsewhere_at_any_step(
    tmp_path: Path, canary: Path, function: str, trap_mode: int
) -> None:
    """It leads to a stranger's folder, or to another private folder of the user."""
    trap = left_folder(tmp_path / "elsewhere", 1, trap_mode, canary)
    (trap / "file").touch()
    shared = tmp_path / "shared"
    shared.mkdir()
    if os.geteuid() == 0 and trap_mode != 0o700:
        os.chown(trap, 65534, 65534)
    # sweeping, which comes before it looks at its own folder, is a case of its own
    alone = "sweep() { :; }\n" if function != "sweep" else ""
    settings = {"TMPDIR": shared, "PORT": 1, "TRAP": trap, "CANARY": canary}
    script = SWAPPING.replace("step()", alone + "step()", 1)
    ended = labs.run("bash", "-c", script, "bash", function, **settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout.split()[0]) > 10, ended.stdout


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o1700])
def test_a_folder_that_others_may_enter_is_no_lab_s(
    tmp_path: Path, canary: Path, mode: int
) -> None:
    folder = left_folder(tmp_path / "shared", 1, mode, canary)
    for port in (1, 2):
        call("start_lab", folder.parent, port)
        assert (canary / "file").exists() and (folder / "also").exists()


def test_a_link_for_the_list_is_not_read(tmp_path: Path, canary: Path) -> None:
    folder = left_folder(tmp_path / "shared", 1, 0o700)
    listed = tmp_path / "listed"
    listed.write_bytes(os.fsencode(canary) + b"\0")
    (folder / "also").unlink()
    (folder / "also").symlink_to(listed)
    assert call("sweep", folder.parent, 2).returncode == 0
    assert not folder.exists()
    assert listed.exists() and (canary / "file").exists()


def test_what_is_no_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / labs.run_folder(1).name)
    assert call("sweep", tmp_path, 2).returncode == 0


def test_what_cannot_be_removed_stops_no_start(tmp_path: Path, canary: Path) -> None:
    """It is reported once, and the rest is removed."""
    folder = left_folder(tmp_path / "shared", 1, 0o700, "/proc/version", canary)
    ended = call("start_lab", folder.parent, 2)
    assert ended.returncode == 0, ended.stderr
    [line] = ended.stderr.splitlines()
    assert "/proc/version" in line and line.endswith("remove it by hand.")
    assert not canary.exists() and not folder.exists()
    ended = call("start_lab", folder.parent, 2)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_room_is_what_is_not_promised_to_labs_of_this_user(tmp_path: Path) -> None:
    """Another user's file takes no room, however large it claims to be."""
    own = left_folder(tmp_path / "shared", 1, 0o700)
    strange = left_folder(tmp_path / "shared", 2, 0o755)
    links_to = left_folder(tmp_path / "elsewhere", 3, 0o700)
    (strange.parent / labs.run_folder(3).name).symlink_to(links_to)
    for folder, size in ((own, 1 << 20), (strange, 1 << 40), (links_to, 1 << 40)):
        with open(folder / "ram", "wb") as file:
            file.truncate(size)
    if os.geteuid() == 0:
        os.chown(strange, 65534, 65534)
    else:
        (strange / "ram").unlink()  # it takes root to be somebody else
    free_and_room = "free_in() { echo 10000000; }; room_in $shm"
    ended = call(free_and_room, own.parent, 4)
    assert ended.stdout.split() == [str(10000000 - (1 << 20))], ended.stderr
