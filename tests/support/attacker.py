# SPDX-License-Identifier: GPL-2.0-only
"""Try to reach QEMU's monitor through places where a debug stub may listen.

    attacker.py MARK PLACE...

Started by test_security.py, also as another user, who cannot read this file and gets it
through python3 -c. A place is a port of 127.0.0.1 or a unix socket. Each is sent what
would make the file MARK.written or MARK.started, also on connections that are closed at
once. Prints for each place how many bytes came back, or the error.
"""

import json
import socket
import struct
import sys

ROUNDS = 200  # of leaving at once


def packet(text: str) -> bytes:
    """Return a packet of gdb's remote protocol."""
    data = text.encode()
    return b"+$%s#%02x" % (data, sum(data) % 256)


def monitor(command: str) -> bytes:
    """Return the packet with a command for QEMU's monitor."""
    return packet(f"qRcmd,{command.encode().hex()}")


def connected(place: str) -> socket.socket:
    """Connect to a place.

    :raises OSError: nobody listens there, or this user may not connect
    """
    family, address = socket.AF_UNIX, place
    if place.isdigit():
        family, address = socket.AF_INET, ("127.0.0.1", int(place))
    client = socket.socket(family)
    client.settimeout(10)
    client.connect(address)
    return client


def leave_at_once(place: str, packets: bytes, reset: bool) -> None:
    """Send and disconnect, orderly or by a reset, before anybody can have looked."""
    with connected(place) as client:
        if reset:
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.send(packets)


def attack(place: str, packets: bytes) -> int:
    """Send, and return how many bytes came back.

    :raises OSError: nobody listens there, or this user may not connect
    """
    received = 0
    with connected(place) as client:
        client.sendall(packets)
        try:
            while data := client.recv(4096):
                received += len(data)
                client.settimeout(2)
        except TimeoutError:
            pass
    return received


def main(mark: str, *places: str) -> None:
    packets = packet("qSupported:multiprocess+")  # a debugger's first packet
    packets += monitor(f"chardev-add file,id=attack,path={mark}.written")
    packets += monitor(f'migrate "exec:touch {mark}.started"')
    # QEMU refuses to migrate while the guest has the share mounted
    helper = f"helper=touch {mark}.started #"
    packets += monitor(f'netdev_add "bridge,id=attack,br=none,{helper}"')
    result: dict[str, object] = {}
    for place in places:
        for turn in range(ROUNDS if place.isdigit() else 0):
            try:
                leave_at_once(place, packets, reset=turn % 2 == 0)
            except OSError:
                pass  # turned away
        try:
            result[place] = attack(place, packets)
        except OSError as problem:
            result[place] = type(problem).__name__
    print(json.dumps(result))


main(*sys.argv[1:])
