#!/bin/sh
# Installs this clone as a service, or takes it away again. See `sh tools/install.sh --help`.
set -eu
umask 022

usage() {
    cat <<'EOF'
Usage: sudo sh tools/install.sh [OPTION...]

Copies this clone to /opt/fleeting, makes the Python environment there, installs the units, their
users and folders, writes /etc/fleeting/fleeting.toml where there is none, and starts
fleeting.target. Run it again at will, for instance after `git pull`: where the clone is not what
was installed last, it is then in force, and not what an update had put into a slot.

  --dry-run           say what would be done; change nothing
  --no-start          enable the units, start nothing
  --no-venv           leave the Python environment alone
  --broker ADDRESS    let the uplink reach this IP address (or ADDRESS/BITS) and no other; with a
                      name in mqtt.host, this machine must look names up itself (systemd-resolved)
  --updates ADDRESS   let the updater reach this IP address (or ADDRESS/BITS) and no other
  --root DIR          install into an image below DIR; no environment, no services
  --uninstall         stop and remove all but /etc/fleeting and what was measured and signed
  --purge             with --uninstall: that too
  --help

PYTHON=/path/to/python3.12 names the interpreter to use.
EOF
}

say() { printf 'fleeting: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
dry=
start=yes
venv=yes
broker=
updates=
image=
uninstall=
purge=
while [ "$#" -gt 0 ]; do
    case $1 in
        --dry-run) dry=yes ;;
        --no-start) start= ;;
        --no-venv) venv= ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --broker | --updates | --root)
            [ "$#" -ge 2 ] || fail "$1 needs a value; see --help"
            case $1 in --broker) broker=$2 ;; --updates) updates=$2 ;; --root) image=$2 ;; esac
            shift
            ;;
        --help | -h) usage; exit 0 ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    shift
done
[ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall"
for address in "$broker" "$updates"; do
    case $address in
        *[!0-9A-Fa-f:./]*) fail "--broker, as --updates, takes an IP address, not '$address': systemd
  filters packets, and packets bear no names. Look it up: getent ahosts $address" ;;
    esac
done
if [ -n "$image" ]; then
    image=$(CDPATH='' cd -- "$image" 2>/dev/null && pwd -P) || fail "--root: there is no such folder"
    start=''
    venv=''
fi

home=$image/opt/fleeting
settings=$image/etc/fleeting/fleeting.toml
units=$image/etc/systemd/system
update_filter=$units/fleeting-update.service.d/host.conf
slots=$image/var/lib/fleeting-update
names='fleeting-perceive.service fleeting-uplink.service fleeting.target fleeting-update.service
fleeting-update.path fleeting-update.timer fleeting-restart.path fleeting-restart.service
media-fleeting.mount fleeting-renew.service fleeting-renew.timer fleeting-reboot.path
fleeting-reboot.service'
# What is enabled, beside what fleeting.target pulls in; what starts the updater before itself, so
# that nothing starts it again when one after the other is stopped.
enabled='fleeting.target fleeting-update.path fleeting-update.timer fleeting-update.service
fleeting-restart.path media-fleeting.mount fleeting-renew.timer fleeting-reboot.path'
users=$image/etc/sysusers.d/fleeting.conf
folders=$image/etc/tmpfiles.d/fleeting.conf
list=$home/.installed-files

# Do it, or with --dry-run say so.
run() {
    if [ -n "$dry" ]; then printf 'would run: %s\n' "$*"; else "$@"; fi
}

remove() {
    for path in "$@"; do
        if [ -e "$path" ] || [ -L "$path" ]; then run rm -rf -- "$path"; fi
    done
}

# Write standard input to $1 with mode $2, whole or not at all; not when it is there already.
put() {
    new=$(cat; echo .)
    if [ -f "$1" ] && [ "$(cat "$1"; echo .)" = "$new" ]; then
        return 0
    fi
    if [ -n "$dry" ]; then
        printf 'would write: %s\n' "$1"
        return 0
    fi
    mkdir -p -- "$(dirname -- "$1")"
    printf '%s' "${new%.}" >"$1.new"
    chmod "$2" "$1.new"
    sync "$1.new" 2>/dev/null || sync
    mv -f -- "$1.new" "$1"
    say "wrote $1"
}

# Whether services can be started and stopped: not in an image.
live() { [ -z "$image" ]; }

check_machine() {
    live || return 0
    [ -n "$dry" ] || [ "$(id -u)" -eq 0 ] ||
        fail "Only root may install services: sudo sh tools/install.sh"
    [ -d /run/systemd/system ] || [ -n "$dry" ] || fail "This machine is not run by systemd. Without it:
  sh tools/setup-venv && .venv/bin/fleeting run"
}

