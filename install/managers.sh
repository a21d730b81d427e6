# shellcheck shell=sh
# Part of install.sh: who looks after interfaces on this machine, and what of ours has a use there.

# Below DESTDIR, and where systemd does not say, everything may have a use.
asked_here() { [ -z "$destdir" ]; }

has() { # $1: networkd, or a program whose hook is ours; whether what is for it has a use
    asked_here || return 0
    case $1 in
    networkd) ! systemd_runs || in_use systemd-networkd.service ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

in_use() { systemctl -q is-active "$1" 2>/dev/null || systemctl -q is-enabled "$1" 2>/dev/null; } # $1: a unit

takes_sticks() { # prints another manager that our .network file would take sticks from
    asked_here && systemd_runs || return 0
    if in_use NetworkManager.service; then
        say NetworkManager
    elif has ifup && stanzas | grep -Eq '^[[:space:]]*iface[[:space:]]+(usb|enx|en[^[:space:]]*u[0-9]|ww)'; then
        say ifupdown
    fi
}

stanzas() { cat /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null || :; }

each_manager_hook() { # calls $1 as each_file does
    if has NetworkManager; then
        "$1" 755 "$network_manager/no-wait.d/50-mwan-hook" moved hooks/managers/network-manager
        "$1" link "$network_manager/50-mwan-hook" no-wait.d/50-mwan-hook
    fi
    if has ifup; then
        for phase in if-up if-down if-post-down; do
            "$1" link "/etc/network/$phase.d/mwan-hook" "$lib/spool-event"
        done
    fi
    if has dhclient; then "$1" 644 /etc/dhcp/dhclient-exit-hooks.d/mwan-hook moved hooks/managers/dhclient; fi
    # dhcpcd looks for hooks in one place only
    if has dhcpcd && [ "$prefix" = /usr ]; then
        "$1" 644 /usr/lib/dhcpcd/dhcpcd-hooks/70-mwan-hook moved hooks/managers/dhcpcd
        for file in systemd/dhcpcd*.service.d/*.conf; do "$1" 644 "$units/${file#systemd/}" cat "$file"; done
    fi
}

manager_of() { # $1: an interface -> who looks after it
    index=$(cat "/sys/class/net/$1/ifindex")
    link=/run/systemd/netif/links/$index
    if grep -Eqs '^ADMIN_STATE=(config|pending|initialized)' "$link"; then
        if grep -qs '^NETWORK_FILE=.*-netplan-' "$link"; then say "netplan, by systemd-networkd"; else say systemd-networkd; fi
    elif by_network_manager "$1" "/run/NetworkManager/devices/$index"; then
        say NetworkManager
    elif grep -qs . "/run/network/ifstate.$1"; then # of one that was taken down an empty line is left
        say ifupdown
    elif [ -e "/run/dhcpcd/$1.pid" ] || { [ -e /run/dhcpcd/pid ] && [ -e "/var/lib/dhcpcd/$1.lease" ]; }; then
        say dhcpcd
    elif [ -e "/run/dhclient.$1.pid" ] || [ -e /run/dhclient.pid ]; then
        say dhclient
    fi
}

by_network_manager() { # $1: an interface, $2: its file; for what others configure there is a connection of its name
    grep -qs '^connection-uuid=' "$2" && grep -Eqs '^managed=(true|1)' "$2" &&
        { grep -qs '^\[dhcp4\]' "$2" || [ ! -e "/run/NetworkManager/system-connections/$1.nmconnection" ]; }
}

uplinks_here() { # interfaces with a default route in main
    awk '$2 == "00000000" && $8 == "00000000" { print $1 }' /proc/net/route 2>/dev/null | sort -u
}

say_managers() { # who looks after what has a default route, and what tells us of it
    unknown=''
    for interface in $(uplinks_here); do
        manager=$(manager_of "$interface")
        case $manager in
        "") unknown="$unknown $interface" ;;
        *networkd) say "$interface is looked after by $manager" ;;
        *) say "$interface is looked after by $manager; its hook tells mwan-hook of changes, and its leases are read" ;;
        esac
    done
    [ -z "$unknown" ] || say "not known here is who looks after$unknown: mwan-hook works, but nothing tells it about leases; it
sees uplinks by the default routes in main, and new addresses by the kernel's news and its timer"
}
