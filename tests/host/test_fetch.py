# SPDX-License-Identifier: GPL-2.0-only
"""scripts/fetch.sh and download.sh with good, bad and absent servers."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from support import projects
from support.projects import Project, serving

pytestmark = pytest.mark.once

NEW, OLD = "6.0.5", "5.10.223"
NEW_FILE, OLD_FILE = "linux-6.0.5.tar.xz", "linux_5.10.223.orig.tar.xz"


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, bytes]:
    """Two small tarballs with the names of the real ones."""
    folder = tmp_path / "packed"
    folder.mkdir()
    return {
        NEW_FILE: projects.tarball(folder, NEW),
        OLD_FILE: projects.tarball(folder, OLD),
    }


@pytest.fixture
def project(tmp_path: Path, packed: dict[str, bytes]) -> Project:
    """A project that pins the two tarballs, in a path with spaces."""
    copy = Project(tmp_path / "a path with spaces")
    copy.pin(
        (NEW, "kernel.org", "v6.x", NEW_FILE, packed[NEW_FILE]),
        (OLD, "debian-source", f"bullseye/linux={OLD}-1", OLD_FILE, packed[OLD_FILE]),
    )
    return copy


@pytest.fixture
def refused() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def part_of(project: Project) -> Path:
    """Return the path of the newer kernel's unfinished tarball."""
    return project.build / "downloads" / f"{NEW_FILE}.part"


def put_part(project: Project, data: bytes) -> None:
    """Leave DATA as the part that an earlier, interrupted download has got."""
    part_of(project).parent.mkdir(parents=True)
    part_of(project).write_bytes(data)


def assert_fetched(project: Project, version: str, packed: bytes) -> None:
    """Check that VERSION is unpacked, its tarball complete, and nothing else left."""
    makefile = project.source(version) / "Makefile"
    assert makefile.read_text() == f"# {version}\n"
    assert stat.S_IMODE(project.source(version).stat().st_mode) == 0o755
    assert [p.read_bytes() for p in (project.build / "downloads").iterdir()] == [packed]
    assert [p.name for p in (project.build / "sources").iterdir()] == [
        makefile.parent.name
    ]


def assert_nothing_kept(project: Project) -> None:
    """Check that no source, tarball, partial download or fallback choice is left."""
    left = [p for p in project.build.rglob("*") if p.is_file() and p.name != ".lock"]
    assert left == []


def assert_one_error(result, *words: str) -> None:
    """Check that the script failed with one sentence that contains all WORDS."""
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert result.stderr.splitlines()[-1] == errors[0]
    for word in words:
        assert word in errors[0]


def test_good_download(project: Project, packed: dict[str, bytes]) -> None:
    with serving(packed) as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert f"downloading {NEW_FILE} (0 MB) from {server.url}/" in result.stderr
    assert server.gets() == [""]
    assert_fetched(project, NEW, packed[NEW_FILE])
    assert not (project.build / "kernel").exists(), "an explicit choice is no default"


def test_second_fetch_asks_nobody(project: Project, packed: dict[str, bytes]) -> None:
    with serving(packed) as server:
        project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
        server.asked.clear()
        before = projects.files(project.build)
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert server.asked == []
    assert projects.files(project.build) == before


def test_mirror_may_end_with_a_slash(
    project: Project, packed: dict[str, bytes]
) -> None:
    with serving(packed) as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url + "/")
    assert result.returncode == 0, result.stderr
    assert {path for _, path, _ in server.asked} == {f"/{NEW_FILE}"}


def test_breaks_are_resumed(project: Project, packed: dict[str, bytes]) -> None:
    with serving(packed, "cuts") as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert result.returncode == 0, result.stderr
    step = len(packed[NEW_FILE]) // 4
    expected = [f"bytes={n * step}-" for n in range(5)]
    assert server.gets() == ["", *expected[1:]][: len(server.gets())]
    assert len(server.gets()) >= 4
    assert_fetched(project, NEW, packed[NEW_FILE])


def test_earlier_part_is_resumed(project: Project, packed: dict[str, bytes]) -> None:
    put_part(project, packed[NEW_FILE][:1000])
    with serving(packed) as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert result.returncode == 0, result.stderr
    assert server.gets() == ["bytes=1000-"]
    assert_fetched(project, NEW, packed[NEW_FILE])


