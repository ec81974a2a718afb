# SPDX-License-Identifier: GPL-2.0-only
"""Nobody gets in: an attack from a second account on every mode, and who listens."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest

from support import labs, projects

ATTACK = (labs.ROOT / "tests" / "support" / "attacker.py").read_text()
REASON = "only root can be a second user here"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason=REASON)

_spec = importlib.util.spec_from_file_location(
    "relay", labs.ROOT / "scripts" / "relay.py"
)
assert _spec and _spec.loader
relay = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(relay)


# --- What belongs to a lab, and where it listens --------------------------------------


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for child, stat in labs.processes("stat"):
        fields = stat.rpartition(b")")[2].split()
        parents.setdefault(int(fields[1]), []).append(child)
    found = [pid]
    for descendant in found:
        found += parents.get(descendant, [])
    return found


def sockets(pids: list[int]) -> set[str]:
    """Return the inodes of the sockets of these processes."""
    found = set()
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                name = os.readlink(file)
            except OSError:
                continue  # closed in the meantime
            if name.startswith("socket:["):
                found.add(name[len("socket:[") : -1])
    return found


def listening(pid: int) -> set[str]:
    """Return where the processes of a lab listen: port and address, or path of a socket."""
    mine, found = sockets(family(pid)), set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            # A UDP socket without a peer receives, a TCP socket listens
            waits = fields[3] == "0A" or table[:3] == "udp"
            if waits and fields[9] in mine:
                address, port = fields[1].split(":")
                found.add(f"{address} {int(port, 16)}")
    for unix_socket in labs.unix_sockets():
        if unix_socket.is_listening and unix_socket.inode in mine:
            found.add(unix_socket.path or "unnamed")
    return found


def check_listeners(pid: int, port: int, tcp: int | None) -> None:
    """Check that they listen only in the private folder, and on the port that was asked for."""
    folder = labs.run_folder(port)
    assert folder.stat().st_mode & 0o7777 == 0o700
    found = listening(pid)
    expected = {f"0100007F {tcp}"} if tcp else set()
    assert {place for place in found if not place.startswith(f"{folder}/")} == expected


def check_cage(port: int) -> None:
    """Check that QEMU's threads are under seccomp and can never become more again."""
    [qemu] = labs.guests(port)
    for status in Path(f"/proc/{qemu}/task").glob("*/status"):
        fields = dict(row.split(":\t", 1) for row in status.read_text().splitlines())
        assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1"), status


# --- The attack -----------------------------------------------------------------------


