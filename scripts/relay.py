#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Bring debuggers to QEMU's stub, one at a time: relay.py STUB SOCKET [PORT].

Listens on the unix socket SOCKET, and if PORT is given on 127.0.0.1 as well, and passes
on what comes to the unix socket STUB. Says "ready" when it listens, or why it cannot.

QEMU's stub asks nobody for a name, and through it goes QEMU's monitor, which opens files.
Both sockets are in a private folder; but a TCP port is everybody's, so there the kernel
is asked whose the connection is. Only this user comes in: root could get in anyway, and
services of root's connect to where others tell them. A browser of this user's does so, too:
any page that is open in it may have it send a request to this port, and the stub would
skip all of that up to the first packet. So nobody is brought to the stub who has not begun
as a debugger does, which no request over HTTP can.

On STUB itself gdb would see QEMU's end as a broken pipe, for it acknowledges the last
packet when QEMU has gone; and what a second debugger writes while it waits QEMU would
obey when the first one has left.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from pathlib import Path

ESTABLISHED = "01"
TABLES = {"/proc/net/tcp": "", "/proc/net/tcp6": "0000000000000000FFFF0000"}

EVERYBODY = ["0", "0", "4294967295"]  # uid_map where all users are known

# How a debugger begins: with acknowledgements or Ctrl-C, then gdb's first question. A
# page may choose the first word of a request, if its own name has come to mean 127.0.0.1;
# but in no such word is a colon. In what lldb asks before that there is none, so it does
# not get to QEMU, which does not know it: the answer is QEMU's.
ACKS = b"+-\x03"
NO_ACKS, UNKNOWN = b"$QStartNoAckMode#b0", b"+$#00"
ASKS = b"$qSupported:"
MOST_ARRIVING = 16


def table_name(address: tuple[str, int], prefix: str) -> str:
    """An IPv4 address and port as the kernel's tables have it."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{prefix}{number:08X}:{address[1]:04X}"


def owner(client: socket.socket) -> tuple[int, int] | None:
    """User and inode of the socket at the other end; None if it is not known.

    A socket that has been closed has no owner any more and is listed as root's: it has no
    inode and is not established.
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
    """Is this user at the other end?

    A row is not written in one moment, so that of a socket which is just being closed may
    say established and root. A second look cannot find it established.
    """
    try:
        first = owner(client)
        return first is not None and first[0] == os.getuid() and owner(client) == first
    except OSError:
        return False


def received(end: socket.socket) -> bytes | None:
    """What has come; nothing if the other end has gone, None if it was to another one.

    For a number that was told by the poll may be a new socket's by now.
    """
    try:
        return end.recv(1 << 16, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class Arrival:
    """Somebody who has connected, and has yet to begin as a debugger does."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.said = b""
        self.is_answered = False

    def hear(self) -> bool | None:
        """Take what has come: is it a debugger? None if that cannot be told yet."""
        data = received(self.client)
        if data is None:
            return None
        self.said = (self.said + data).lstrip(ACKS)
        if self.said.startswith(NO_ACKS) and not self.is_answered:
            self.is_answered = True
            try:
                self.client.sendall(UNKNOWN)
            except OSError:
                return False
            self.said = self.said.removeprefix(NO_ACKS).lstrip(ACKS)
        if self.said.startswith(ASKS):
            return True
        may_be = any(begin.startswith(self.said) for begin in (NO_ACKS, ASKS))
        return None if data and may_be else False


class Relay:
    """The listening sockets, who arrives there, and the debugger that is connected."""

    def __init__(self, stub: str, listening: list[socket.socket]) -> None:
        self.stub = stub
        self.listening = {one.fileno(): one for one in listening}
        self.poll = select.poll()
        for one in listening:
            self.poll.register(one, select.POLLIN)
        self.arriving: dict[int, Arrival] = {}
        self.pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        self.client: socket.socket | None = None

    def run(self) -> None:
        """Serve until this process is ended."""
        while True:
            for number, _ in self.poll.poll():
                if number in self.listening:
                    self.meet(self.listening[number])
                elif number in self.arriving:  # and not gone since the poll
                    self.hear(number)
                elif number in self.pairs:
                    self.pass_on(*self.pairs[number])

    def meet(self, listening: socket.socket) -> None:
        """Somebody connects."""
        try:
            client, _ = listening.accept()
        except OSError:
            return  # and has left again
        is_tcp = listening.family == socket.AF_INET
        if self.client is not None or is_tcp and not is_ours(client):
            client.close()
            return
        if len(self.arriving) == MOST_ARRIVING:  # the first came to say nothing
            self.turned(next(iter(self.arriving))).close()
        self.arriving[client.fileno()] = Arrival(client)
        self.poll.register(client, select.POLLIN)

    def turned(self, number: int) -> socket.socket:
        """One who arrives no more."""
        self.poll.unregister(number)
        return self.arriving.pop(number).client

    def hear(self, number: int) -> None:
        """Somebody who arrives says something, or leaves."""
        arrival = self.arriving[number]
        is_debugger = arrival.hear()
        if is_debugger is None:
            return
        client = self.turned(number)
        if is_debugger and self.client is None:
            self.bring(client, arrival.said)
        else:
            client.close()

    def bring(self, client: socket.socket, said: bytes) -> None:
        """A debugger gets to the stub, with what it has said."""
        server = socket.socket(socket.AF_UNIX)
        try:
            if client.family == socket.AF_INET:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect(self.stub)
            server.sendall(said)
        except OSError:
            client.close()
            server.close()
            return
        self.client = client
        for ends in ((client, server), (server, client)):
            self.pairs[ends[0].fileno()] = ends
            self.poll.register(ends[0], select.POLLIN)

    def pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """What one end says to the other. Who has gone will not read any more."""
        data = received(source)
        if data is None:
            return
        if not data:
            self.gone(source, sink)
        elif sink.fileno() in self.pairs:
            try:
                sink.sendall(data)
            except OSError:
                pass  # it is told as gone when its turn comes

    def gone(self, source: socket.socket, other: socket.socket) -> None:
        """One end has gone. A debugger gets time to read QEMU's last words."""
        self.forget(source)
        if source is self.client:
            self.client = None
            if other.fileno() in self.pairs:
                self.forget(other)
        else:
            try:
                other.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has gone, too

    def forget(self, end: socket.socket) -> None:
        """Close one end."""
        self.poll.unregister(end)
        del self.pairs[end.fileno()]
        end.close()


def shares_its_number() -> bool:
    """May others have this user's number in the kernel's tables?

    In a user namespace every user whom it does not know has the same one there.
    """
    unknown = int(Path("/proc/sys/kernel/overflowuid").read_text())
    known = Path("/proc/self/uid_map").read_text().split()
    return os.getuid() == unknown and known != EVERYBODY


class Refused(Exception):
    """Why nobody can be let in."""


def listen(where: str, family: int, address: str | tuple[str, int]) -> socket.socket:
    """A socket that listens. Raises Refused."""
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as problem:
        why = problem.strerror or problem  # a path that is too long has no number
        raise Refused(f"nobody can listen on {where}: {why}") from None
    return listening


def sockets(path: str, port: str | None) -> list[socket.socket]:
    """Where to listen. Raises Refused."""
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
    """Listen, say so, and serve."""
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
