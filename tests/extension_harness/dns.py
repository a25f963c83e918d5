# SPDX-License-Identifier: Apache-2.0
"""A name server (RFC 1035) that knows what it is told, and remembers what it was asked."""
import ipaddress
import socket
import struct
import threading

A, INTERNET = 1, 1
NO_SUCH_NAME = 3


class NameServer:
    """names: {name: IPv4 address}. Every name that it knows has an address of version 4 and none of version 6."""

    def __init__(self, address, names, port=53):
        self.names, self.asked = names, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            question, client = self.socket.recvfrom(4096)
            if not question:
                return  # close()
            self.socket.sendto(self._answer(question), client)

    def _answer(self, message):
        (number,), at, labels = struct.unpack_from("!H", message), 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
        name, (kind, _) = ".".join(labels).lower(), struct.unpack_from("!HH", message, at + 1)
        self.asked.append(name)
        question, address = message[12:at + 5], self.names.get(name)
        records = b""
        if address and kind == A:  # 0xC00C: the name in the question
            records = struct.pack("!HHHIH", 0xC00C, A, INTERNET, 60, 4) + ipaddress.IPv4Address(address).packed
        flags = 0x8580 | (0 if address else NO_SUCH_NAME)  # an authoritative answer
        return struct.pack("!HHHHHH", number, flags, 1, 1 if records else 0, 0, 0) + question + records

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()
