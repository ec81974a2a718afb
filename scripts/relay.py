#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Bring debuggers to QEMU's stub, one at a time: relay.py STUB SOCKET [PORT].

Listens on the unix socket SOCKET, and if PORT is given on 127.0.0.1 as well, and passes
on what comes to the unix socket STUB. Says "ready" when it listens, or why it cannot.

QEMU's stub asks nobody for a name, and through it goes QEMU's monitor, which opens files.
Both sockets are in a private folder; but a TCP port is everybody's, so there the kernel
is asked whose the connection is. Only this user comes in: root could get in anyway, and
services of root's connect to where others tell them.

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


def received(end: socket.socket) -> bytes:
    """What has come; nothing if the other end has gone."""
    try:
        return end.recv(1 << 16)
    except OSError:
        return b""


class Relay:
    """The listening sockets, and the debugger that is connected."""

    def __init__(self, stub: str, listening: list[socket.socket]) -> None:
        self.stub = stub
        self.listening = {one.fileno(): one for one in listening}
        self.poll = select.poll()
        for one in listening:
            self.poll.register(one, select.POLLIN)
        self.pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        self.client: socket.socket | None = None

    def run(self) -> None:
        """Serve until this process is ended."""
        while True:
            for number, _ in self.poll.poll():
                if number in self.listening:
                    self.meet(self.listening[number])
                elif number in self.pairs:  # and not gone since the poll
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
        server = socket.socket(socket.AF_UNIX)
        try:
            if is_tcp:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect(self.stub)
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


def listen(family: int, address: str | tuple[str, int]) -> socket.socket:
    """A socket that listens. Raises OSError."""
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen()
    return listening


def main(stub: str, path: str, port: str | None = None) -> int:
    """Listen, say so, and serve."""
    os.umask(0o077)
    try:
        listening = [listen(socket.AF_UNIX, path)]
        if port is not None:
            listening.append(listen(socket.AF_INET, ("127.0.0.1", int(port))))
    except OSError as problem:
        where = path if port is None else f"port {port} of 127.0.0.1"
        print(f"nobody can listen on {where}: {problem.strerror}", flush=True)
        return 1
    print("ready", flush=True)
    Relay(stub, listening).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
