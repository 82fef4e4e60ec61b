"""The image's recipe: what must outlive a reboot, scripts that the shell understands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.common.files import ROOT

IMAGE = ROOT / "tools" / "arm64" / "image"
UNITS = sorted((ROOT / "systemd").glob("*.service"))
OTHERS = {"/var/lib/systemd/timesync", "/etc/fleeting"}


def words(key: str) -> set[str]:
    """Values of a key in all units."""
    text = "\n".join(each.read_text(encoding="utf-8") for each in UNITS)
    lines = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return {word.lstrip("-") for each in lines for word in each.split()}


def persistent() -> list[str]:
    lines = (IMAGE / "persistent").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_all_that_the_units_keep_is_on_the_data_partition() -> None:
    kept = {f"/var/lib/{name}" for name in words("StateDirectory")}
    kept |= {f"/var/cache/{name}" for name in words("CacheDirectory")}
    kept |= {each for each in words("ReadWritePaths") if each.startswith("/var/")}
    assert len(kept) >= 6
    assert {*persistent()} == kept | OTHERS
    assert len(persistent()) == len(set(persistent()))


def test_services_wait_for_the_data_partition() -> None:
    drop_ins = IMAGE / "files" / "etc" / "systemd" / "system"
    keeping = {
        each.name for each in UNITS
        if re.search(r"^(StateDirectory|CacheDirectory|ReadWritePaths)=.*", each.read_text(),
                     re.MULTILINE)
    }  # fmt: skip
    waiting = {each.parent.name.removesuffix(".d") for each in drop_ins.glob("*/data.conf")}
    assert keeping <= waiting
    for each in drop_ins.glob("*/data.conf"):
        assert "RequiresMountsFor=/data\n" in each.read_text(encoding="utf-8")


def test_an_image_starts_what_an_installation_starts() -> None:
    installed = re.search(
        r"^enabled='([^']+)'", (ROOT / "tools/install.sh").read_text(encoding="utf-8"), re.MULTILINE
    )
    prepared = re.search(
        r"systemctl -q enable ((?:.*\\\n)+.*)$",
        (IMAGE / "prepare.sh").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert installed is not None
    assert prepared is not None
    assert {*prepared[1].replace("\\", "").split()} == {*installed[1].split()}


@pytest.mark.parametrize("script", sorted(IMAGE.glob("*.sh")), ids=lambda path: str(path.name))
def test_scripts_are_the_shells(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n#")
    assert "\nset -eu\n" in text


def test_the_layer_says_who_it_is() -> None:
    """rpi-image-gen reads its metadata from comments between two marks."""
    text = (IMAGE / "layer" / "fleeting.yaml").read_text(encoding="utf-8")
    head, _, body = text.partition("# METAEND\n---\n")
    assert head.startswith("# METABEGIN\n")
    fields = dict(re.findall(r"^# X-Env-([\w-]+): (.+)$", head, re.MULTILINE))
    assert fields["Layer-Name"] == "fleeting"
    assert fields["VarPrefix"] == "fleeting"
    assert body.startswith("mmdebstrap:\n")
    assert "prepare.sh" in body
    assert "IGconf_fleeting_repository" in body
    config = (IMAGE / "config" / "fleeting.yaml").read_text(encoding="utf-8")
    assert re.search(r"^  app: fleeting$", config, re.MULTILINE)


def test_first_start_by_cloud_init_leads_to_the_same_script() -> None:
    text = (IMAGE / "cloud-init" / "user-data").read_text(encoding="utf-8")
    assert text.startswith("#cloud-config\n")
    assert "\t" not in text
    assert "/opt/fleeting/tools/arm64/image/prepare.sh" in text
    named = re.findall(r"/etc/systemd/system/([\w-]+\.service)", text)
    files = IMAGE / "files" / "etc" / "systemd" / "system"
    assert named
    assert all((files / name).is_file() for name in named)
    for unit in files.glob("*.service"):
        started = re.search(
            r"^ExecStart=/bin/sh /opt/fleeting/(\S+)$", unit.read_text(), re.MULTILINE
        )
        assert started is not None
        assert (ROOT / started[1]).is_file()
