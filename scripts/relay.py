#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Connect debuggers to QEMU's stub, one at a time: relay.py STUB SOCKET [PORT].

Listens on the unix socket SOCKET, and on PORT of 127.0.0.1 if that is given, and forwards
to the unix socket STUB. Prints "ready" when it listens, or why it cannot.

QEMU's stub authenticates nobody, and it gives access to QEMU's monitor, which opens files.
Both sockets are in a private folder, but a TCP port is open to every user, so there the
kernel is asked who owns the connection. Only this user may connect: root could get in
anyway, and services that run as root connect wherever others tell them to. So does this
user's browser: any page open in it may have it send a request to this port, and the stub
would skip everything up to the first packet. So a client is connected to the stub only
after it has begun as a debugger does, which no HTTP request can.

If gdb were connected to STUB itself, it would see QEMU's end as a broken pipe, since it
acknowledges the last packet when QEMU is already gone. And what a second debugger writes
while it waits, QEMU would obey once the first has left.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from pathlib import Path

ESTABLISHED = "01"
TABLES = {"/proc/net/tcp": "", "/proc/net/tcp6": "0000000000000000FFFF0000"}

EVERYBODY = ["0", "0", "4294967295"]  # uid_map of a namespace that maps all users

# A debugger begins with acknowledgements or Ctrl-C, then gdb's first packet. A web page
# whose name resolves to 127.0.0.1 may choose the first word of a request, but that word
# cannot contain a colon. What lldb sends first has no colon either, so it is not forwarded:
# it is answered here, as QEMU answers what it does not know.
ACKS = b"+-\x03"
NO_ACKS, UNKNOWN = b"$QStartNoAckMode#b0", b"+$#00"
ASKS = b"$qSupported:"
MOST_ARRIVING = 16


def table_name(address: tuple[str, int], prefix: str) -> str:
    """Return an IPv4 address and port as /proc/net/tcp writes them."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{prefix}{number:08X}:{address[1]:04X}"


def owner(client: socket.socket) -> tuple[int, int] | None:
    """Return user and inode of the socket at the other end, None if unknown.

    A closed socket has no owner and is listed as root's, with no inode and not established.
    """
    peer, here = client.getpeername(), client.getsockname()
    for table, prefix in TABLES.items():
        ends = [table_name(peer, prefix), table_name(here, prefix), ESTABLISHED]
        for row in Path(table).read_text().splitlines():
            fields = row.split()
            if fields[1:4] == ends and fields[9] != "0":
                return int(fields[7]), int(fields[9])
    return None


def is_ours(client: socket.socket) -> bool:
    """Does this user own the other end?

    A row is not printed atomically, so for a socket that is just being closed it may say
    established and root. A second look cannot find it established.
    """
    try:
        first = owner(client)
        return first is not None and first[0] == os.getuid() and owner(client) == first
    except OSError:
        return False


def received(end: socket.socket) -> bytes | None:
    """Return what has arrived: b"" if the other end has closed, None if there is nothing.

    There may be nothing because the descriptor that poll() returned is a new socket's by
    now.
    """
    try:
        return end.recv(1 << 16, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class Arrival:
    """A client that has connected but has yet to begin as a debugger does."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.opening = b""  # what it has sent, without acknowledgements
        self.is_answered = False

    def hear(self) -> bool | None:
        """Read from the client: is it a debugger? None if that cannot be told yet."""
        data = received(self.client)
        if data is None:
            return None
        self.opening = (self.opening + data).lstrip(ACKS)
        if self.opening.startswith(NO_ACKS) and not self.is_answered:
            self.is_answered = True
            try:
                self.client.sendall(UNKNOWN)
            except OSError:
                return False
            self.opening = self.opening.removeprefix(NO_ACKS).lstrip(ACKS)
        if self.opening.startswith(ASKS):
            return True
        may_be = any(begin.startswith(self.opening) for begin in (NO_ACKS, ASKS))
        return None if data and may_be else False


