#!/bin/sh
# mwan-hook from a checkout: installs it, takes it out, or shows it in a small internet of network namespaces.
set -eu
umask 022

project=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mwan-hook
destdir=${DESTDIR-}
case $destdir in "" | /*) ;; *) destdir=$(pwd)/$destdir ;; esac
destdir=${destdir%/}
left=''
PATH=$PATH:/usr/sbin:/sbin
export PATH

# shellcheck source=install/files.sh
. "$project/install/files.sh"
# shellcheck source=install/managers.sh
. "$project/install/managers.sh"
# shellcheck source=install/python.sh
. "$project/install/python.sh"
# shellcheck source=install/start.sh
. "$project/install/start.sh"
# shellcheck source=install/demo.sh
. "$project/install/demo.sh"

usage() {
    cat <<'WORDS'
usage: [DESTDIR=DIR] ./install.sh [install] [--prefix DIR] [--no-start] [--[no-]usb-network]
       [DESTDIR=DIR] ./install.sh uninstall [--purge] [--prefix DIR]
       ./install.sh demo [--keep | shell | clean]

  install           the program, its units, hooks and man pages; what is there already is left alone, so a
                    second run changes nothing and a newer checkout upgrades.  Needs root.
    --prefix DIR      instead of /usr: program and man pages go below DIR, the rest to /etc
    --no-start        files only: nothing is enabled, started or reloaded
    --no-usb-network  without the .network file that brings USB modems up; --usb-network takes it, also where
                      NetworkManager or ifupdown looks after interfaces: without either it is left out there
  uninstall         takes out what is in the kernel, units and files; keeps /etc/mwan-hook and /var/lib/mwan-hook
    --purge           takes these too
  demo              three uplinks, their troubles, and what mwan-hook makes of them, in a minute (five on a slow
                    machine); everything happens in network namespaces that are gone afterwards.  Needs root.
    --keep            leaves them for playing
    shell             a shell in the router of the demonstration (of a new one if none was kept)
    clean             takes away what --keep has left

Debian packages that are missing are installed with apt (python3 and five modules; for the demonstration iproute2
and nftables too); elsewhere, or if that fails, the modules go to a private environment.
WORDS
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

wrong() {
    printf 'install.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

# ---------------------------------------------------------------- what it does

install_it() {
    options "--prefix --no-start --no-usb-network --usb-network" "$@"
    root_only
    no_package
    choose_prefix
    writable
    choose_python
    one_at_a_time
    read_manifest
    compare
    [ -z "$left_to" ] ||
        say "$left_to looks after interfaces here: no .network file for USB modems (--usb-network gives them to networkd)"
    if [ -z "$changed$dropped" ]; then
        say "mwan-hook is installed in $prefix and up to date: nothing was changed"
    else
        announce
        hold
        place_files
        say "mwan-hook is in $destdir$prefix"
    fi
    if [ -z "$no_start$destdir" ]; then start; fi
}

uninstall() {
    options "--prefix --purge" "$@"
    root_only uninstall
    no_package
    choose_prefix
    one_at_a_time
    if [ -e "$destdir$manifest" ]; then
        read_manifest
        stop
        flush
        undo_doctor
        remove_all
        forget
        forget_user
        say "mwan-hook is no longer in $destdir$prefix"
    else
        undo_doctor
        rm -rf "$destdir$manifest$new" "$destdir$lib/venv"
        rmdir "$destdir$lib" 2>/dev/null || :
        say "there is no installation of mwan-hook in $destdir$prefix"
    fi
    [ -z "$purge" ] || rm -rf "$destdir/etc/mwan-hook" "$destdir/var/lib/mwan-hook" "$destdir/var/lib/mwan-hook-root"
    [ -z "$left" ] || die "something of ours is still in the kernel (see above); a reboot takes it away"
}

one_at_a_time() {
    exec 9<install.sh
    flock 9
}

remove_all() { # the manifest goes last, so that one who is killed can go on
    printf '%s' "$old" | grep '[^/]$' | grep '^/' | remove_files
    rm -rf "$destdir$lib/mwan_hook" "$destdir$lib/venv" "$destdir/run/mwan-hook" "$destdir/run/mwan-hook-root" \
        "$destdir$pending"
    rm -f "$destdir/etc/iproute2/rt_tables.d/mwan-hook.conf" "$destdir/etc/iproute2/rt_protos.d/mwan-hook.conf"
    rm -f "$destdir$manifest"
    rm -rf "$destdir${lib:?}"
    printf '%s' "$old" | grep '/$' | remove_directories
}

# ---------------------------------------------------------------- what it is asked

options() { # $1: those that are known, rest: those that were given
    known=" $1 " wish='' no_start='' usb_wish='' purge=''
    shift
    while [ $# -gt 0 ]; do
        case $known in *" ${1%%=*} "*) ;; *) wrong "$1: unknown here" ;; esac
        case $1 in
        --prefix=*) wish=${1#*=} ;;
        --prefix)
            [ $# -gt 1 ] || wrong "--prefix needs a directory"
            wish=$2
            shift
            ;;
        --no-start) no_start=yes ;;
        --no-usb-network) usb_wish=no ;;
        --usb-network) usb_wish=yes ;;
        --purge) purge=yes ;;
        *) wrong "$1: takes no value" ;;
        esac
        shift
    done
    wish=${wish%/}
}

cd "$project"
case ${1-} in
install) shift && install_it "$@" ;;
"" | --prefix* | --no-* | --usb-network) install_it "$@" ;;
uninstall) shift && uninstall "$@" ;;
demo)
    shift
    case "$*" in
    "" | --keep | shell | clean) demo "$@" ;;
    *) wrong "demo $*: there is no such demonstration" ;;
    esac
    ;;
-h | --help | help) usage ;;
*) wrong "$1: unknown" ;;
esac
