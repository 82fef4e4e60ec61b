"""`fleeting enrol`: a certificate for this device, and with `--renew` the next one.

Every step leaves files from which the next run goes on, with the same key.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.base.clock import WallClock
from agent.base.errors import PublishError, StoreError
from agent.base.names import as_utf8, one_line
from agent.uplink.enrol.bundle import Site, read_bundle
from agent.uplink.enrol.converse import NO_CLOCK, Means, ask
from agent.uplink.enrol.errors import EnrolError, WaitingError
from agent.uplink.enrol.examine import Wanted, examine, parse
from agent.uplink.enrol.identity import Identity, Pair, renewal
from agent.uplink.enrol.link import AwayError, Link
from agent.uplink.enrol.messages import decode, fingerprint
from agent.uplink.resolver.lookup import Lookup

RENEWAL_WAIT = 120.0
"""Seconds that a renewal waits for its answer, unless told otherwise."""
_REPEAT = 60.0
"""Seconds after which a request is published again: the fleet's side may only now be listening."""
_PAUSES = (2.0, 60.0)
"""Seconds before the next attempt to connect: at first, and at most."""
_LONGEST = 366 * 86_400
"""Seconds."""
_REFUSED = {
    "operator": "An operator refused it",
    "used": "The bootstrap certificate has already served another key. If that was not you, tell "
    "the operator at once",
    "revoked": "This device's certificates are revoked",
    "too_many": "Too many keys wait for approval under this name",
    "superseded": "A newer certificate exists for this device: somebody may have its key",
    "too_early": "Less than half of the certificate's life is over",
}


@dataclass
class Session:
    """One run of the command, with what tests replace."""

    identity: Identity
    wait: float | None = None
    """Seconds to wait for an answer; None: for ever."""
    clock: Callable[[], float | None] = field(default_factory=lambda: WallClock().utc)
    """UTC seconds, None while the clock is not trusted."""
    wall: Callable[[], float] = time.time
    """Whatever the clock says."""
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
    sleep: Callable[[float], None] = time.sleep

    def enrol(self, bundle_path: Path | None) -> dict[str, object]:
        """Get the first certificate. Returns what is printed. Raises `EnrolError`, `WaitingError`,
        `ConfigError`, `OSError`."""
        bundle = None if bundle_path is None else read_bundle(bundle_path)
        _become_owner(self.identity.folder)
        with self.identity.locked():
            pair = self.identity.pair(self.identity.device)
            if pair is not None and not self._over(pair):
                return self._already(pair, again=bundle is not None)
            if bundle is not None:
                self.identity.take_in(bundle)
            site = self._site()
            voucher = self.identity.pair(self.identity.bootstrap)
            if voucher is None:
                raise EnrolError(
                    "There is no bootstrap certificate left. Have a bundle made: fleeting-fleet "
                    f"bootstrap {site.device}. Then: fleeting enrol BUNDLE."
                )
            if pair is not None:
                self._forget(pair)
            certificate = self._ask(site, voucher, None)
            self.identity.install(site)
            return self._result(site, certificate, "enrolled")

    def renew(self, *, early: bool = False) -> dict[str, object]:
        """Get the next certificate, with a new key, once two thirds of the present one's life are
        over. `early`: now, which the fleet grants from the half on. Returns and raises as `enrol`.

        A clock that is not trusted may still say that it is time: the fleet judges by its own.
        """
        _become_owner(self.identity.folder)
        with self.identity.locked():
            site, pair = self._site(), self.identity.pair(self.identity.device)
            if pair is None:
                raise EnrolError(
                    "This device is not enrolled, so there is nothing to renew. First: fleeting "
                    "enrol BUNDLE."
                )
            self._forget(pair)
            trusted = self.clock()
            now = self.wall() if trusted is None else trusted
            if trusted is None:
                self.say(f"{NO_CLOCK}. Whether a renewal is due goes by it all the same.")
            if now < renewal(pair.certificate).timestamp() and not early:
                return self._result(site, pair.certificate, "not due")
            if self._over(pair):
                raise EnrolError(
                    f"The certificate ended on {_day(pair.certificate)}, and only a valid one can "
                    "be renewed. Have a bundle made: fleeting-fleet bootstrap "
                    f"{site.device}. Then: fleeting enrol BUNDLE."
                )
            certificate = self._ask(site, pair, pair.certificate)
            self._try(site)
            self.identity.install(site)
            return self._result(site, certificate, "renewed")

    def _ask(self, site: Site, voucher: Pair, before: x509.Certificate | None) -> x509.Certificate:
        """Ask, wait, examine the answer and keep it in `next.pem`. `before`: the certificate to
        follow; None: this is the first."""
        pending = self.identity.request(site.device)
        key, now = pending.key.public_key(), self.clock()
        wanted = Wanted(site.device, key, self.identity.trusted(), now, before)
        resumed = self._resumed(wanted)
        if resumed is not None:
            return resumed
        if now is None:
            self.say(f"{NO_CLOCK}. The broker judges them when the device connects.")
        elif now >= voucher.certificate.not_valid_after_utc.timestamp():
            raise EnrolError(
                f"The bootstrap certificate ended on {_day(voucher.certificate)}. Have a new "
                f"bundle made: fleeting-fleet bootstrap {site.device}. The key stays the same."
            )
        if before is None:
            self.say(
                f"Device {site.device}, key {fingerprint(key)}\nCompare it with what "
                "`fleeting-fleet enrolments` shows; then, there: fleeting-fleet approve "
                f"{site.device}"
            )
        path = self.identity.bootstrap if before is None else self.identity.device
        settings = self.identity.settings(site, path, bootstrap=before is None)
        means = Means(self.wait, self.clock, self.say, self.sleep)
        answer = ask(site.device, settings, pending, voucher, means, renewing=before is not None)
        if answer.refused is not None or answer.certificate is None:
            if answer.refused not in ("too_many", "too_early"):
                self.identity.pending.unlink(missing_ok=True)  # this key gets none any more
            raise EnrolError(f"{_REFUSED[answer.refused or 'operator']}. Nothing was installed.")
        try:
            certificate = parse(decode(answer.certificate))
        except ValueError:
            raise EnrolError("The answer holds no certificate. Nothing was installed.") from None
        examine(certificate, replace(wanted, now=self.clock()))
        self.identity.keep(pending, certificate)
        return certificate

    def _resumed(self, wanted: Wanted) -> x509.Certificate | None:
        """The certificate that an earlier run examined and could not install any more."""
        found = self.identity.pair(self.identity.next)
        if found is None or found.key.public_key() != wanted.key:
            return None
        try:
            examine(found.certificate, wanted)
        except EnrolError:
            return None
        return found.certificate

    def _try(self, site: Site) -> None:
        """Connect with `next.pem`. Raises `WaitingError` where the broker is away."""
        lookup = Lookup(site.host)
        try:
            settings = self.identity.settings(site, self.identity.next)
            Link(settings, site.device, lookup.addresses()).__exit__(None, None, None)
        except (AwayError, PublishError) as error:
            raise WaitingError(
                f"{error} The new certificate is here and was not tried yet; the old one stays."
            ) from None
        except EnrolError as error:
            raise EnrolError(f"{error} That was the new certificate; the old one stays.") from None
        finally:
            lookup.close()

    def _site(self) -> Site:
        site = self.identity.site()
        if site is None:
            raise EnrolError(
                f"Nothing is known here yet ({self.identity.folder}). Have a bundle made: "
                "fleeting-fleet bootstrap ID. Then: fleeting enrol BUNDLE."
            )
        return site

    def _over(self, pair: Pair | None) -> bool:
        now = self.clock()
        return (
            pair is not None
            and now is not None
            and now >= pair.certificate.not_valid_after_utc.timestamp()
        )

    def _forget(self, pair: Pair) -> None:
        """A run that was killed after the swap left the key that is in use as the waiting one."""
        for path in (self.identity.next, self.identity.pending):
            if _same_key(path, pair):
                path.unlink(missing_ok=True)

    def _already(self, pair: Pair, *, again: bool) -> dict[str, object]:
        site = self._site()
        if again:
            raise EnrolError(
                f"This device has a certificate, valid until {_day(pair.certificate)}, and its key "
                "is not overwritten while it is. If it must go (its key was stolen): "
                f"fleeting-fleet revoke {site.device}, then here: rm {self.identity.device}"
            )
        self.identity.tidy()
        return self._result(site, pair.certificate, "enrolled")

    def _result(self, site: Site, certificate: x509.Certificate, state: str) -> dict[str, object]:
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return {
            "device": site.device,
            "state": state,
            "fingerprint": fingerprint(key),
            "serial": f"{certificate.serial_number:x}",
            "not_after": int(certificate.not_valid_after_utc.timestamp()),
            "renewal": int(renewal(certificate).timestamp()),
            "dates_judged": self.clock() is not None,
            "settings": as_utf8(self.identity.lines),
        }


