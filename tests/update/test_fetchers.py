"""Sources that are slow, endless, elsewhere, or full of links."""

from __future__ import annotations

import gzip
import http.server
import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import MetaFile

from agent.base.config import UpdateConfig
from agent.update import fetchers
from agent.update.errors import UpdateError
from agent.update.fetchers import FolderFetcher, WebFetcher
from agent.update.repository import Repository
from tests.update.conftest import Clock, Device
from tests.update.repository_simulator import BASE, RepositorySimulator
from tests.update.sources import Answer, FolderSource, WebSource, web
from tools.fleet.broker import certificates

Request = http.server.BaseHTTPRequestHandler
TARGET = "app/app-0.2.0.tar.gz"


def answers(device: Device) -> dict[str, Answer]:
    assert isinstance(device.source, WebSource)
    return device.source.answers


def target_of(fleet: RepositorySimulator) -> str:
    return f"targets/app/{fleet.roles['app'].targets[TARGET].hashes['sha256']}.app-0.2.0.tar.gz"


def begin(request: Request, status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.flush()


def endless(request: Request) -> None:
    begin(request)
    while True:
        request.wfile.write(b"x" * 65_536)
        request.wfile.flush()


def drip(request: Request) -> None:
    """A byte of the body now and then."""
    begin(request, Content_Length="100000")
    _drip(request)


def drip_headers(request: Request) -> None:
    """Never comes to the body."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Name: ")
    _drip(request)


def drip_chunks(request: Request) -> None:
    begin(request, Transfer_Encoding="chunked")
    while True:
        request.wfile.write(b"1\r\nx\r\n")
        request.wfile.flush()
        time.sleep(0.01)


def silent(request: Request) -> None:
    begin(request, Content_Length="100")
    time.sleep(1)


def _drip(request: Request) -> None:
    while True:
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.01)


def recovers(device: Device) -> None:
    answers(device).clear()
    device.installs()


# Endless data and slow retrieval


@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json", "2.snapshot.json"])
def test_endless_metadata_is_cut_off(online: Device, name: str) -> None:
    answers(online)[f"metadata/{name}"] = endless
    online.refuses("too_large", words=name)
    recovers(online)


def test_an_endless_target_is_cut_off(online: Device, fleet: RepositorySimulator) -> None:
    answers(online)[target_of(fleet)] = endless
    online.refuses("too_large")
    recovers(online)


def test_a_stolen_online_key_cannot_announce_endless_metadata(
    online: Device, fleet: RepositorySimulator
) -> None:
    fleet.roles["timestamp"].snapshot_meta = MetaFile(9, length=10**15)
    fleet.refresh()
    online.source.serve(fleet.served)
    answers(online)["metadata/9.snapshot.json"] = endless
    online.refuses("too_large")


@pytest.mark.parametrize("how", [drip, drip_headers, drip_chunks])
@pytest.mark.parametrize("name", ["metadata/timestamp.json", "target"])
def test_a_server_that_drips_is_given_up(
    online: Device,
    fleet: RepositorySimulator,
    monkeypatch: pytest.MonkeyPatch,
    how: Answer,
    name: str,
) -> None:
    """Each byte comes well within the socket's own time-out."""
    monkeypatch.setattr(fetchers, "METADATA_SECONDS", 0.2)
    monkeypatch.setattr(fetchers, "SLOWEST", 10_000_000)
    answers(online)[target_of(fleet) if name == "target" else name] = how
    online.refuses("download", words="too slow")
    monkeypatch.undo()
    recovers(online)


def test_a_server_that_falls_silent_is_given_up(
    online: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetchers, "SILENCE", 0.1)
    answers(online)["metadata/timestamp.json"] = silent
    online.refuses("download", words="too slow")
    monkeypatch.undo()
    recovers(online)


def test_a_transfer_that_breaks_off_is_named(online: Device, fleet: RepositorySimulator) -> None:
    def breaks(request: Request) -> None:
        begin(request, Content_Length="100000")
        request.wfile.write(b"x" * 500)

    for path in (target_of(fleet), "metadata/timestamp.json"):
        answers(online)[path] = breaks
        online.refuses("download", words="broke off")
        recovers(online)


def test_what_is_packed_is_not_unpacked(online: Device, fleet: RepositorySimulator) -> None:
    """A few bytes of gzip make gigabytes."""
    assert isinstance(online.source, WebSource)
    packed = gzip.compress(online.source.files["metadata/timestamp.json"])

    def bomb(request: Request) -> None:
        assert request.headers["Accept-Encoding"] == "identity"
        begin(request, Content_Encoding="gzip", Content_Length=str(len(packed)))
        request.wfile.write(packed)

    answers(online)["metadata/timestamp.json"] = bomb
    online.refuses("untrusted", words="malformed")
    recovers(online)


# Elsewhere


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json"])
def test_redirects_are_not_followed(online: Device, status: int, name: str) -> None:
    with web() as other:

        def elsewhere(request: Request) -> None:
            where = f"{other.url}/metadata/{name}"
            begin(request, status, Location=where, Content_Length="0")

        answers(online)[f"metadata/{name}"] = elsewhere
        online.refuses("download", words="another address")
        assert not other.asked
    recovers(online)


@pytest.mark.parametrize("status", [204, 206, 400, 401, 410, 429, 500, 503])
def test_other_answers_are_named(online: Device, status: int) -> None:
    def answer(request: Request) -> None:
        begin(request, status, Content_Length="0")

    answers(online)["metadata/timestamp.json"] = answer
    online.refuses("download", words=str(status))
    recovers(online)


def test_what_is_no_http_is_named(online: Device) -> None:
    def noise(request: Request) -> None:
        request.wfile.write(b"\0\1 no\n")

    answers(online)["metadata/timestamp.json"] = noise
    online.refuses("download", words="broke off")
    recovers(online)


def test_a_proxy_of_the_environment_is_not_used(
    online: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    online.installs()


@pytest.mark.parametrize(
    "url",
    [
        "http://updates.example/x",
        "http://8.8.8.8",
        "http://134744072/",
        "https://user:secret@updates.example/x",
        "https://updates.example/x?y=1",
        "https://updates.example/x#y",
        "https://",
        "https:///x",
        "https://host:99999/",
        "https://host:port/",
        "https://[::1/",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
    ],
)
def test_addresses_that_are_not_used(url: str) -> None:
    with pytest.raises(UpdateError, match=r"update\.url") as caught:
        WebFetcher(url)
    assert caught.value.reason == "off"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://updates.example/x", "http://127.0.0.1:8000", "http://10.0.0.1/", "http://[::1]/x"],
)
def test_addresses_that_are_used(url: str) -> None:
    assert WebFetcher(url).base == url.rstrip("/") + "/"


def test_a_host_that_is_not_there_is_named(device: Device, tmp_path: Path) -> None:
    with web() as gone:
        url = gone.url
    for each in (url, "https://127.0.0.1:9/x", "https://nowhere.invalid/"):
        config = UpdateConfig(url=each, root=device.root)
        with pytest.raises(UpdateError, match="cannot be reached") as caught:
            Repository(config, device.state, clock=Clock(), base=BASE).find("app", "0.2.0")
        assert caught.value.reason == "no_host"
        assert not caught.value.rejected


@pytest.fixture
def tls(online: Device, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The same repository over TLS: address, and the authority's certificate."""
    authority = certificates.authority("Test")
    pair = certificates.server(authority, ["localhost"])
    for name, data in (("pem", pair.certificate_pem), ("key", pair.key_pem)):
        (tmp_path / f"server.{name}").write_bytes(data)
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.certificate_pem)
    with web() as source:
        assert isinstance(online.source, WebSource)
        source.serve(online.source.files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
        source.wrap(context)
        port = source.url.split(":")[2].split("/")[0]
        yield f"https://localhost:{port}/repository", trusted


def test_tls_of_a_known_authority_is_used(
    online: Device, tls: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, trusted = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    config = UpdateConfig(url=url, root=online.root)
    repository = Repository(config, online.state, clock=Clock(), base=BASE)
    assert repository.download(repository.find("app", "0.2.0"), online.downloads).is_file()
    wrong = UpdateConfig(url=url.replace("localhost", "127.0.0.1"), root=online.root)
    with pytest.raises(UpdateError, match="mismatch") as caught:
        Repository(wrong, online.state, clock=Clock(), base=BASE).find("app", "0.2.0")
    assert caught.value.reason == "no_host"


def test_tls_of_an_unknown_authority_is_refused(online: Device, tls: tuple[str, Path]) -> None:
    config = UpdateConfig(url=tls[0], root=online.root)
    with pytest.raises(UpdateError, match="certificate verify failed") as caught:
        Repository(config, online.state, clock=Clock(), base=BASE).find("app", "0.2.0")
    assert caught.value.reason == "no_host"


# A stick


@pytest.fixture
def stick(tmp_path: Path, fleet: RepositorySimulator) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    FolderSource(folder).serve(fleet.served)
    return folder


def fetch(folder: Path, path: str) -> bytes:
    fetcher = FolderFetcher(folder)
    return b"".join(fetcher.chunks(fetcher.base + path, 1))


def refused(folder: Path, path: str) -> str:
    with pytest.raises(UpdateError) as caught:
        fetch(folder, path)
    return caught.value.reason


def test_the_repository_may_lie_in_a_folder_of_its_name(tmp_path: Path, stick: Path) -> None:
    (tmp_path / "whole").mkdir()
    stick.rename(tmp_path / "whole" / "repository")
    assert fetch(tmp_path / "whole", "metadata/timestamp.json")


@pytest.mark.parametrize("name", ["none", "file"])
def test_a_stick_without_a_repository_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UpdateError, match="no update repository") as caught:
        FolderFetcher(tmp_path / name)
    assert caught.value.reason == "no_host"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "metadata/../../secret",
        "metadata/%2E%2E/%2e%2e/secret",
        "metadata/..%2F..%2Fsecret",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "metadata//timestamp.json",
        "metadata/.",
        "metadata/x%00",
        "",
    ],
)
def test_no_path_leads_off_the_stick(tmp_path: Path, stick: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    assert refused(stick, path) == "untrusted"


def test_no_link_leads_off_the_stick(tmp_path: Path, stick: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (stick / "metadata" / "link.json").symlink_to(tmp_path / "secret")
    (stick / "metadata" / "near.json").symlink_to("timestamp.json")
    assert refused(stick, "metadata/link.json") == "untrusted"
    assert refused(stick, "metadata/near.json") == "untrusted"
    (stick / "metadata").rename(tmp_path / "elsewhere")
    (stick / "metadata").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((UpdateError, DownloadHTTPError)):
        fetch(stick, "metadata/timestamp.json")


def test_what_is_no_file_is_not_waited_for(stick: Path) -> None:
    os.mkfifo(stick / "metadata" / "pipe.json")
    (stick / "metadata" / "folder.json").mkdir()
    assert refused(stick, "metadata/pipe.json") == "untrusted"
    assert refused(stick, "metadata/folder.json") == "untrusted"
    (stick / "metadata" / "null.json").symlink_to("/dev/zero")
    assert refused(stick, "metadata/null.json") == "untrusted"


def test_a_device_with_a_hostile_stick_goes_on_with_a_good_one(
    tmp_path: Path, stick: Path, fleet: RepositorySimulator
) -> None:
    source = FolderSource(stick)
    device = Device(tmp_path, fleet.root_bytes, source)
    (stick / "metadata" / "timestamp.json").unlink()
    (stick / "metadata" / "timestamp.json").symlink_to("/dev/zero")
    device.refuses("untrusted")
    source.serve(fleet.served)
    device.installs()
    target = stick / target_of(fleet)
    target.rename(tmp_path / "moved")
    target.symlink_to(tmp_path / "moved")
    device.refuses("untrusted")
