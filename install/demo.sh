# shellcheck shell=sh
# Part of install.sh: the demonstration.

tools() {
    missing=
    for pair in ip:iproute2 nft:nftables setpriv:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    # shellcheck disable=SC2086 # a list of words
    [ -z "$missing" ] || install_packages $missing
}

interpreter() { # sets $python
    for python in /usr/bin/python3 "$cache/venv/bin/python3" "$(command -v python3 || :)"; do
        if works "$python"; then return; fi
    done
    python=$cache/venv/bin/python3
    if make_environment "$cache/venv" && works "$python"; then return; fi
    python=/usr/bin/python3
    # shellcheck disable=SC2086 # a list of words
    install_packages $packages
    works "$python" || die "no Python 3.11 with pyroute2, requests, configobj, filelock and dnspython could be had"
}

demo() {
    [ "$(id -u)" -eq 0 ] || die "the demonstration makes network namespaces and needs root: sudo ./install.sh demo"
    tools
    interpreter
    unset MWAN_HOOK_ROOT PYTHONDONTWRITEBYTECODE
    export PYTHONPATH="$project:$project/lib" PYTHONPYCACHEPREFIX="$cache/pyc"
    export MWAN_LAB_PATIENCE=12 MWAN_DEMO_INSTALLED="$installed"
    case ${1-} in clean) ;; *) "$python" "$project/tests/lab/compile.py" ;; esac
    exec "$python" -m tests.lab.demo "$@"
}
