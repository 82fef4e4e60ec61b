"""Where a webhook may go, and where nobody gets it to."""

from __future__ import annotations

import ipaddress

import pytest

from tools.fleet.alerts.webhooks.address import AddressError, choose, parse

INSIDE = ("127.0.0.1", "10.1.2.3", "192.168.7.7", "172.16.0.1", "fd12::1", "::1",
          "::ffff:10.0.0.1")  # fmt: skip
OUTSIDE = ("93.184.216.34", "2606:4700::1111")
BARRED = (
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "0.0.0.0", "::",
    "224.0.0.1", "ff02::1", "255.255.255.255", "100.100.100.200", "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe", "240.0.0.1",
)  # fmt: skip


@pytest.mark.parametrize("address", [*INSIDE, *OUTSIDE])
def test_https_goes_anywhere_that_is_somewhere(address: str) -> None:
    target = parse("https://hooks.example/x?y=1")
    chosen = choose(target, resolver=lambda *_: [address])
    assert ipaddress.ip_address(chosen) == ipaddress.ip_address(address)


@pytest.mark.parametrize("address", [*INSIDE, *OUTSIDE])
def test_http_stays_inside(address: str) -> None:
    target = parse("http://hooks.example:8080/")
    if address in INSIDE:
        choose(target, resolver=lambda *_: [address])
    else:
        with pytest.raises(AddressError, match="only https"):
            choose(target, resolver=lambda *_: [address])


@pytest.mark.parametrize("address", BARRED)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_metadata_no_link_local_no_crowd(address: str, scheme: str) -> None:
    target = parse(f"{scheme}://hooks.example/")
    for found in ([address], ["10.0.0.1", address]):
        with pytest.raises(AddressError, match="no webhook may reach"):
            choose(target, resolver=lambda *_, found=found: found)


def test_what_is_barred_may_be_allowed() -> None:
    target = parse("http://169.254.10.1/")
    network = ipaddress.ip_network("169.254.10.0/24")
    assert choose(target, [network]) == "169.254.10.1"
    with pytest.raises(AddressError):
        choose(parse("http://169.254.169.254/"), [network])


@pytest.mark.parametrize(
    "url",
    ["ftp://x/", "file:///etc/passwd", "https://", "https:///x", "x", "", "https://u:p@x/",
     "https://x/#f", "https://x:0/", "https://x:99999/", "https://x y/", "https://x/\r\nA: b",
     "https://x/ä", "https://a_b$c/", "https://" + "x" * 3000, "HTTPS://x\t/"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressError):
        parse(url)


def test_a_url_is_taken_apart() -> None:
    target = parse("https://[fd12::1]:8443/a/b?c=d")
    assert (target.host, target.port, target.path, target.tls) == (
        "fd12::1",
        8443,
        "/a/b?c=d",
        True,
    )
    assert target.header == "[fd12::1]:8443"
    assert target.origin == "https://[fd12::1]:8443", "the path may be a secret"
    assert parse("https://h.example").path == "/"
