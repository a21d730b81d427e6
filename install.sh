#!/bin/sh
# mwan-hook from a checkout.  `sudo ./install.sh demo` shows it in a small internet of network namespaces.
set -eu

project=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mwan-hook
PATH=$PATH:/usr/sbin:/sbin
export PATH

usage() {
    cat <<'WORDS'
usage: ./install.sh demo [--keep | shell | clean]

  demo           three uplinks, their troubles, and what mwan-hook makes of them, in a minute;
                 everything happens in network namespaces that are gone afterwards
  demo --keep    leaves them for playing
  demo shell     a shell in the router of the demonstration (of a new one if none was kept)
  demo clean     takes away what --keep has left

The demonstration needs root.  What it needs is installed with apt where it is missing (iproute2, nftables,
dnsmasq-base, Python); Python packages go to a private environment in ~/.cache/mwan-hook.  The system's
configuration is not touched.
WORDS
}

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

install_packages() {
    command -v apt-get >/dev/null || die "missing: $*; please install them (apt-get is not there to do it)"
    printf 'apt: %s\n' "$*"
    # a server that is only installed, never started: dnsmasq-base and nftables bring no running service
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
            </dev/null >/dev/null; } || die "apt could not install: $*"
}

tools() {
    missing=
    for pair in ip:iproute2 nft:nftables dnsmasq:dnsmasq-base setpriv:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    # shellcheck disable=SC2086 # a list of words
    [ -z "$missing" ] || install_packages $missing
}

works() { # $1: an interpreter that is new enough and has all that the program imports
    [ -x "$1" ] && "$1" -c 'import sys, requests, filelock, dns.message
from configobj import ConfigObj
from pyroute2 import IPRoute
sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

make_environment() {
    [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || return 1
    printf 'making a private Python environment in %s\n' "$cache/venv"
    rm -rf "$cache/venv"
    mkdir -p "$cache"
    wanted=$(sed -n '/^install_requires/,/^$/s/^ \{1,\}\([a-z].*\)/\1/p' "$project/setup.cfg")
    printf '%s\n' "$wanted" >"$cache/requirements.txt"
    /usr/bin/python3 -m venv "$cache/venv" &&
        "$cache/venv/bin/python3" -m pip install -q --no-input --disable-pip-version-check \
            -r "$cache/requirements.txt" </dev/null
}

interpreter() { # sets $python
    for python in /usr/bin/python3 "$cache/venv/bin/python3" "$(command -v python3 || :)"; do
        if works "$python"; then return; fi
    done
    python=$cache/venv/bin/python3
    if make_environment && works "$python"; then return; fi
    python=/usr/bin/python3
    install_packages python3 python3-pyroute2 python3-requests python3-configobj python3-filelock python3-dnspython
    works "$python" || die "no Python 3.11 with pyroute2, requests, configobj, filelock and dnspython could be had"
}

demo() {
    [ "$(id -u)" -eq 0 ] || die "the demonstration makes network namespaces and needs root: sudo ./install.sh demo"
    tools
    interpreter
    unset MWAN_HOOK_ROOT PYTHONDONTWRITEBYTECODE
    export PYTHONPATH="$project:$project/lib" PYTHONPYCACHEPREFIX="$cache/pyc"
    cd "$project"
    exec "$python" -m tests.lab.demo "$@"
}

case ${1-} in
demo)
    shift
    case "$*" in
    "" | --keep | shell | clean) demo "$@" ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    ;;
-h | --help | help) usage ;;
"")
    usage >&2
    exit 2
    ;;
*)
    printf 'install.sh: %s: there is only the demonstration yet\n\n' "$1" >&2
    usage >&2
    exit 2
    ;;
esac
