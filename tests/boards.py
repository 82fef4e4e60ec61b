"""Folders that look like /sys of a board."""

from __future__ import annotations

import os
from pathlib import Path

PI_4 = {
    "class/thermal/thermal_zone0": {"type": "cpu-thermal", "temp": "48312"},
    "class/hwmon/hwmon0": {"name": "cpu_thermal", "temp1_input": "48312"},
    "class/hwmon/hwmon1": {"name": "rpi_volt", "in0_lcrit_alarm": "0"},
    "devices/platform/soc/soc:firmware": {"get_throttled": "0"},
}
PI_5 = {
    "class/thermal/thermal_zone0": {"type": "cpu-thermal", "temp": "52700"},
    "class/hwmon/hwmon3": {"name": "rpi_volt", "in0_lcrit_alarm": "0"},
    "devices/platform/soc@107c000000/soc@107c000000:firmware": {"get_throttled": "0"},
}
ORIN = {
    "class/thermal/thermal_zone0": {"type": "cpu-thermal", "temp": "51250"},
    "class/thermal/thermal_zone1": {"type": "gpu-thermal", "temp": "49062"},
    "class/thermal/thermal_zone2": {"type": "cv0-thermal", "temp": "-256000"},
    "class/thermal/thermal_zone5": {"type": "soc0-thermal", "temp": "50125"},
    "class/thermal/thermal_zone8": {"type": "tj-thermal", "temp": "51750"},
    "class/hwmon/hwmon1": {"name": "ina3221", "curr1_crit_alarm": "0", "curr2_crit_alarm": "0"},
    "class/hwmon/hwmon2": {
        "name": "soctherm_oc", "oc1_event_cnt": "0", "oc2_event_cnt": "0", "oc3_event_cnt": "0",
    },
}  # fmt: skip
NANO = {
    "class/thermal/thermal_zone0": {"type": "AO-therm", "temp": "38500"},
    "class/thermal/thermal_zone1": {"type": "CPU-therm", "temp": "33000"},
    "class/thermal/thermal_zone2": {"type": "PMIC-Die", "temp": "100000"},
    "class/thermal/thermal_zone3": {"type": "thermal-fan-est", "temp": "35250"},
}


def make(root: Path, files: dict[str, dict[str, str]]) -> Path:
    """Write the files, and return `root`."""
    for folder, values in files.items():
        for name, text in values.items():
            put(root, f"{folder}/{name}", text)
    return root


def put(root: Path, name: str, text: str) -> None:
    """Replace one file at once, as the kernel answers: never half."""
    path = root / "sys" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text + "\n")
    os.replace(temporary, path)


def heat(root: Path, degrees: float) -> None:
    """Set the temperature of the first zone."""
    put(root, "class/thermal/thermal_zone0/temp", str(round(degrees * 1000)))
