# shellcheck shell=sh
# Part of install.sh: what systemd, udev, networkd and networkd-dispatcher have to be told.

# what starts runs, and the runs
triggers="mwan-hook-chores.path mwan-hook-check.timer mwan-hook-event.path mwan-hook-netlink.socket mwan-hook-notify.path
mwan-hook-hooks.path mwan-hook-mail.timer mwan-hook-webhook.timer mwan-hook-record.timer"
runs="mwan-hook-check.service mwan-hook-event.service mwan-hook-netlink.service mwan-hook-notify.service
mwan-hook-hooks.service mwan-hook-chores.service mwan-hook-repair.service mwan-hook-mail.service mwan-hook-webhook.service mwan-hook-record.service mwan-hook-report.service mwan-hook-bus.service mwan-hook-user.service"
boot="mwan-hook-boot.service mwan-hook-early.service"
# What was replaced and not yet told; it goes with the boot, as what it is about does.
pending=/run/mwan-hook-install

systemd_runs() { [ -z "$destdir" ] && [ -d /run/systemd/system ]; }

announce() { # before the change, so that a run after one that was killed knows
    ! systemd_runs || printf '%s' "$changed" "$dropped" >>"$pending"
}

touched() { [ -e "$pending" ] && grep -q "^$1/" "$pending"; } # $1: a directory

hold() { # no run of the old program starts, and none is in progress, while files are replaced
    systemd_runs && [ -n "$old" ] || return 0
    for unit in $triggers; do
        systemctl stop "$unit" 2>/dev/null || : # a new one is not there yet
    done
    tries=0
    # shellcheck disable=SC2086 # a list of words
    while systemctl is-active $runs $boot | grep -q activating && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
}

start() {
    systemd_runs || {
        say "systemd does not run here: nothing was enabled or started. Where it does, ./install.sh again will do it."
        return
    }
    [ ! -e "$pending" ] || tell
    enable
    if [ -e "$pending" ]; then
        start_dispatcher
        "$sbin/mwan-hook" wait-online --timeout 10 || :
        rm -f "$pending"
    fi
    say
    say_managers
    "$sbin/mwan-hook" status || :
}

tell() {
    keep_for_root
    if touched "$units"; then systemctl daemon-reload; fi
    if touched "$dbus"; then systemctl -q reload dbus.service || say "the bus could not be told; it reads its policy at its next start"; fi
    if touched "$rules"; then udevadm control --reload || say "udev could not be told; it reads its rules at its next start"; fi
    if ! systemctl -q is-active systemd-networkd.service; then
        : # what its files say holds when it starts
    elif touched "$networkd"; then
        say "restarting systemd-networkd: only at its start does it read that mwan-hook's routes are not its to remove"
        systemctl restart systemd-networkd.service
    elif touched "$network"; then
        networkctl reload
    fi
    [ -n "$old" ] || plugged
}

plugged() { # what is there already comes up as if it were plugged in now
    for device in /sys/class/net/*/device/subsystem; do
        case $(readlink "$device") in
        */usb) systemctl start --no-block "mwan-hook-plugged@$(cat "${device%/device/*}/ifindex").service" || : ;;
        esac
    done
}

keep_for_root() { # what an earlier version had where the services' user may write now
    mkdir -p /run/mwan-hook-root
    for name in dbus-1 resolved; do
        [ ! -d "/run/mwan-hook/$name" ] || [ -e "/run/mwan-hook-root/$name" ] ||
            mv "/run/mwan-hook/$name" /run/mwan-hook-root/
    done
    if [ -f /var/lib/mwan-hook/doctor.files ] && [ ! -L /var/lib/mwan-hook/doctor.files ]; then
        mkdir -p /var/lib/mwan-hook-root && mv /var/lib/mwan-hook/doctor.files /var/lib/mwan-hook-root/
    fi
}

enable() { # all triggers are there afterwards, but those that the operator has masked
    for unit in $triggers $boot; do
        case $(systemctl is-enabled "$unit" 2>/dev/null) in
        masked*) say "$unit is masked: it stays so" && continue ;;
        enabled) ;;
        *) systemctl enable -q "$unit" ;;
        esac
        systemctl -q is-active "$unit" || systemctl start "$unit" || say "$unit could not be started"
    done
}

start_dispatcher() { # it does not run while it has no script
    has networkd || return 0
    if [ "$(systemctl is-enabled networkd-dispatcher.service 2>/dev/null)" = enabled ]; then
        systemctl -q is-active networkd-dispatcher.service || systemctl start networkd-dispatcher.service || :
    else
        say "recommended: networkd-dispatcher, which tells of a link's states a little sooner"
    fi
}

stop() {
    command -v systemctl >/dev/null && [ -z "$destdir" ] || return 0
    for unit in $triggers $boot $runs; do
        ! systemd_runs || systemctl -q stop "$unit" 2>/dev/null || :
    done
    # shellcheck disable=SC2086 # a list of words
    systemctl -q disable $triggers $boot 2>/dev/null || :
}

flush() { # sets $left if something stays in the kernel; no state: no run since the boot
    [ -z "$destdir" ] && [ -e /run/mwan-hook/state.json ] && [ -x "$sbin/mwan-hook" ] || return 0
    "$sbin/mwan-hook" flush || left=yes
    "$sbin/mwan-hook" notify || : # hooks give back what they have taken
    hung_up
}

hung_up() { # modems that flush hangs up need the program for it
    tries=0
    while systemd_runs && [ "$tries" -lt 80 ] &&
        systemctl list-units --all --plain --no-legend 'mwan-hook-modem@*' | grep -q deactivating; do
        tries=$((tries + 1))
        sleep 1
    done
}

forget() { # after the files have gone
    systemd_runs || return 0
    systemctl daemon-reload
    # shellcheck disable=SC2086 # a list of words
    systemctl -q reset-failed $triggers $boot $runs 'mwan-hook-modem@*' 2>/dev/null || :
    udevadm control --reload || :
    systemctl -q reload dbus.service 2>/dev/null || :
    if systemctl -q is-active systemd-networkd.service; then
        say "systemd-networkd was not restarted: that it leaves foreign routes alone is in force until its next start."
    fi
}

forget_user() { # what stays is root's again: another user may get the number
    [ -z "$destdir" ] && id -u mwan-hook >/dev/null 2>&1 || return 0
    [ ! -d /var/lib/mwan-hook ] || chown -R root:root /var/lib/mwan-hook
    userdel mwan-hook 2>/dev/null || say "the user mwan-hook could not be removed; userdel mwan-hook does it"
}
