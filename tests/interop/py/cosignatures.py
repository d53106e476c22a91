"""Verifies the lines of a cosigned checkpoint by C2SP tlog-cosignature, with pyca/cryptography.

Nothing of it is shared with the log: notes, key ids and messages are made here from the text of the
specifications. Arguments: verifier keys. Standard input: the checkpoint. Prints the names of those
whose line is there and verifies, one a line.
"""

import base64
import hashlib
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

ED25519, COSIGNATURE_V1, ML_DSA_44 = 0x01, 0x04, 0x06


def main(vkeys):
    text, _, lines = sys.stdin.buffer.read().decode().partition("\n\n")
    text += "\n"
    payloads = {}
    for line in lines.splitlines():
        dash, name, payload = line.split(" ")
        assert dash == "\u2014"
        payload = base64.b64decode(payload, validate=True)
        payloads[name, payload[:4]] = payload[4:]
    for vkey in vkeys:
        name, key_id, key = vkey.split("+", 2)
        key = base64.b64decode(key, validate=True)
        own_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
        assert own_id.hex() == key_id
        check(name, key[0], key[1:], text, payloads[name, own_id])
        print(name)


def check(name, kind, key, text, payload):
    if kind == ED25519:
        Ed25519PublicKey.from_public_bytes(key).verify(payload, text.encode())
        return
    (time,) = struct.unpack(">Q", payload[:8])
    assert time > 1_700_000_000
    signature = payload[8:]
    if kind == COSIGNATURE_V1:
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return
    assert kind == ML_DSA_44
    origin, size, root = text.splitlines()[:3]
    message = b"subtree/v1\n\0"
    message += struct.pack("B", len(name)) + name.encode()
    message += struct.pack(">Q", time)
    message += struct.pack("B", len(origin)) + origin.encode()
    message += struct.pack(">QQ", 0, int(size))
    message += base64.b64decode(root, validate=True)
    MLDSA44PublicKey.from_public_bytes(key).verify(signature, message)


if __name__ == "__main__":
    main(sys.argv[1:])