class Relay:
    """The listening sockets, the clients that arrive, and the debugger that is connected."""

    def __init__(self, stub: str, listening: list[socket.socket]) -> None:
        self.stub = stub
        self.listening = {listener.fileno(): listener for listener in listening}
        self.poll = select.poll()
        for listener in listening:
            self.poll.register(listener, select.POLLIN)
        self.arriving: dict[int, Arrival] = {}
        self.pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        self.client: socket.socket | None = None

    def run(self) -> None:
        """Serve until this process is killed."""
        while True:
            for number, _ in self.poll.poll():
                if number in self.listening:
                    self.meet(self.listening[number])
                elif number in self.arriving:  # and not gone since the poll
                    self.hear(number)
                elif number in self.pairs:
                    self.pass_on(*self.pairs[number])

    def meet(self, listening: socket.socket) -> None:
        """Accept a client."""
        try:
            client, _ = listening.accept()
        except OSError:
            return  # it has left again
        is_tcp = listening.family == socket.AF_INET
        if self.client is not None or is_tcp and not is_ours(client):
            client.close()
            return
        if len(self.arriving) == MOST_ARRIVING:  # the oldest has sent nothing useful
            self.taken_out(next(iter(self.arriving))).close()
        self.arriving[client.fileno()] = Arrival(client)
        self.poll.register(client, select.POLLIN)

    def taken_out(self, number: int) -> socket.socket:
        """Take a client out of those that are arriving, and return its socket."""
        self.poll.unregister(number)
        return self.arriving.pop(number).client

    def hear(self, number: int) -> None:
        """Read from an arriving client; connect it, or close it, once that can be decided."""
        arrival = self.arriving[number]
        is_debugger = arrival.hear()
        if is_debugger is None:
            return
        client = self.taken_out(number)
        if is_debugger and self.client is None:
            self.bring(client, arrival.opening)
        else:
            client.close()

    def bring(self, client: socket.socket, opening: bytes) -> None:
        """Connect a debugger to the stub, and forward what it has sent already."""
        server = socket.socket(socket.AF_UNIX)
        try:
            if client.family == socket.AF_INET:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect(self.stub)
            server.sendall(opening)
        except OSError:
            client.close()
            server.close()
            return
        self.client = client
        for ends in ((client, server), (server, client)):
            self.pairs[ends[0].fileno()] = ends
            self.poll.register(ends[0], select.POLLIN)

    def pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """Forward from one end to the other, unless the other has gone."""
        data = received(source)
        if data is None:
            return
        if not data:
            self.gone(source, sink)
        elif sink.fileno() in self.pairs:
            try:
                sink.sendall(data)
            except OSError:
                pass  # poll() will report that it has gone

    def gone(self, source: socket.socket, other: socket.socket) -> None:
        """Close an end that has gone. A debugger still gets to read QEMU's last words."""
        self.forget(source)
        if source is self.client:
            self.client = None
            if other.fileno() in self.pairs:
                self.forget(other)
        else:
            try:
                other.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has gone as well

    def forget(self, end: socket.socket) -> None:
        """Close one end."""
        self.poll.unregister(end)
        del self.pairs[end.fileno()]
        end.close()


def shares_its_number() -> bool:
    """May others appear under this user's id in the kernel's tables?

    In a user namespace all users that it does not map appear under the same id.
    """
    unknown = int(Path("/proc/sys/kernel/overflowuid").read_text())
    known = Path("/proc/self/uid_map").read_text().split()
    return os.getuid() == unknown and known != EVERYBODY


class Refused(Exception):
    """Why nobody can be let in."""


def listen(where: str, family: int, address: str | tuple[str, int]) -> socket.socket:
    """Return a listening socket.

    :raises Refused: the address cannot be listened on
    """
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as problem:
        why = problem.strerror or problem  # a path that is too long has no errno
        raise Refused(f"nobody can listen on {where}: {why}") from None
    return listening


def sockets(path: str, port: str | None) -> list[socket.socket]:
    """Return the listening sockets: of the path, and of the port if there is one.

    :raises Refused: one of them cannot be listened on, or not safely
    """
    if port is not None and shares_its_number():
        raise Refused(
            "in this user namespace your user cannot be told from others: leave GDB_TCP unset"
        )
    found = [listen(path, socket.AF_UNIX, path)]
    if port is not None:
        where = f"port {port} of 127.0.0.1"
        found.append(listen(where, socket.AF_INET, ("127.0.0.1", int(port))))
    return found


def main(stub: str, path: str, port: str | None = None) -> int:
    """Listen, print that it does, and serve."""
    os.umask(0o077)
    try:
        listening = sockets(path, port)
    except Refused as problem:
        print(problem, flush=True)
        return 1
    print("ready", flush=True)
    Relay(stub, listening).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
