"""Certificates of simulated devices: signed by the fleet's own authority, kept in memory only."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from tools.common.errors import ToolError
from tools.fleet.broker import certificates


class Wallet:
    """A TLS context for each device; OpenSSL takes certificates from files, so each lies for a
    moment in a file without a name."""

    def __init__(self, folder: Path) -> None:
        """`folder`: a fleet's. Raises `ToolError`."""
        place = folder / "ca"
        self._signer = certificates.load(place / "ca.pem", place / "ca.key")
        self._ca = self._signer.certificate_pem.decode()
        self._pairs: dict[str, bytes] = {}

    def context(self, name: str) -> ssl.SSLContext:
        """Raises `ToolError`."""
        if name not in self._pairs:
            pair = certificates.client(self._signer, certificates.check_device(name))
            self._pairs[name] = pair.certificate_pem + pair.key_pem
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._ca)
        file = os.memfd_create("device", os.MFD_CLOEXEC)
        try:
            os.write(file, self._pairs[name])
            context.load_cert_chain(f"/proc/self/fd/{file}")
        except (OSError, ssl.SSLError) as error:
            raise ToolError(f"The certificate of {name} cannot be used: {error}.") from None
        finally:
            os.close(file)
        return context