@pytest.mark.parametrize("manners", ["good", "whole"])
@pytest.mark.parametrize("part", ["begin", "all", "longer", "other begin", "other all"])
def test_any_part_ends_right(
    project: Project, packed: dict[str, bytes], part: str, manners: str
) -> None:
    """Whatever .part contains, and whether or not the server supports ranges."""
    data = packed[NEW_FILE]
    put_part(
        project,
        {
            "begin": data[:1000],
            "all": data,
            "longer": data + b"more",
            "other begin": b"?" * 1000,
            "other all": b"?" * len(data),
        }[part],
    )
    with serving(packed, manners) as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert result.returncode == 0, result.stderr
    assert len(server.gets()) <= 2
    assert_fetched(project, NEW, data)


@pytest.mark.parametrize("kernel", [NEW, ""])
def test_wrong_hash(project: Project, packed: dict[str, bytes], kernel: str) -> None:
    """The error names both hashes, and no other kernel is used instead."""
    wrong = {NEW_FILE: b"not " + packed[NEW_FILE], OLD_FILE: packed[OLD_FILE]}
    with serving(wrong) as server:
        result = project.run("fetch.sh", KERNEL=kernel, KERNEL_MIRROR=server.url)
    hashes = (projects.sha256(wrong[NEW_FILE]), projects.sha256(packed[NEW_FILE]))
    assert_one_error(result, *hashes, "KERNEL_MIRROR")
    assert_nothing_kept(project)


def test_wrong_hash_of_a_tarball_that_was_here(
    project: Project, packed: dict[str, bytes]
) -> None:
    tarball = project.build / "downloads" / NEW_FILE
    tarball.parent.mkdir(parents=True)
    tarball.write_bytes(b"damaged")
    result = project.run("fetch.sh", KERNEL=NEW)
    hashes = (projects.sha256(b"damaged"), projects.sha256(packed[NEW_FILE]))
    assert_one_error(result, *hashes, str(tarball))
    assert_nothing_kept(project)


def test_tarball_that_is_here_is_used(
    project: Project, packed: dict[str, bytes], refused: str
) -> None:
    """Without KERNEL too: 6.0.5 is here, so it is selected."""
    tarball = project.build / "downloads" / NEW_FILE
    tarball.parent.mkdir(parents=True)
    tarball.write_bytes(packed[NEW_FILE])
    result = project.run("fetch.sh", KERNEL_MIRROR=refused)
    assert result.returncode == 0, result.stderr
    assert_fetched(project, NEW, packed[NEW_FILE])


def test_damaged_archive_leaves_nothing_unpacked(project: Project) -> None:
    """Its hash is right, but tar cannot read all of it."""
    broken = {NEW_FILE: b"\xfd7zXZ\0 and then nothing of the kind"}
    project.pin((NEW, "kernel.org", "v6.x", NEW_FILE, broken[NEW_FILE]))
    with serving(broken) as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert_one_error(result, "could not be unpacked")
    assert list((project.build / "sources").iterdir()) == []


