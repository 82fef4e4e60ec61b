#!/bin/sh
# Makes a system root ready: packages, the agent, its units, and the settings of a device that nobody
# looks after. Run as root, on a board or in the chroot of an image being built; the clone that this
# lies in is installed. What needs the device itself is done once it boots, by first-boot.sh.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
clone=$(CDPATH='' cd -- "$here/../../.." && pwd -P)
home=/opt/fleeting

say() { printf 'fleeting-image: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "Only root can make a system ready: sudo sh $0"
[ "$(dpkg --print-architecture)" = arm64 ] || fail "This is for 64-bit ARM; this system is not."

install_packages() {
    apt-get update -qq
    wanted=
    while read -r mark name; do
        case $mark in '#'* | '') continue ;; '?') ;; *) name=$mark; mark= ;; esac
        if [ -n "$mark" ] && ! apt-cache policy "$name" | grep -q 'Candidate: [^(]'; then
            say "no $name in this archive: left out"
            continue
        fi
        wanted="$wanted $name"
    done <"$here/packages"
    # shellcheck disable=SC2086  # a list
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted
}

install_agent() {
    if [ "$clone" != "$home" ]; then
        [ ! -e "$home" ] || fail "$home is there already; run $home/tools/arm64/image/prepare.sh"
        git clone -q "$clone" "$home"
    fi
    if [ -e "$home/.venv/.fleeting-complete" ]; then
        sh "$home/tools/setup-venv"
    else
        sh "$home/tools/setup-venv" --system-site-packages
    fi
    sh "$home/tools/install.sh" --root /
    systemd-sysusers /etc/sysusers.d/fleeting.conf
    systemd-tmpfiles --create /etc/tmpfiles.d/fleeting.conf
    systemctl -q enable fleeting.target fleeting-update.path fleeting-update.timer \
        fleeting-update.service fleeting-restart.path media-fleeting.mount fleeting-renew.timer \
        fleeting-reboot.path
}

install_settings() {
    (cd "$here/files" && find . -type f) | while IFS= read -r name; do
        install -D -m 644 "$here/files/$name" "/$name"
    done
    # A disk that holds what was in memory would hold pictures.
    systemctl -q disable dphys-swapfile.service 2>/dev/null || true
    systemctl -q enable fleeting-first-boot.service fleeting-enrol.service
    # Raspberry Pi: the hardware watchdog, and the boot partition read only.
    config=/boot/firmware/config.txt
    if [ -f "$config" ] && ! grep -q '^dtparam=watchdog=on' "$config"; then
        printf '\n[all]\ndtparam=watchdog=on\n' >>"$config"
    fi
    sed -i -E 's#^(\S+\s+/boot/firmware\s+vfat\s+)defaults(\s)#\1defaults,ro\2#' /etc/fstab || true
}

install_packages
install_agent
install_settings
say "ready; the first boot makes the data partition and turns on the read-only root"