def attack(
    mark: Path, places: list[object], as_nobody: bool = True
) -> dict[str, object]:
    """Attack places, and return what came of it at each."""
    done = projects.run(
        *("/usr/bin/python3", "-I", "-c", ATTACK, mark, *places), as_nobody=as_nobody
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def places_of(port: int, tcp: int | None) -> list[object]:
    """Return the places where a debug stub is, used to be, or might be."""
    folder = labs.run_folder(port)
    return [port, *([tcp] if tcp else []), folder / "gdb", folder / "stub"]


def check_attack(pid: int, port: int, tcp: int | None, mark: Path) -> None:
    """Check that another user is told nothing, and that nothing is obeyed."""
    check_cage(port)
    check_listeners(pid, port, tcp)
    result = attack(mark, places_of(port, tcp))
    assert not [count for count in result.values() if isinstance(count, int) and count]
    for place in result:
        if "/" in place:
            assert result[place] == "PermissionError"
    # The attacks are over by now: the relay has closed their connections one by one
    assert list(mark.parent.iterdir()) == []
    assert labs.guests(port)


@pytest.fixture
def mark() -> Iterator[Path]:
    """A name in a folder in which an attack may leave something."""
    with projects.open_folder() as folder:
        folder.chmod(0o777)
        yield folder / "mark"


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints that it runs, and waits."""
    folder = tmp_path_factory.mktemp("waits")
    return labs.script(folder / "waits", "echo waiting", "sleep 1000")


@contextmanager
def running(name: str, port: int, **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """Run one of the lab's scripts with a pipe as its standard input."""
    script = subprocess.Popen(
        [labs.ROOT / "scripts" / f"{name}.sh"],
        cwd=labs.ROOT,
        env=labs.environment(PORT=port, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield script
    finally:
        if script.poll() is None:
            os.killpg(script.pid, signal.SIGTERM)
        script.communicate(timeout=60)


def read_until(script: subprocess.Popen[str], text: str) -> str:
    """Read a script's output up to and including some text."""
    assert script.stdout
    output = ""
    while text not in output:
        more = script.stdout.read(1)
        assert more, f"no {text!r} in:\n{output}"
        output += more
    return output


def connected(port: int) -> bool:
    """Is gdb connected to the lab's stub?"""
    stub = f"{labs.run_folder(port)}/stub"
    return any(
        unix_socket.is_connected and unix_socket.path == stub
        for unix_socket in labs.unix_sockets()
    )


@needs_root
@pytest.mark.once
@pytest.mark.parametrize("with_tcp", [False, True])
def test_boot(port: int, mark: Path, waits: Path, with_tcp: bool) -> None:
    tcp = labs.free_port() if with_tcp else None
    settings: dict[str, Any] = {"PROGRAM": waits} | ({"GDB_TCP": tcp} if tcp else {})
    with running("boot", port, **settings) as script:
        read_until(script, "waiting")
        check_attack(script.pid, port, tcp, mark)
        if not tcp:
            assert not (labs.run_folder(port) / "stub").exists()
            return
        # The same attack from the lab's own user gets through, but starts nothing
        result = attack(mark, [tcp], as_nobody=False)
        assert [file.name for file in mark.parent.iterdir()] == ["mark.written"], result
        assert labs.wait_until(lambda: not labs.guests(port))  # because of the sandbox


def check_attack_on_gdb(
    script: subprocess.Popen[str], port: int, tcp: int | None, mark: Path
) -> None:
    """Attack while gdb is connected, and while it leaves the guest alone."""
    check_attack(script.pid, port, tcp, mark)
    if tcp:
        assert script.stdin
        script.stdin.write("disconnect\n")
        script.stdin.flush()
        read_until(script, "(gdb) ")
        check_attack(script.pid, port, tcp, mark)
        script.stdin.write(f"target remote :{tcp}\n")


@needs_root
@pytest.mark.once
@pytest.mark.parametrize("with_tcp", [False, True])
def test_debug(port: int, mark: Path, with_tcp: bool) -> None:
    tcp = labs.free_port() if with_tcp else None
    with running("debug", port, **({"GDB_TCP": tcp} if tcp else {})) as script:
        assert script.stdin
        read_until(script, "(gdb) ")
        check_attack_on_gdb(script, port, tcp, mark)
        script.stdin.write(f'monitor migrate "exec:touch {mark}.started"\nquit\n')
        script.stdin.flush()
        output = read_until(script, "closed")
        assert (
            "Remote connection closed" in output and list(mark.parent.iterdir()) == []
        )


@needs_root
@pytest.mark.once
@pytest.mark.parametrize("with_tcp", [False, True])
def test_verify(port: int, mark: Path, waits: Path, with_tcp: bool) -> None:
    tcp = labs.free_port() if with_tcp else None
    settings: dict[str, Any] = {"PROGRAM": waits} | ({"GDB_TCP": tcp} if tcp else {})
    with running("verify", port, **settings) as script:
        log = labs.BUILD / "run" / str(port) / "console.log"
        assert labs.wait_until(lambda: log.exists() and "waiting" in log.read_text())
        check_attack(script.pid, port, tcp, mark)
        [gdb] = [pid for pid in family(script.pid) if is_gdb(pid)]
        os.kill(gdb, signal.SIGKILL)  # nothing was kept for the time when it is gone
        assert script.wait(60) != 0
    assert list(mark.parent.iterdir()) == []


@needs_root
@pytest.mark.once
def test_record_and_replay(port: int, mark: Path, tmp_path: Path, waits: Path) -> None:
    settings = {"RECORDING": tmp_path / "recording", "PROGRAM": waits}
    with running("record", port, **settings) as script:
        read_until(script, "waiting")
        check_attack(script.pid, port, None, mark)
        [qemu] = labs.guests(port)
        os.kill(qemu, signal.SIGTERM)  # a recording ends with the guest
        read_until(script, "indexing")
        assert labs.wait_until(lambda: connected(port))
        [gdb] = [pid for pid in family(script.pid) if is_gdb(pid)]
        os.kill(gdb, signal.SIGSTOP)  # it is over soon
        check_attack(script.pid, port, None, mark)
        os.kill(gdb, signal.SIGCONT)
        read_until(script, "recorded in")
        assert script.wait(60) == 0
    for tcp in (None, labs.free_port()):
        settings = {"RECORDING": tmp_path / "recording"}
        settings |= {"GDB_TCP": tcp} if tcp else {}
        with running("replay", port, **settings) as script:
            assert script.stdin
            read_until(script, "(gdb) ")
            check_attack_on_gdb(script, port, tcp, mark)
            script.stdin.write(f'monitor migrate "exec:touch {mark}.started"\nquit\n')
            script.stdin.flush()
            script.wait(60)
            assert list(mark.parent.iterdir()) == []


def is_gdb(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "gdb\n"
    except OSError:
        return False


@needs_root
@pytest.mark.once
def test_the_attack_is_one(port: int, mark: Path) -> None:
    """Without the sandbox, it does start a program as the lab's user."""
    stub = labs.run_folder(port) / "stub"
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-S"]
    command += ["-machine", "microvm", "-gdb", f"unix:{stub},server=on,wait=off"]
    with labs.private_folder(port):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as qemu:
            try:
                assert labs.wait_until(lambda: labs.is_listening(stub))
                attack(mark, [stub], as_nobody=False)
                left = {file.name for file in mark.parent.iterdir()}
            finally:
                qemu.kill()
    assert left == {"mark.written", "mark.started"}


# --- The relay ------------------------------------------------------------------------

AS_NOBODY = ("setpriv", f"--reuid={projects.NOBODY}", "--clear-groups")
if os.geteuid() != 0:
    AS_NOBODY = ()  # only root can become somebody else
HELLO = b"$qSupported:multiprocess+;swbreak+#1b"  # gdb's first packet
UNKNOWN = b"+$#00"  # QEMU's answer
MONITOR = b"+$qRcmd,696e666f#35"  # a command for QEMU's monitor

# What a browser sends to a port that a web page names. A form or script of any page may send
# anything as text/plain without asking. If the page's own name resolves to 127.0.0.1
# (rebinding), it may also choose the first word, of the characters that RFC 9110 allows.
BROWSERS = {
    "GET": b"GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % MONITOR,
    "POST": (
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        b"Origin: https://page.example\r\nContent-Length: 56\r\n\r\n+%s%s"
    )
    % (HELLO, MONITOR),
    "kill": b"+$k#6b /%s HTTP/1.1\r\nHost: page.example\r\n\r\n" % MONITOR,
    "asks": b"$qSupported#37$k#6b / HTTP/1.1\r\n\r\n+%s%s" % (HELLO, MONITOR),
    "lldb": b"+$QStartNoAckMode#b0+$QStartNoAckMode#b0$k#6b / HTTP/1.1\r\n\r\n" + HELLO,
    "many": b"+$QStartNoAckMode#b0" * 100_000 + b" / HTTP/1.1\r\n\r\n" + HELLO,
    "space": b"+$qSupported :" + HELLO,
    "TLS": b"\x16\x03\x01\x02\0\x01" + HELLO,
    "ICE": b"\0\x60\0\x01" + HELLO,
}


class Stub:
    """A stand-in for QEMU's stub that listens, behind a relay of its own."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.place, self.port = folder / "gdb", port
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / "stub"))
        self.listening.listen()
        self.listening.settimeout(30)
        command = ["/usr/bin/python3", "-I", labs.ROOT / "scripts" / "relay.py"]
        command += [folder / "stub", self.place, *([str(port)] if port else [])]
        self.relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.relay.stdout and self.relay.stdout.readline() == "ready\n"

    def debugger(self, tcp: bool = False) -> socket.socket:
        """Connect to the relay."""
        client = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        client.settimeout(30)
        client.connect(("127.0.0.1", self.port) if tcp else str(self.place))
        return client

    def accept(self) -> socket.socket:
        """Accept the connection that the relay makes."""
        server, _ = self.listening.accept()
        server.settimeout(30)
        return server

    def connection(self, tcp: bool = False) -> tuple[socket.socket, socket.socket]:
        """Begin as a debugger, and return both ends of the connection."""
        client = self.debugger(tcp)
        client.sendall(HELLO)
        server = self.accept()
        assert server.recv(100) == HELLO
        return client, server

    def close(self) -> None:
        self.listening.close()
        self.relay.kill()
        self.relay.communicate()


@pytest.fixture
def stub(port: int, tmp_path: Path) -> Iterator[Stub]:
    found = Stub(tmp_path, port)
    yield found
    found.close()


def has_ended(end: socket.socket, last: bytes = b"") -> bool:
    """Has the other side closed, without sending anything but these bytes?"""
    got = b""
    try:
        while more := end.recv(1):
            got += more
            if not last.startswith(got):
                return False
    except ConnectionError:
        pass
    return True


@pytest.mark.once
@pytest.mark.parametrize("tcp", [False, True])
def test_the_relay_brings_everything_both_ways(stub: Stub, tcp: bool) -> None:
    client, server = stub.connection(tcp)
    every = bytes(range(256)) * 4096
    for source, other in ((client, server), (server, client)):
        sender = threading.Thread(target=source.sendall, args=(every,))
        sender.start()
        got = b""
        while len(got) < len(every):
            got += other.recv(1 << 20)
        sender.join()
        assert got == every
    client.sendall(b"\x03")  # Ctrl-C is a byte like any other
    assert server.recv(10) == b"\x03"


@pytest.mark.once
@pytest.mark.parametrize("tcp", [False, True])
def test_the_relay_serves_one_at_a_time(stub: Stub, tcp: bool) -> None:
    first, server = stub.connection(tcp)
    for again in (False, True):
        second = stub.debugger(again)
        try:
            second.sendall(HELLO)
        except ConnectionError:
            pass  # closed already
        assert has_ended(second)
    first.sendall(b"first")
    assert server.recv(100) == b"first"
    first.close()
    assert has_ended(server)
    third, server = stub.connection(tcp)
    third.sendall(b"third")
    assert server.recv(100) == b"third"


@pytest.mark.once
def test_qemu_s_last_words_are_heard(stub: Stub) -> None:
    """gdb acknowledges them when QEMU is gone, which must not look like a broken pipe."""
    client, server = stub.connection()
    server.sendall(b"$W00#b7")
    server.close()
    assert client.recv(100) == b"$W00#b7" and client.recv(100) == b""
    for _ in range(3):
        client.sendall(b"+")
    client.close()
    stub.listening.close()
    late = stub.debugger()
    late.sendall(HELLO)
    assert has_ended(late)  # the stub is gone


@needs_root
@pytest.mark.once
def test_the_relay_turns_others_away(stub: Stub, mark: Path) -> None:
    """Whatever they try, no byte and no connection reaches the stub."""
    assert stub.port
    result = attack(mark, [stub.port])
    assert result[str(stub.port)] in (0, "ConnectionResetError", "BrokenPipeError")
    stub.connection(tcp=True)  # the first that arrives
    with pytest.raises(TimeoutError):
        stub.listening.settimeout(0.5)
        stub.listening.accept()


@pytest.mark.once
@pytest.mark.parametrize("name", BROWSERS)
@pytest.mark.parametrize("split", [0, 1, 15, 25])
def test_the_relay_turns_browsers_away(stub: Stub, name: str, split: int) -> None:
    """They run as this user, but no byte and no connection reaches the stub."""
    page, request = stub.debugger(tcp=True), BROWSERS[name]
    try:
        page.sendall(request[:split])
        time.sleep(0.02 * bool(split))  # so that the relay reads it in two parts
        page.sendall(request[split:])
    except OSError:
        pass  # turned away already
    stub.connection(tcp=True)  # the first that arrives
    assert has_ended(page, UNKNOWN if name in ("lldb", "many") else b"")


@pytest.mark.once
def test_who_says_nothing_is_in_nobody_s_way(stub: Stub) -> None:
    """A browser may connect before it is asked to, and wait."""
    silent = [stub.debugger(tcp=True) for _ in range(3 * relay.MOST_ARRIVING)]
    client, _ = stub.connection(tcp=True)
    assert has_ended(silent[0])
    silent[-1].sendall(HELLO)
    assert has_ended(silent[-1])  # it is the second
    client.close()


@pytest.mark.once
@pytest.mark.parametrize("tcp", [False, True])
def test_how_debuggers_begin(stub: Stub, tcp: bool) -> None:
    """All at once, byte by byte, and as lldb does."""
    for begins in (HELLO, b"+" + HELLO, b"+\x03" + HELLO, b"++-" + HELLO):
        client = stub.debugger(tcp)
        for at in range(len(begins)):
            client.sendall(begins[at : at + 1])
        server, got = stub.accept(), b""
        while len(got) < len(HELLO):
            got += server.recv(100)
        assert got == HELLO
        client.close()
        assert has_ended(server)
    client = stub.debugger(tcp)
    client.sendall(b"+$QStartNoAckMode#b0")
    assert client.recv(100) == UNKNOWN
    client.sendall(b"+" + HELLO)
    assert stub.accept().recv(100) == HELLO


@pytest.mark.once
def test_whose_a_connection_is() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    client = socket.create_connection(address)
    served, _ = listening.accept()
    user, inode = relay.owner(served)
    assert (user, inode) == (os.getuid(), os.fstat(client.fileno()).st_ino)
    assert relay.is_ours(served)
    client.close()  # now the kernel's table says that it is root's
    assert relay.owner(served) is None and not relay.is_ours(served)
    served.close()

    # In the other table, as for programs that connect over IPv6
    client = socket.socket(socket.AF_INET6)
    client.connect((f"::ffff:{address[0]}", address[1]))
    served, _ = listening.accept()
    assert relay.owner(served) == (os.getuid(), os.fstat(client.fileno()).st_ino)
    # As in another user's table
    real = os.getuid
    os.getuid = lambda: real() + 1
    try:
        assert not relay.is_ours(served)
    finally:
        os.getuid = real
    for end in (listening, client, served):
        end.close()


def refused(*command: object) -> str:
    """Return what the relay prints when it refuses to listen."""
    done = projects.run(*command)
    assert done.returncode == 1 and not done.stderr, done
    [line] = done.stdout.splitlines()
    return line


@pytest.mark.once
def test_where_the_relay_cannot_listen(port: int, tmp_path: Path) -> None:
    start = ("/usr/bin/python3", "-I", labs.ROOT / "scripts" / "relay.py", "stub")
    busy, free = tmp_path / "busy", tmp_path / "free"
    busy.touch()
    sentence = f"nobody can listen on {busy}: Address already in use"
    assert refused(*start, busy) == refused(*start, busy, port) == sentence
    long = tmp_path / ("long" * 30)
    sentence = f"nobody can listen on {long}: AF_UNIX path too long"
    assert refused(*start, long, port) == sentence
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        sentence = (
            f"nobody can listen on port {taken} of 127.0.0.1: Address already in use"
        )
        assert refused(*start, free, taken) == sentence


@pytest.mark.once
def test_a_namespace_where_others_look_like_us(port: int) -> None:
    """There, the kernel's tables show one id for all users that are not mapped."""
    unknown = Path("/proc/sys/kernel/overflowuid").read_text().strip()
    start = (
        "/usr/bin/python3",
        "-I",
        "-c",
        (labs.ROOT / "scripts/relay.py").read_text(),
    )
    with projects.open_folder() as folder:
        folder.chmod(0o777)
        ends = (folder / "stub", folder / "gdb")
        for options in ([], ["--map-user", unknown]):
            apart = ("unshare", "--user", *options)
            if projects.run(*apart, "true").returncode:
                pytest.skip("no user namespace can be made here")
            assert "told from others" in refused(*apart, *start, *ends, port)
        # With an id of one's own, or if all ids are mapped, nobody looks like us
        for apart in (("unshare", "--user", "--map-root-user"), AS_NOBODY):
            ends[1].unlink(missing_ok=True)
            with subprocess.Popen(
                [*apart, *start, *ends, str(port)], stdout=subprocess.PIPE, text=True
            ) as alone:
                assert alone.stdout and alone.stdout.readline() == "ready\n"
                alone.kill()


@pytest.mark.once
def test_a_port_that_somebody_has(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        ended = labs.verify(port, GDB_TCP=taken)
    assert ended.returncode != 0
    [line] = ended.stderr.splitlines()
    assert f"GDB_TCP={taken}" in line and "Address already in use" in line
    for value in ("0", "65536", "http"):
        ended = labs.verify(port, GDB_TCP=value)
        assert f"GDB_TCP={value} is no port" in ended.stderr and ended.returncode
    ended = labs.run("scripts/record.sh", PORT=port, GDB_TCP=taken)
    assert "leave GDB_TCP unset" in ended.stderr and ended.returncode


# --- Whose files are run --------------------------------------------------------------


@needs_root
@pytest.mark.once
def test_another_debian_is_root_s(tmp_path: Path) -> None:
    """tests/host/debian.sh runs as root what is in its folder, so it refuses a stranger's."""
    programs = tmp_path / "bin"
    projects.command(programs, "debootstrap", "mkdir -p -- $4/root/lab")
    projects.command(programs, "git", "exit 0")
    projects.command(programs, "unshare", "echo entered")
    start = (labs.ROOT / "tests" / "host" / "debian.sh", "trixie")
    path = f"{programs}:{os.environ['PATH']}"

    def result_in(folder: Path) -> str:
        done = projects.run(*start, folder, PATH=path)
        if done.returncode == 0:
            assert done.stdout == "entered\n"
            return "entered"
        assert not done.stdout
        [line] = done.stderr.splitlines()
        return line

    inside = tmp_path / "inside"
    assert result_in(inside / "chroot") == result_in(inside / "chroot") == "entered"
    for owner, mode in ((projects.NOBODY, 0o755), (0, 0o777), (0, 0o775)):
        for folder in (inside / "chroot", inside):
            os.chown(folder, owner, owner)
            folder.chmod(mode)
            refusal = result_in(inside / "chroot")
            assert refusal.startswith("error: ") and f"{inside}" in refusal
            assert ("only root can write in" in refusal) == (folder != inside)
            os.chown(folder, 0, 0)
            folder.chmod(0o755)
    inside.chmod(0o1777)  # like /tmp: others may not rename what is there
    assert result_in(inside / "chroot") == "entered"
    odd = [inside / name for name in ("file", "link", "nothing")]
    odd[0].touch()
    odd[1].symlink_to("chroot")
    odd[2].symlink_to("missing")
    for place in odd:
        assert "only root can write in" in result_in(place)


# --- For whom the port is -------------------------------------------------------------


@pytest.mark.once
def test_another_gdb_over_tcp(port: int, vmlinux: Path, waits: Path) -> None:
    tcp = labs.free_port()
    with running("boot", port, PROGRAM=waits, GDB_TCP=tcp) as script:
        read_until(script, "waiting")
        with labs.session(
            "gdb", "-nx", "-q", "-iex", "set auto-load no", vmlinux
        ) as person:
            person.prompt()
            person.gdb("set pagination off")
            person.gdb("set confirm off")
            assert "Remote debugging using" in person.gdb(f"target remote :{tcp}")
            person.type("continue")
            person.wait("Continuing.")
            assert "received signal SIGINT" in person.interrupt()
            person.gdb("hbreak scheduler_tick")
            assert "hit Breakpoint 1" in person.gdb("continue")
            person.gdb("delete")
            assert "detached" in person.gdb("detach")
            assert "Remote debugging using" in person.gdb(f"target remote :{tcp}")
            assert "1.1" in person.gdb("info threads")
            person.gdb("kill")
        assert script.wait(60) is not None
