# shellcheck shell=sh
# Part of install.sh: Debian packages, a Python that runs the program, and what starts it.

packages="python3 python3-pyroute2 python3-requests python3-configobj python3-filelock python3-dnspython
python3-jeepney"
installed='' # by apt, in this run
debian=/usr/lib/python3/dist-packages

apt() { # $@: packages
    command -v apt-get >/dev/null || return 1
    say "apt: $*"
    # only libraries and tools: none of these packages starts a service
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-upgrade "$@" \
        </dev/null >/dev/null || return 1
    installed="${installed:+$installed }$*"
}

install_packages() { # $@: packages
    command -v apt-get >/dev/null || die "missing: $*; please install them (apt-get is not there to do it)"
    apt "$@" || { apt-get update -qq && apt "$@"; } || die "apt could not install: $*"
}

works() { # $1: an interpreter, rest: its flags; new enough and with all that the program imports
    command -v "$1" >/dev/null && "$@" -c 'import sys
if sys.flags.no_site:
    sys.path.append("'$debian'")
import requests, filelock, dns.message, jeepney
from configobj import ConfigObj
from pyroute2 import IPRoute
sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

base_python() { # an interpreter that can make an environment
    for base in /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3; do
        if command -v "$base" >/dev/null && "$base" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
    done
    return 1
}

make_environment() { # $1: where
    base_python || return 1
    say "making a private Python environment in $1"
    rm -rf "$1"
    mkdir -p "${1%/*}"
    wanted=$(sed -n '/^install_requires/,/^$/s/^ \{1,\}\([a-z].*\)/\1/p' "$project/setup.cfg")
    "$base" -m venv "$1" && printf '%s\n' "$wanted" >"$1/requirements.txt" &&
        "$1/bin/python3" -m pip install -q --no-input --disable-pip-version-check -r "$1/requirements.txt" </dev/null
}

lean() { [ -d "$debian" ] && works /usr/bin/python3 -IS; }

choose_python() { # sets $python, with flags: what the program starts with; and $early
    early=$(missing_directories "$lib")$nl # an environment is made before the list of what is made
    # -I: isolated from the caller's environment and directory.  -S spares a quarter of the start, but then the one
    # directory with Debian's modules has to be named.
    if [ -n "$destdir" ] || lean; then
        python="/usr/bin/python3 -IS"
        [ -d "$debian" ] || python="/usr/bin/python3 -I"
    elif works /usr/bin/python3 -I; then
        python="/usr/bin/python3 -I"
    elif works "$lib/venv/bin/python3" -I; then
        python="$lib/venv/bin/python3 -I"
    else
        fetch_modules
    fi
}

fetch_modules() { # sets $python
    # shellcheck disable=SC2086 # a list of words
    if { apt $packages || { command -v apt-get >/dev/null && apt-get update -qq && apt $packages; }; } && lean; then
        python="/usr/bin/python3 -IS"
    elif make_environment "$lib/venv" && works "$lib/venv/bin/python3" -I; then
        python="$lib/venv/bin/python3 -I"
    else
        rm -rf "$lib/venv"
        rmdir "$lib" 2>/dev/null || :
        die "no Python >= 3.11 with pyroute2, requests, configobj, filelock, dnspython and jeepney could be had: neither apt nor
pip could fetch them (see above; is this machine online?). Nothing was installed. With these in place it works offline:
$packages"
    fi
}

starter() { # prints PREFIX/sbin/mwan-hook
    say "#!$python"
    say "import sys"
    say
    case $python in
    *S) say "sys.path += [\"$lib\", \"$debian\"]" ;;
    *) say "sys.path.insert(0, \"$lib\")" ;;
    esac
    say "from mwan_hook.__main__ import start"
    say
    say "start()"
}