def test_never_whole(project: Project, packed: dict[str, bytes]) -> None:
    """Always cut at the same place: the download fails, and the part is kept."""
    with serving(packed, "dead") as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert_one_error(result, NEW, "KERNEL_MIRROR", "KERNEL_SRC")
    assert len(server.gets()) == 2
    data = packed[NEW_FILE]
    assert part_of(project).read_bytes() == data[: len(data) // 4]
    assert not (project.build / "sources").exists()


def test_silent_server(project: Project, packed: dict[str, bytes]) -> None:
    with serving(packed, "stalls") as server:
        result = project.run(
            "fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url, DOWNLOAD_STALL=1, limit=20
        )
    assert_one_error(result, NEW, "too slow")
    assert not (project.build / "sources").exists()


def test_ctrl_c_keeps_what_has_come(project: Project, packed: dict[str, bytes]) -> None:
    with serving(packed, "drips") as server:
        process = project.start("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
        projects.wait_for(lambda: part_of(project).exists())
        projects.wait_for(lambda: part_of(project).stat().st_size > 20_000)
        assert projects.interrupt(process) != 0
    got = part_of(project).read_bytes()
    assert packed[NEW_FILE].startswith(got)
    assert not (project.build / "sources").exists()
    with serving(packed) as server:
        result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert result.returncode == 0, result.stderr
    assert server.gets() == [f"bytes={len(got)}-"]
    assert_fetched(project, NEW, packed[NEW_FILE])


def test_two_at_once(project: Project, packed: dict[str, bytes]) -> None:
    """The second waits and finds the work done."""
    with serving(packed, "drips") as server:
        both = [
            project.start("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=30)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("waiting until it is done" in output for output in outputs) == 1
    assert server.gets() == [""]
    assert_fetched(project, NEW, packed[NEW_FILE])


def test_refused_is_an_error_if_the_kernel_was_named(
    project: Project, refused: str
) -> None:
    result = project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=refused)
    assert_one_error(result, NEW, refused, NEW_FILE, "KERNEL_SRC")
    assert_nothing_kept(project)


def test_unset_kernel_takes_the_newer(
    project: Project, packed: dict[str, bytes]
) -> None:
    with serving(packed) as server:
        result = project.run("fetch.sh", KERNEL_MIRROR=server.url)
    assert result.returncode == 0, result.stderr
    assert_fetched(project, NEW, packed[NEW_FILE])
    assert project.lib("kernel_name").stdout == f"{NEW}\n"
    assert not (project.build / "kernel").exists()


def test_fallback_is_said_once_and_remembered(
    project: Project, packed: dict[str, bytes]
) -> None:
    with serving({OLD_FILE: packed[OLD_FILE]}) as server:
        result = project.run("fetch.sh", KERNEL_MIRROR=server.url)
        assert result.returncode == 0, result.stderr
        lines = [line for line in result.stderr.splitlines() if "vm_next" in line]
        assert len(lines) == 1
        for word in (NEW, OLD, "404", "KERNEL=6.0.5", "KERNEL_MIRROR", "KERNEL_SRC"):
            assert word in lines[0]
        assert (project.build / "kernel").read_text() == f"{OLD}\n"
        assert_fetched(project, OLD, packed[OLD_FILE])
        assert project.lib("kernel_name").stdout == f"{OLD}\n"

        server.asked.clear()
        again = project.run("fetch.sh", KERNEL_MIRROR=server.url)
    assert (again.returncode, again.stderr, server.asked) == (0, "", [])


def test_newer_kernel_that_came_later_wins(
    project: Project, packed: dict[str, bytes]
) -> None:
    with serving({OLD_FILE: packed[OLD_FILE]}) as server:
        project.run("fetch.sh", KERNEL_MIRROR=server.url)
    with serving(packed) as server:
        project.run("fetch.sh", KERNEL=NEW, KERNEL_MIRROR=server.url)
    assert project.lib("kernel_name").stdout == f"{NEW}\n"
    assert project.lib("kernel_name", KERNEL=OLD).stdout == f"{OLD}\n"


def test_nothing_can_be_reached(project: Project, refused: str) -> None:
    result = project.run("fetch.sh", KERNEL_MIRROR=refused)
    assert_one_error(result, OLD, OLD_FILE, "KERNEL_MIRROR")
    assert_nothing_kept(project)


def test_unknown_kernel_lists_the_known(project: Project) -> None:
    result = project.run("fetch.sh", KERNEL="6.0.6")
    assert_one_error(result, "6.0.6", NEW, OLD, "KERNEL_SRC")
    assert not project.build.exists()


def test_kernel_and_tree_at_once(project: Project, tmp_path: Path) -> None:
    result = project.run("fetch.sh", KERNEL=NEW, KERNEL_SRC=tmp_path)
    assert_one_error(result, f"KERNEL={NEW}", f"KERNEL_SRC={tmp_path}")


def test_judges_get_a_kernel_of_their_own(project: Project) -> None:
    """It is built from the same source, in another folder."""
    name = project.lib("kernel_name", KERNEL=OLD, JUDGES=1).stdout
    assert name == f"{OLD}-judges\n"
    assert project.lib("kernel_version", KERNEL=OLD, JUDGES=1).stdout == f"{OLD}\n"
    assert_one_error(project.run("fetch.sh", JUDGES=2), "JUDGES=2", "JUDGES=1")


def test_random_structures_get_a_kernel_of_their_own(project: Project) -> None:
    """As the judges do, and with both there is one of both."""
    name = project.lib("kernel_name", KERNEL=OLD, RANDSTRUCT=1).stdout
    assert name == f"{OLD}-randstruct\n"
    both = project.lib("kernel_name", KERNEL=OLD, RANDSTRUCT=1, JUDGES=1).stdout
    assert both == f"{OLD}-judges-randstruct\n"
    options = project.lib("kernel_options", KERNEL=OLD, RANDSTRUCT=1).stdout
    assert options.split() == ["lab.config", "randstruct.config"]
    result = project.run("fetch.sh", RANDSTRUCT="yes")
    assert_one_error(result, "RANDSTRUCT=yes", "RANDSTRUCT=1")


def test_tree_given_fetches_nothing(project: Project, tmp_path: Path) -> None:
    tree = tmp_path / "my linux"
    tree.mkdir()
    result = project.run("fetch.sh", KERNEL_SRC=tree)
    assert (result.returncode, result.stderr) == (0, "")
    assert not project.build.exists()
    hashed = projects.sha256(str(tree).encode())[:8]
    name = project.lib("kernel_name", KERNEL_SRC=tree).stdout
    assert name == f"src-my_linux-{hashed}\n"


def test_missing_tree(project: Project, tmp_path: Path) -> None:
    result = project.run("fetch.sh", KERNEL_SRC=tmp_path / "none")
    assert_one_error(result, str(tmp_path / "none"), "KERNEL_SRC")


def test_without_root(packed: dict[str, bytes]) -> None:
    with projects.open_folder() as folder, projects.open_folder(give=True) as theirs:
        project = Project(folder / "lab")
        project.pin((NEW, "kernel.org", "v6.x", NEW_FILE, packed[NEW_FILE]))
        project.build = theirs / "build"
        with serving(packed) as server:
            result = project.run(
                "fetch.sh",
                KERNEL=NEW,
                KERNEL_MIRROR=server.url,
                BUILD=project.build,
                as_nobody=True,
            )
        assert result.returncode == 0, result.stderr
        assert_fetched(project, NEW, packed[NEW_FILE])


def test_build_folder_that_cannot_be_written(tmp_path: Path) -> None:
    project = Project(tmp_path / "theirs")
    (tmp_path / "file").write_text("")
    result = project.run("fetch.sh", KERNEL=NEW, BUILD=tmp_path / "file" / "build")
    assert_one_error(result, "BUILD=")


# Debian's archive: a stand-in for apt-get prints what the real one would.


def fake_apt(tmp_path: Path, site: str, index: str) -> str:
    """Make a PATH whose apt-get knows SITE, with INDEX as the file's address."""
    projects.command(
        tmp_path / "bin",
        "apt-get",
        f"""
printf '%s\\n' "$*" >>"{tmp_path}/apt.log"
case "$*" in
indextargets*) echo "{site}" ;;
*update*) [[ -n "{index}" ]] ;;
*print-uris*) echo "'{index}' {OLD_FILE} 122 SHA256:0" ;;
esac""",
    )
    return f"{tmp_path}/bin:{os.environ['PATH']}"


def test_debian_index(
    project: Project, packed: dict[str, bytes], tmp_path: Path
) -> None:
    with serving({f"elsewhere/{OLD_FILE}": packed[OLD_FILE]}) as server:
        path = fake_apt(tmp_path, server.url, f"{server.url}/elsewhere/{OLD_FILE}")
        result = project.run("fetch.sh", KERNEL=OLD, PATH=path)
    assert result.returncode == 0, result.stderr
    assert_fetched(project, OLD, packed[OLD_FILE])
    assert {path for _, path, _ in server.asked} == {f"/elsewhere/{OLD_FILE}"}
    assert f"linux={OLD}-1" in (tmp_path / "apt.log").read_text()
    assert list(project.build.glob(".apt.*")) == []


@pytest.mark.parametrize("index", ["", "http://127.0.0.1:1/gone"])
def test_debian_pool_if_the_index_does_not_help(
    project: Project, packed: dict[str, bytes], tmp_path: Path, index: str
) -> None:
    with serving({f"pool/main/l/linux/{OLD_FILE}": packed[OLD_FILE]}) as server:
        path = fake_apt(tmp_path, server.url, index)
        result = project.run("fetch.sh", KERNEL=OLD, PATH=path)
    assert result.returncode == 0, result.stderr
    assert_fetched(project, OLD, packed[OLD_FILE])


def test_debian_unreachable(project: Project, tmp_path: Path, refused: str) -> None:
    result = project.run("fetch.sh", KERNEL=OLD, PATH=fake_apt(tmp_path, refused, ""))
    assert_one_error(result, OLD, refused, "KERNEL_MIRROR")
    assert_nothing_kept(project)


# Debian's binary packages: real .deb files, and an apt-get that has them.

PACKAGED = "linux-source-6.1"
SUITE = "bookworm"


def pin_package(project: Project) -> None:
    """Write a table in which 6.1 comes from that package."""
    row = f"6.1 debian-package {SUITE}/{PACKAGED} {PACKAGED}.tar.xz -\n"
    (project.root / "kernel" / "sources.txt").write_text(row)


def apt_with_package(tmp_path: Path, content: dict[str, bytes]) -> str:
    """Make a PATH whose apt-get downloads a package with CONTENT in /usr/src."""
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "usr/src").mkdir(parents=True)
    control = f"Package: {PACKAGED}\nVersion: 1\nArchitecture: all\n"
    control += "Maintainer: a test <test@localhost>\nDescription: a test\n"
    (package / "DEBIAN/control").write_text(control)
    for name, data in content.items():
        (package / "usr/src" / name).write_bytes(data)
    deb = tmp_path / f"{PACKAGED}_1_all.deb"
    built = projects.run("dpkg-deb", "--root-owner-group", "--build", package, deb)
    assert built.returncode == 0, built.stderr
    projects.command(
        tmp_path / "bin",
        "apt-get",
        f'[[ " $*" == *" download "* && {PACKAGED} =~ ${{!#}} ]] && cp "{deb}" .',
    )
    return f"{tmp_path}/bin:{os.environ['PATH']}"


def test_package(project: Project, packed: dict[str, bytes], tmp_path: Path) -> None:
    pin_package(project)
    data = packed[NEW_FILE]
    path = apt_with_package(tmp_path, {f"{PACKAGED}.tar.xz": data})
    result = project.run("fetch.sh", KERNEL="6.1", PATH=path)
    assert result.returncode == 0, result.stderr
    assert (project.source("6.1") / "Makefile").read_text() == f"# {NEW}\n"
    left = list((project.build / "downloads").iterdir())
    assert [file.read_bytes() for file in left] == [data]


def test_package_of_another_suite(
    project: Project, packed: dict[str, bytes], tmp_path: Path
) -> None:
    """If this machine's Debian has only a later one, the named suite's is taken."""
    pin_package(project)
    data = packed[NEW_FILE]
    apt_with_package(tmp_path, {f"{PACKAGED}.tar.xz": data})
    (tmp_path / "bin" / "apt-get").rename(tmp_path / "has-it")
    projects.command(
        tmp_path / "bin",
        "apt-get",
        f"""
case "$*" in
indextargets*) echo http://archive.example; exit ;;
-c*update) sed '/^deb/p; d' "${{2%/*}}/sources.list" >>"{tmp_path}/lists"; exit ;;
-c*download*) exec "{tmp_path}/has-it" "${{@:3}}" ;;
esac
[[ linux-source-6.12 =~ ${{!#}} ]] && echo another >linux-source-6.12_1_all.deb && exit
echo "E: Unable to locate" >&2
exit 100""",
    )
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    result = project.run("fetch.sh", KERNEL="6.1", PATH=path)
    assert result.returncode == 0, result.stderr
    assert (project.source("6.1") / "Makefile").read_text() == f"# {NEW}\n"
    (line,) = (tmp_path / "lists").read_text().splitlines()
    assert line.startswith("deb [signed-by=/usr/share/keyrings/debian-archive")
    assert line.endswith(f" http://archive.example {SUITE} main")
    left = list((project.build / "downloads").iterdir())
    assert [file.read_bytes() for file in left] == [data]


def test_package_without_the_tarball(project: Project, tmp_path: Path) -> None:
    pin_package(project)
    path = apt_with_package(tmp_path, {"README": b""})
    result = project.run("fetch.sh", KERNEL="6.1", PATH=path)
    assert_one_error(result, PACKAGED, "KERNEL_SRC")
    assert_nothing_kept(project)


def test_package_that_apt_does_not_know(project: Project, tmp_path: Path) -> None:
    pin_package(project)
    projects.command(
        tmp_path / "bin", "apt-get", 'echo "E: Unable to locate" >&2; exit 100'
    )
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    result = project.run("fetch.sh", KERNEL="6.1", PATH=path)
    assert_one_error(result, PACKAGED, "Unable to locate", "apt-get update")
    assert_nothing_kept(project)


def test_package_has_no_mirror(project: Project) -> None:
    pin_package(project)
    result = project.run("fetch.sh", KERNEL="6.1", KERNEL_MIRROR="http://127.0.0.1:1")
    assert_one_error(result, "6.1", "KERNEL_MIRROR")


def test_table_is_complete() -> None:
    """The real table has origins that fetch.sh knows, and hashes of what is pinned."""
    table = projects.ROOT / "kernel" / "sources.txt"
    rows = [
        line.split()
        for line in table.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert [row[0] for row in rows][:2] == [NEW, OLD]
    for version, origin, _, name, digest in rows:
        assert version in name and name.endswith(".tar.xz")
        if origin == "debian-package":
            assert digest == "-"
        else:
            assert origin in ("kernel.org", "debian-source")
            assert len(digest) == 64 and int(digest, 16)