check_space() {
    needed=100000
    [ -z "$venv" ] || [ -e "$home/.venv/.fleeting-complete" ] || needed=1400000
    place=$home
    while [ ! -d "$place" ]; do place=$(dirname -- "$place"); done
    free=$(df -Pk "$place" | awk 'NR == 2 { print $4 }')
    [ "${free:-0}" -ge "$needed" ] ||
        fail "Too little space in $place: $((needed / 1000)) MB are needed, $((free / 1000)) MB are free"
}

# The names of all files to install, one per line.
files() {
    if [ -e "$source/.git" ] && command -v git >/dev/null 2>&1; then
        # Another owner's clone is the usual case under sudo. What is listed and gone is not copied.
        git -c "safe.directory=$source" -C "$source" -c core.quotePath=off ls-files |
            while IFS= read -r name; do
                [ ! -f "$source/$name" ] || printf '%s\n' "$name"
            done
    else
        (cd "$source" && find . -type f ! -path './.venv/*' ! -path './runs/*' ! -path './.*' \
            ! -path '*/__pycache__/*' | cut -c 3-)
    fi | LC_ALL=C sort
}

# One line that changes whenever what a slot would hold does.
content() {
    files | grep -E '^(agent|models)/|^requirements\.txt$' | while IFS= read -r name; do
        cat "$source/$name"
    done | cksum
}

# What is installed now is what is to run; floors and trusted metadata stay.
take_back_updates() {
    now=$(content)
    [ "$(cat "$home/.installed-content" 2>/dev/null || true)" != "$now" ] || return 0
    remove "$slots/current" "$slots/confirmed" "$slots/restart" "$slots/state.json" \
        "$slots/a" "$slots/b"
    [ -n "$dry" ] || printf '%s\n' "$now" >"$home/.installed-content"
}

copy_clone() {
    if [ "$source" = "$home" ]; then
        say "the clone is $home itself: nothing to copy"
        return 0
    fi
    if [ -n "$dry" ]; then
        printf 'would copy: %s files from %s to %s\n' "$(files | wc -l | tr -d ' ')" "$source" "$home"
        return 0
    fi
    mkdir -p -- "$home"
    files >"$list.new"
    [ -s "$list.new" ] || fail "no files found in $source; is it a whole clone?"
    # What an older release had and this one has not would still be imported.
    if [ -f "$list" ]; then
        LC_ALL=C comm -23 "$list" "$list.new" | while IFS= read -r name; do
            rm -f -- "$home/$name"
        done
    fi
    tar -C "$source" -cf - -T "$list.new" | tar -C "$home" -xf - --no-same-owner ||
        fail "copying to $home failed; see the line above"
    mv -f -- "$list.new" "$list"
    say "copied $(wc -l <"$list" | tr -d ' ') files to $home"
}

make_venv() {
    [ -n "$venv" ] || return 0
    if ! "${PYTHON:-python3}" -c 'import picamera2' >/dev/null 2>&1; then
        run sh "$home/tools/setup-venv"
    elif [ -e "$home/.venv/.fleeting-complete" ] &&
        grep -q '^include-system-site-packages = true' "$home/.venv/pyvenv.cfg"; then
        run sh "$home/tools/setup-venv"
    else
        # apt's picamera2 cannot be had from pip
        run sh "$home/tools/setup-venv" --system-site-packages
    fi
    # The units may not write here, and compiling at every start is slow.
    run "$home/.venv/bin/python" -m compileall -qq -j 0 "$home/agent" "$home/.venv/lib" || true
}

# An id that no other box has, from machine-id(5), which is not to be told itself; none in an image,
# from which many boxes are made. As `agent/uplink/device_id.py` suggests it.
device_id() {
    machine=$(cat /etc/machine-id 2>/dev/null || true)
    if live && [ -n "$machine" ]; then
        printf 'id = "box-%s"' "$(printf 'fleeting %s' "$machine" | sha256sum | cut -c 1-8)"
    else
        printf '# id = "fleeting"'
    fi
}

default_settings() {
    cat <<EOF
# Fleeting's configuration. Every key has a default; \`fleeting config show\` prints them all.
# Check it: sudo -u fleeting-perceive /opt/fleeting/.venv/bin/fleeting check --config FILE
# Then: sudo systemctl restart fleeting.target

[device]
# One MQTT topic level and the certificate's common name; no other box of yours may have it, and
# beyond this machine the default is refused.
$(device_id)
# region = "eu"             # eu, us, other
# place = "retail"          # retail, workplace, education, laboratory, clinic, home

[source]
# kind = "picamera2"        # picamera2, v4l2, gstreamer, file
# target = ""               # camera number, /dev/videoN, pipeline or file; empty: the first camera

[privacy]
# policy = "retail-eu"
# notice_shown = false      # true once the notice is displayed on site

[mqtt]
# host = "localhost"        # then also: sudo sh tools/install.sh --broker ADDRESS
# port = 1883
# username = ""
# password_file = "/etc/fleeting/mqtt.password"
# tls = false               # or all of it from the fleet: sudo fleeting enrol BUNDLE
# ca_file = "/etc/fleeting/ca.pem"
# cert_file = "/etc/fleeting/device.pem"
# key_file = "/run/credentials/fleeting-uplink.service/mqtt.key"
EOF
}

