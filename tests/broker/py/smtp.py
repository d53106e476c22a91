"""A mail server on loopback that writes what it takes into a folder: smtp.py FOLDER SETUP_JSON

It prints one line of JSON when it listens: its port and, with TLS, the file of the authority that
its certificate comes from. Beside the mails it keeps `smtp.log`: each command that it was sent, and
whether the line was under TLS.
"""

import asyncio
import datetime
import ipaddress
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder = pathlib.Path(sys.argv[1])
setup = json.loads(sys.argv[2])


def note(server, what):
    secured = server.transport is not None and server.transport.get_extra_info("sslcontext")
    with open(folder / "smtp.log", "a") as log:
        log.write(f"{'tls' if secured else 'plain'} {what}\n")


class Server(SMTP):
    async def _call_limit_hook(self):
        pass

    async def smtp_EHLO(self, hostname):
        note(self, "EHLO")
        if setup.get("silent"):
            await asyncio.sleep(3600)
        await super().smtp_EHLO(hostname)

    async def smtp_AUTH(self, arg):
        note(self, "AUTH")
        await super().smtp_AUTH(arg)


class Handler:
    mails = 0
    postponed = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        note(server, "MAIL")
        await asyncio.sleep(setup.get("seconds", 0))
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        note(server, "RCPT")
        if self.postponed < setup.get("postpone", 0):
            self.postponed += 1
            return "451 4.7.1 Greylisted, try again in a moment"
        if setup.get("refuse"):
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        note(server, "DATA")
        await asyncio.sleep(setup.get("seconds", 0))
        path = folder / f"{self.mails:08}.eml"
        self.mails += 1
        part = path.with_suffix(".part")
        part.write_bytes(envelope.content)
        part.rename(path)
        return "250 Taken"


def authenticate(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and (
        data.login.decode(), data.password.decode()) == (setup["user"], setup["password"])
    return AuthResult(success=known, handled=False)


def certificate(names):
    """A key and a certificate for these names, from an authority made for this run."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    named = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def issue(subject, public, *extensions):
        builder = x509.CertificateBuilder().subject_name(named(subject))
        builder = builder.issuer_name(named("mail authority")).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - day).not_valid_after(now + day)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(authority, hashes.SHA256())

    def san(name):
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    root = issue("mail authority", authority.public_key(),
                 (x509.BasicConstraints(ca=True, path_length=0), True))
    leaf = issue(names[0], key.public_key(),
                 (x509.SubjectAlternativeName([san(name) for name in names]), False),
                 (x509.BasicConstraints(ca=False, path_length=None), True))
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(root.public_bytes(pem))
    (folder / "server.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


async def main():
    context = None
    if setup["tls"] != "none":
        certificate(setup["names"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    handler = Handler()
    starttls = context if setup["tls"] == "starttls" else None
    options = {"hostname": "localhost", "tls_context": starttls, "require_starttls": bool(starttls)}
    if "user" in setup:
        options |= {"authenticator": authenticate, "auth_required": True,
                    "auth_require_tls": setup["tls"] != "none"}
        if setup["tls"] == "tls":
            # The connection is under TLS from the first byte: there is no STARTTLS to wait for.
            options["auth_require_tls"] = False
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Server(handler, **options), "127.0.0.1", 0,
        ssl=context if setup["tls"] == "tls" else None)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(main())
