# SPDX-License-Identifier: GPL-2.0-only
"""Check which files of this machine the lab opens for which names, without gdb.

    host_names.py FOLDER

FOLDER is empty, and BUILD in the environment is FOLDER/build.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gdb"))
from lab.target import hostfiles  # noqa: E402

FOLDER = Path(sys.argv[1])
SHARE = FOLDER / "build" / "share"
opened: list[tuple[str, int]] = []
open_ = os.open


def noted(path, flags, *more, **given):
    """Note the call of os.open(), by which the lab opens files."""
    opened.append((str(path), flags))
    return open_(path, flags, *more, **given)


def why_not(read, path) -> str:
    try:
        read(path)
    except hostfiles.Unfit as why:
        return str(why)
    raise AssertionError(f"{path} was read")


SHARE.mkdir(parents=True)
(SHARE / "plain").write_bytes(b"plain")
(FOLDER / "secret").write_bytes(b"secret")
(SHARE / "out").symlink_to(FOLDER / "secret")
(SHARE / "in").symlink_to("plain")
(SHARE / "up").symlink_to("..")
os.mkfifo(SHARE / "pipe")
with open(SHARE / "large", "wb") as large:
    large.truncate(hostfiles.LARGEST + 1)

# The guest's names never lead out of the folders, and links are followed only within them
share = str(SHARE.resolve())


def in_share(name: str) -> list[str]:
    found = hostfiles.candidates(f"/mnt/host_share/{name}")
    return [path.removeprefix(f"{share}/") for path in found if path.startswith(share)]


def leads_to(name: str) -> set[str]:
    """Ignore build/user, where only the last part of a name counts."""
    found = hostfiles.candidates(name)
    return {path for path in found if Path(path).parent.name != "user"}


assert in_share("plain") == ["plain"] and in_share("in") == ["plain"]
for name in ("out", "up/secret", "../secret", "../../secret", "/etc/passwd", ".."):
    assert in_share(name) == [], name
    assert not any("secret" in path for path in leads_to(f"/mnt/host_share/{name}"))
for name in ("/dev/zero", "/etc/passwd", "/proc/kcore", str(FOLDER / "secret"), "/"):
    assert leads_to(name) == set(), name
for name in ("/usr/../etc/passwd", "/lib/../../etc/shadow", "/usr\0x", "", "x\udcff"):
    assert leads_to(name) == set(), name
assert leads_to("/bin/busybox") == {os.path.realpath("/bin/busybox")}

# Only regular files are read, and nothing else is opened except as a name (O_PATH)
os.open = noted
assert hostfiles.read_plain(f"{share}/plain") == b"plain"
read = [path for path, flags in opened if not flags & os.O_PATH]
assert len(read) == 1, read
assert why_not(hostfiles.read_plain, f"{share}/pipe") == "it is no regular file"
assert why_not(hostfiles.read_plain, "/dev/zero") == "it is no regular file"
assert why_not(hostfiles.read_plain, share) == "it is no regular file"
assert why_not(hostfiles.read_plain, f"{share}/in") == "it is no regular file"
assert why_not(hostfiles.read_plain, f"{share}/up/secret") == "Not a directory"
assert why_not(hostfiles.read, SHARE / "pipe") == "it is no regular file"
assert why_not(hostfiles.read, "/dev/zero") == "it is no regular file"
assert why_not(hostfiles.read, FOLDER / "nothing") == "No such file or directory"
assert [path for path, flags in opened if not flags & os.O_PATH] == read
for path in (f"{share}/large", SHARE / "large"):
    how = hostfiles.read if isinstance(path, Path) else hostfiles.read_plain
    assert why_not(how, path) == "it is larger than 256 MiB"
assert hostfiles.read(SHARE / "out") == b"secret", "the person may follow links"
assert len(os.listdir("/proc/self/fd")) < 10, "descriptors stay open"