install_settings() {
    for name in $names; do
        put "$units/$name" 644 <"$source/systemd/$name"
    done
    put "$users" 644 <"$source/systemd/sysusers.conf"
    put "$folders" 644 <"$source/systemd/tmpfiles.conf"
    [ -z "$broker" ] || for name in uplink renew; do
        printf '%s\n' "# Written by tools/install.sh --broker; names are looked up on this machine." \
            "[Service]" "IPAddressAllow=" "IPAddressAllow=localhost $broker" |
            put "$units/fleeting-$name.service.d/broker.conf" 644
    done
    if [ -n "$updates" ]; then
        printf '%s\n' "# Written by tools/install.sh --updates; names are looked up on this machine." \
            "[Service]" "IPAddressAllow=" "IPAddressAllow=localhost $updates" | put "$update_filter" 644
    fi
    take_back_updates
    [ -e "$settings" ] || default_settings | put "$settings" 640
    live || return 0
    run systemd-sysusers "$users"
    # Also gives the configuration to root and the group.
    run systemd-tmpfiles --create "$folders"
}

install_all() {
    check_machine
    check_space
    # Code must not change under a running process; stopping the target alone does not wait.
    if live && [ -e "$units/fleeting-update.service" ]; then
        run systemctl stop fleeting-update.path fleeting-update.timer fleeting-update \
            fleeting-restart.path
        [ ! -e "$units/fleeting-reboot.path" ] || run systemctl stop fleeting-reboot.path
    fi
    if live && systemctl --quiet is-active fleeting.target 2>/dev/null; then
        run systemctl stop fleeting.target fleeting-perceive fleeting-uplink
    fi
    copy_clone
    make_venv
    install_settings
    if live; then
        run systemctl daemon-reload
        # a list
        # shellcheck disable=SC2086
        run systemctl enable $enabled
        [ -z "$start" ] || run systemctl restart fleeting.target fleeting-update.path \
            fleeting-update.timer fleeting-restart.path fleeting-reboot.path
    fi
    [ -n "$dry" ] || say "installed. Configuration: $settings; status: systemctl status 'fleeting*'"
}

uninstall_all() {
    check_machine
    if live && [ -e "$units/fleeting.target" ]; then
        # An older release had fewer.
        for name in $enabled fleeting-perceive.service fleeting-uplink.service; do
            [ ! -e "$units/$name" ] || run systemctl disable --now "$name"
        done
    fi
    for name in $names; do remove "$units/$name" "$units/$name.d"; done
    remove "$users" "$folders" "$image/var/cache/fleeting-perceive" "$image/run/fleeting"
    # A package without its base installation is of no use; floors and trusted metadata stay.
    remove "$slots/current" "$slots/confirmed" "$slots/restart" "$slots/state.json" \
        "$slots/a" "$slots/b" "$slots/a.new" "$slots/b.new" "$slots/download" "$slots/tmp"
    if [ "$source" = "$home" ]; then
        say "$home is the clone that you run this from: remove it yourself"
    elif [ -f "$list" ]; then
        remove "$home"
    fi
    if [ -n "$purge" ]; then
        remove "$image/etc/fleeting" "$image/var/lib/fleeting" "$image/var/lib/fleeting-uplink" \
            "$slots" "$image/var/lib/fleeting-jobs" "$image/var/lib/fleeting-enrol" \
            "$image/var/lib/fleeting-perceive" "$image/var/lib/fleeting-reboot" \
            "$image/var/lib/fleeting-traces"
        for name in fleeting-perceive fleeting-uplink fleeting-update; do
            ! live || ! id "$name" >/dev/null 2>&1 || run userdel "$name"
        done
        for name in fleeting fleeting-kiosk fleeting-jobs; do
            ! live || ! getent group "$name" >/dev/null || run groupdel "$name"
        done
    else
        say "kept: $image/etc/fleeting and $image/var/lib/fleeting* (settings, measurements, keys," \
            "which versions it may not go back to)"
    fi
    ! live || run systemctl daemon-reload
    [ -n "$dry" ] || say "uninstalled"
}

if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi
