# SPDX-License-Identifier: Apache-2.0
"""A TLS 1.2 server (RFC 5246) that shows a certificate for which it has no key. A client verifies the chain as soon as it
has it, before the server proves anything: what it says of a root tells whether it trusts it.
"""
import socket
import ssl
import struct
import threading

SERVER_HELLO, CERTIFICATE = 2, 11
ECDHE_RSA_AES128_GCM_SHA256 = 0xC02F


def sized(data):
    return len(data).to_bytes(3, "big") + data


def handshake(kind, body):
    message = bytes([kind]) + sized(body)
    return struct.pack("!BHH", 22, 0x0303, len(message)) + message


class Presenter:
    def __init__(self, pem):
        renegotiation = struct.pack("!HHB", 0xFF01, 1, 0)  # RFC 5746: clients insist
        hello = struct.pack("!H32sBHBH", 0x0303, bytes(32), 0, ECDHE_RSA_AES128_GCM_SHA256, 0, len(renegotiation))
        self.said = (handshake(SERVER_HELLO, hello + renegotiation)
                     + handshake(CERTIFICATE, sized(sized(ssl.PEM_cert_to_DER_cert(pem)))))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # close()
            with connection:
                try:
                    connection.recv(16_384)  # whatever it offers
                    connection.sendall(self.said)
                    while connection.recv(4096):  # its alert, and its end
                        pass
                except ConnectionError:
                    pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
