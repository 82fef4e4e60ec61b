#!/bin/sh
# Once, on the device: makes the data partition from what is free on its disk, moves there what must
# outlive a reboot (the list is in `persistent`), and turns on the read-only root (overlayroot). Run
# again it does only what is not done. Options are for trials:
#   --disk /dev/X   not the disk that the root is on
#   --no-reboot     leave the read-only root to the next boot
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
label=fleeting-data
data=/data
least=512 # MB
fstab=/etc/fstab

say() { printf 'fleeting-first-boot: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

disk=
reboot=yes
while [ "$#" -gt 0 ]; do
    case $1 in
        --disk) [ "$#" -ge 2 ] || fail "--disk needs a device"; disk=$2; shift ;;
        --no-reboot) reboot= ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done
[ "$(id -u)" -eq 0 ] || fail "Only root can make partitions."
folders=$(grep -v '^#' "$here/persistent")

find_disk() {
    [ -z "$disk" ] || return 0
    root=$(findmnt -no SOURCE /)
    parent=$(lsblk -no PKNAME "$root" 2>/dev/null | head -n 1)
    [ -n "$parent" ] || fail "The root is on $root, which is no partition of a disk: name one, --disk"
    disk=/dev/$parent
}

partition() {
    find_disk
    device=$(blkid -L "$label" || true)
    [ -z "$device" ] || return 0
    free=$(sfdisk --list-free --bytes "$disk" 2>/dev/null |
        awk '/^ *[0-9]/ && $4 > most { most = $4 } END { printf "%d", most / 1000000 }')
    [ "${free:-0}" -ge "$least" ] || fail "No room for a data partition on $disk: $free MB are free in one
  piece, $least are needed. The root was grown over the whole disk: keep it from that (README of
  tools/arm64), or name another disk, --disk. All stays as it was: a root that is written to."
    before=$(lsblk -nro NAME "$disk" | sort)
    printf ',,L\n' | sfdisk --quiet --append --no-reread --no-tell-kernel "$disk"
    partx --update "$disk" 2>/dev/null || partprobe "$disk"
    # the kernel may learn of others at the same time
    name=$(lsblk -nro NAME "$disk" | sort | comm -13 /dev/fd/3 - 3<<EOF | sort -V | tail -n 1
$before
EOF
)
    [ -n "$name" ] || fail "The kernel does not see the new partition of $disk: restart, it goes on then"
    device=/dev/$name
    udevadm settle 2>/dev/null || true
    # where nothing fills /dev
    # shellcheck disable=SC2046  # two numbers
    [ -b "$device" ] || mknod "$device" b $(tr ':' ' ' <"/sys/class/block/$name/dev")
    mkfs.ext4 -q -L "$label" "$device"
    say "made $device ($free MB), $label"
}

move() {
    mkdir -p "$data"
    mountpoint -q "$data" || mount -o noatime,nosuid,nodev "$device" "$data"
    for folder in $folders; do
        mkdir -p "$folder"
        if [ ! -d "$data$folder" ]; then
            # whole or not at all
            mkdir -p "$(dirname -- "$data$folder")"
            rm -rf "$data$folder.new"
            cp -a "$folder" "$data$folder.new"
            sync -f "$data"
            mv "$data$folder.new" "$data$folder"
        fi
    done
    sync -f "$data"
}

remember() {
    ! grep -q "^LABEL=$label " "$fstab" || return 0
    {
        cat "$fstab"
        echo "LABEL=$label $data ext4 noatime,nosuid,nodev,nofail,x-systemd.device-timeout=30s 0 2"
        for folder in $folders; do
            echo "$data$folder $folder none bind,nofail,x-systemd.requires-mounts-for=$data 0 0"
        done
    } >"$fstab.new"
    sync "$fstab.new"
    mv "$fstab.new" "$fstab"
    sync
}

close_root() {
    if ! command -v overlayroot-chroot >/dev/null 2>&1; then
        say "overlayroot is not installed: the root stays writable. apt-get install overlayroot"
        return 0
    fi
    # recurse=0: the data partition is mounted as it is, not under an overlay of its own
    printf 'overlayroot="tmpfs:recurse=0"\n' >/etc/overlayroot.local.conf
    sync
    [ -z "$reboot" ] || systemctl reboot
}

partition
move
remember
: >/etc/fleeting-first-boot-done
close_root
say "done"