def enrol(
    bundle: Path | None,
    folder: Path,
    *,
    renew: bool,
    early: bool,
    wait: float | None,
    as_json: bool,
) -> int:
    """The command. Returns the exit code. Raises `EnrolError`, `ConfigError`, `StoreError`."""
    if renew and bundle is not None:
        raise EnrolError("A renewal needs no bundle: fleeting enrol --renew.")
    if early and not renew:
        raise EnrolError("--early goes with --renew.")
    if wait is not None and not 0 <= wait <= _LONGEST:
        raise EnrolError(f"--wait {wait} is no number of seconds from 0 to {_LONGEST}.")
    if renew and wait is None:
        wait = RENEWAL_WAIT
    session = Session(Identity(folder), wait)
    try:
        found = session.renew(early=early) if renew else session.enrol(bundle)
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder} cannot be used: {error.strerror}. Free space or correct "
            "its rights, then run this again: nothing is lost."
        ) from None
    if as_json:
        print(json.dumps(found))
        return 0
    end, due = (time.strftime("%Y-%m-%d", time.gmtime(found[k])) for k in ("not_after", "renewal"))  # type: ignore[arg-type]
    print(f"{found['device']}: {found['state']}; valid until {end}, to be renewed from {due} on.")
    if not found["dates_judged"]:
        print(f"{NO_CLOCK}; the broker judges them when the device connects.")
    if found["state"] != "not due" and not renew:
        lines = session.identity.lines
        print(f"The lines for the configuration are in {one_line(lines)}:\n")
        print(lines.read_text(encoding="utf-8"), end="")
    return 0


def _same_key(path: Path, pair: Pair) -> bool:
    """Whether a file begins with the key of `pair`; damaged ones are told of elsewhere."""
    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    return found.public_key() == pair.key.public_key()


def _become_owner(folder: Path) -> None:
    """As root, go on as the user to whom the folder belongs: that one has to read the key."""
    try:
        owner = folder.stat().st_uid
    except FileNotFoundError:
        return
    if os.geteuid() != 0 or owner == 0:
        return
    try:
        found = pwd.getpwuid(owner)
    except KeyError:
        raise EnrolError(
            f"{folder} belongs to nobody that is known here (number {owner}). Give it to the user "
            f"of the uplink: chown fleeting-uplink {folder}"
        ) from None
    "localhost".encode("idna")  # loads what TLS needs, while Python's own files can be read
    os.initgroups(found.pw_name, found.pw_gid)
    os.setgid(found.pw_gid)
    os.setuid(owner)


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"
