# shellcheck shell=sh
# Part of install.sh: which files go where, and how they get there.
#
# The manifest in PREFIX/lib/mwan-hook names every file, link and (with a slash at its end) directory that we made.  It
# is written before they are, so that an installation that was killed can be finished or taken out.  A file is written
# beside its place and renamed, so that half of it is never seen; what is there already is not touched.

# States of networkd-dispatcher 2.2.3 that say something about an uplink.  Left out: "pending" and "initialized", which
# come before there is anything to see.
states="routable degraded carrier no-carrier off dormant degraded-carrier missing enslaved configured configuring
failed linger unmanaged"
new=.mwan-hook-new # ending of a file that is being written
unfinished="# being written"
configuration="/etc/mwan-hook /etc/mwan-hook/conf.d"
names="/etc/iproute2/rt_tables.d /etc/iproute2/rt_protos.d" # the sandboxed runs write ip(8)'s names there
nl='
'

directories() { # sets where everything goes
    case $prefix in
    *[!A-Za-z0-9/._+-]* | [!/]* | */../* | */.. | /) wrong "--prefix: expected an absolute path of letters, digits and /._+-" ;;
    esac
    lib=$prefix/lib/mwan-hook sbin=$prefix/sbin man=$prefix/share/man doc=$prefix/share/doc/mwan-hook
    if [ "$prefix" = /usr ]; then
        units=/usr/lib/systemd/system networkd=/usr/lib/systemd/networkd.conf.d network=/usr/lib/systemd/network
        rules=/usr/lib/udev/rules.d dispatcher=/usr/lib/networkd-dispatcher dbus=/usr/share/dbus-1/system.d
        sysusers=/usr/lib/sysusers.d generators=/usr/lib/systemd/system-generators
        network_manager=/usr/lib/NetworkManager/dispatcher.d
    else # the only places besides /usr/lib where every program looks
        units=/etc/systemd/system networkd=/etc/systemd/networkd.conf.d network=/etc/systemd/network
        rules=/etc/udev/rules.d dispatcher=/etc/networkd-dispatcher dbus=/etc/dbus-1/system.d
        sysusers=/etc/sysusers.d generators=/etc/systemd/system-generators
        network_manager=/etc/NetworkManager/dispatcher.d
    fi
    zsh=$prefix/share/zsh/site-functions
    [ "$prefix" != /usr ] || zsh=/usr/share/zsh/vendor-completions
    mibs=$prefix/share/snmp/mibs manifest=$lib/manifest
}

installed_prefix() { # where an installation is, if there is one
    if [ -e "$destdir/usr/lib/mwan-hook/manifest" ]; then
        echo /usr
    elif [ -e "$destdir/etc/systemd/system/mwan-hook-check.service" ]; then
        sed -n 's|^ExecStart=[^/]*\(/.*\)/sbin/mwan-hook .*|\1|p' "$destdir/etc/systemd/system/mwan-hook-check.service"
    fi
}

choose_prefix() { # an upgrade stays where it is
    found=$(installed_prefix)
    prefix=${wish:-${found:-/usr}}
    directories
    [ -z "$found" ] || [ "$found" = "$prefix" ] ||
        die "mwan-hook is installed in $found; take it out first: ./install.sh uninstall --prefix $found"
}

root_only() {
    [ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || die "needs root: sudo ./install.sh ${*:-}"
}

no_package() {
    [ -z "$destdir" ] && command -v dpkg-query >/dev/null || return 0
    case $(dpkg-query -W -f '${db:Status-Status}' mwan-hook 2>/dev/null) in
    "" | not-installed | config-files) ;;
    *) die "the Debian package mwan-hook is installed; use apt (apt install, apt remove, apt purge mwan-hook)" ;;
    esac
}

nearest() { # $1: a path -> the directory of it that is there
    if [ -d "${1:-/}" ]; then say "${1:-/}"; else nearest "${1%/*}"; fi
}

writable() {
    for place in "$lib" "$sbin" "$man" "$doc" "$units" "$networkd" "$network" "$rules" "$dispatcher" "$dbus" \
        "$sysusers" "$generators" \
        /etc/mwan-hook /etc/iproute2; do
        place=$(nearest "$destdir$place")
        [ -w "$place" ] || die "$place cannot be written. Is it read-only? Then try another place for the program:
./install.sh --prefix /usr/local (or /opt/mwan-hook); /etc has to be writable in any case"
    done
}

# ---------------------------------------------------------------- the list

each_file() { # calls $1 with mode, place and the command that prints it, or with "link", place and target
    each_program_file "$1"
    each_document "$1"
    each_completion "$1"
    each_unit "$1"
    each_hook "$1"
    "$1" 644 "$rules/90-mwan-hook.rules" moved udev/90-mwan-hook.rules
    "$1" 644 "$dbus/mwan-hook.conf" cat dbus/mwan-hook.conf
    "$1" 644 "$sysusers/mwan-hook.conf" cat systemd/sysusers.d/mwan-hook.conf
    "$1" 644 "$mibs/NETWORKD-CONNECTIVITY-MIB.txt" cat snmp/NETWORKD-CONNECTIVITY-MIB.txt
    foreign "$prefix/bin/connectivity-state" || "$1" 755 "$prefix/bin/connectivity-state" moved dbus/connectivity-state
    for file in spool-event bring-up; do "$1" 755 "$lib/$file" moved "hooks/$file"; done
    ! has networkd || for state in $states; do
        "$1" link "$dispatcher/$state.d/50-mwan-hook" "$lib/spool-event"
    done
    each_manager_hook "$1"
    "$1" 755 "$sbin/mwan-hook" starter # last: with it the program is whole
}

each_program_file() {
    # shellcheck disable=SC2044 # none of our names has a space
    for file in $(find lib/mwan_hook -type f ! -name '*.pyc' | sort); do
        "$1" 644 "$lib/${file#lib/}" cat "$file"
    done
}

each_document() {
    for file in README.md LICENSE docs/*.md; do "$1" 644 "$doc/$file" cat "$file"; done
    # shellcheck disable=SC2044 # none of our names has a space
    for file in $(find docs/examples docs/grafana -type f | sort); do "$1" 644 "$doc/${file#docs/}" moved "$file"; done
    "$1" 644 "$doc/examples/snmpd.conf" moved snmp/snmpd.conf
    for file in docs/man/*.[1-8]; do "$1" 644 "$man/man${file##*.}/${file##*/}.gz" page "$file"; done
}

each_completion() {
    "$1" 644 "$prefix/share/bash-completion/completions/mwan-hook" moved completions/mwan-hook.bash
    "$1" 644 "$zsh/_mwan-hook" moved completions/_mwan-hook
    "$1" 644 "$prefix/share/fish/vendor_completions.d/mwan-hook.fish" moved completions/mwan-hook.fish
}

each_hook() {
    for file in hooks/*.d/*; do "$1" 755 "$lib/${file#hooks/}" cat "$file"; done
}

foreign() { [ -e "$destdir$1" ] && ! within "$old" "$1"; } # $1: a file of another package

each_unit() {
    for file in systemd/*.service systemd/*.timer systemd/*.path systemd/*.socket systemd/mwan-*.d/*.conf; do
        "$1" 644 "$units/${file#systemd/}" moved "$file"
    done
    "$1" 755 "$generators/mwan-hook-wait-online" moved systemd/system-generators/mwan-hook-wait-online
    for file in systemd/networkd.conf.d/*.conf; do "$1" 644 "$networkd/${file##*/}" moved "$file"; done
    if [ "$(systemd_version)" -ge 256 ]; then # an earlier one would complain of a key that it does not know
        for file in systemd/networkd-256.conf.d/*.conf; do "$1" 644 "$networkd/${file##*/}" moved "$file"; done
    fi
    [ "$usb_network" = yes ] || return 0
    for file in systemd/network/*.network; do "$1" 644 "$network/${file##*/}" moved "$file"; done
}

systemd_version() { # of the machine that installs, or builds a package for its like; 0 without systemd
    number=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    echo "${number:-0}"
}

moved() { # prints it for PREFIX; in man pages hyphens are escaped
    sed "s|/usr/sbin/mwan\\(\\\\*\\)-hook|$sbin/mwan\\1-hook|g; s|/usr/lib/mwan\\(\\\\*\\)-hook|$prefix/lib/mwan\\1-hook|g" "$1"
}

page() { moved "$1" | gzip -9n; }

# ---------------------------------------------------------------- what is there

place_of() { printf '%s\0' "$destdir$2"; }

modes_of_files() { # one start for all; what is not there has none
    each_file place_of | xargs -0 stat -c '%a %n' 2>/dev/null || :
}

stands() { # mode, place, command...: it is there already
    if masked "$destdir$2"; then return; fi
    if [ "$1" = link ]; then
        [ -L "$destdir$2" ] && [ "$(readlink "$destdir$2")" = "$3" ]
    else
        [ -f "$destdir$2" ] && [ ! -L "$destdir$2" ] && within "$modes" "$1 $destdir$2" && contains "$@"
    fi
}

contains() { # mode, place, command...: it is what the command prints
    path=$destdir$2
    shift 2
    if [ "$1" = cat ]; then cmp -s "$2" "$path"; else "$@" | cmp -s - "$path"; fi
}

masked() { # in /etc such a link is the operator's
    [ "$prefix" != /usr ] && [ -L "$1" ] && [ "$(readlink "$1")" = /dev/null ]
}

missing_directories() { # $1: a directory -> what of it is not there, outermost first
    [ -z "$1" ] || [ -d "$destdir$1" ] || { missing_directories "${1%/*}" && printf '%s/\n' "$1"; }
}

note() { # mode, place, command...: adds to $wanted, $changed and $made
    wanted=$wanted$2$nl
    stands "$@" || changed=$changed$2$nl
    [ -d "$destdir${2%/*}" ] || within "$made" "${2%/*}/" || made=$made$(missing_directories "${2%/*}")$nl
}

within() { case "$nl$1" in *"$nl$2$nl"*) ;; *) return 1 ;; esac } # $1: a list, $2: a line

read_manifest() { # sets $old: its lines, $usb_wish: what was asked for, $usb_network: what follows, and $left_to
    old='' usb_network=yes left_to=''
    [ ! -e "$destdir$manifest" ] || old=$(cat "$destdir$manifest")$nl
    if [ -n "$usb_wish" ]; then
        usb_network=$usb_wish
    elif within "$old" "# no usb network"; then
        usb_wish=no usb_network=no
    elif within "$old" "# usb network"; then
        usb_wish=yes
    elif ! within "$old" "$network/89-mwan-hook-usb.network"; then
        left_to=$(takes_sticks)
        [ -z "$left_to" ] || usb_network=no
    fi
}

compare() { # sets $wanted, $changed, $made and $dropped
    wanted='' changed='' made=$early dropped='' modes=$(modes_of_files)$nl
    each_file note
    for directory in $configuration $names; do
        [ -d "$destdir$directory" ] || changed=$changed$directory/$nl
    done
    for directory in $names; do
        made=$made$(missing_directories "$directory")$nl
    done
    [ -e "$destdir/etc/mwan-hook/mwan-hook.conf" ] || changed=$changed/etc/mwan-hook/mwan-hook.conf$nl
    dropped=$(printf '%s' "$old" | grep '^/.*[^/]$' | while IFS= read -r path; do
        within "$wanted" "$path" || printf '%s\n' "$path"
    done)
    [ -z "$dropped" ] || dropped=$dropped$nl
    ! within "$old" "$unfinished" || changed=$changed$manifest$nl
}

# ---------------------------------------------------------------- making it so

list() { # $1: a first line or nothing, rest: lists -> the manifest
    [ -z "$1" ] || say "$1"
    shift
    case $usb_wish in no) say "# no usb network" ;; yes) say "# usb network" ;; esac
    printf '%s' "$@" | awk '/^\// && !seen[$0]++'
}

put() { # mode, place, command...; it starts little: there are hundreds of files
    mode=$1 path=$destdir$2
    shift 2
    [ -d "${path%/*}" ] || mkdir -p "${path%/*}"
    rm_if_there "$path$new"
    forget_compiled "$path"
    if [ "$mode" = link ]; then
        ln -s "$1" "$path$new"
    elif [ "$1" = cat ]; then
        install -m "$mode" "$2" "$path$new" || die "cannot write $path"
    else
        "$@" >"$path$new" || die "cannot write $path"
        chmod "$mode" "$path$new"
    fi
    mv -fT "$path$new" "$path"
}

rm_if_there() { if [ -e "$1" ] || [ -L "$1" ]; then rm -f "$1"; fi; }

put_changed() { if within "$changed" "$2"; then put "$@"; fi; }

put_configuration() { # what is there is its owner's
    for directory in $configuration $names; do mkdir -p "$destdir$directory"; done
    [ -e "$destdir/etc/mwan-hook/mwan-hook.conf" ] || put 644 /etc/mwan-hook/mwan-hook.conf moved docs/examples/mwan-hook.conf
}

place_files() {
    directories_of_ours=$(printf '%s' "$old" | grep '/$' || :)$nl$made
    put 644 "$manifest" list "$unfinished" "$directories_of_ours" "$wanted" "$old"
    each_file put_changed
    printf '%s' "$dropped" | remove_files
    printf '%s' "$directories_of_ours" | grep -v '^/etc/iproute2/' | remove_directories
    put_configuration
    case $python in *venv*) ;; *) rm -rf "$destdir$lib/venv" ;; esac
    "${python%% *}" -I -m compileall -q -s "$destdir" "$destdir$lib/mwan_hook"
    put 644 "$manifest" list "" "$directories_of_ours" "$wanted"
}

remove_files() { # reads their paths; it starts little: there are hundreds
    while IFS= read -r path; do
        masked "$destdir$path" || printf '%s\0' "$destdir$path" "$destdir$path$new"
        compiled "$destdir$path"
    done | xargs -0r rm -f
}

undo_doctor() { # takes out what `mwan-hook doctor --fix` has written, by its own list, which goes last
    doctors=$destdir/var/lib/mwan-hook-root/doctor.files
    [ -e "$doctors" ] || return 0
    while IFS= read -r path; do
        case $path in
        *[!/]) ! written_by_doctor "$destdir$path" || rm -f "$destdir$path" "$destdir$path.new" ;;
        esac
    done <"$doctors"
    ! grep -q '^/etc/sysctl' "$doctors" || say "sysctls that doctor has set stay until the next boot"
    grep '/$' "$doctors" | remove_directories
    rm -f "$doctors"
    rmdir "${doctors%/*}" 2>/dev/null || : # what else is there is kept, as the rest of the state is
}

written_by_doctor() { # $1: a path; what was put there since by others stays
    if [ -L "$1" ]; then
        case $(readlink "$1") in */mwan-hook/spool-event) ;; *) return 1 ;; esac
    else
        [ -f "$1" ] && head -n 1 "$1" | grep -q '^# Written by .mwan-hook doctor --fix'
    fi
}

forget_compiled() { [ ! -d "${1%/*}/__pycache__" ] || compiled "$1" | xargs -0r rm -f; }

compiled() { # $1: a file -> what Python made of it, which is not in the manifest; a zero byte behind each
    case $1 in *.py) name=${1##*/} ;; *) return 0 ;; esac
    for bytecode in "${1%/*}/__pycache__/${name%.py}".*.pyc; do
        [ ! -e "$bytecode" ] || printf '%s\0' "$bytecode"
    done
}

remove_directories() { # reads a list of those that we made; takes away what is empty, innermost first
    sort -r | while IFS= read -r path; do
        [ -z "$path" ] || [ ! -d "$destdir$path" ] || printf '%s\0' "$destdir${path}__pycache__" "$destdir$path"
    done | xargs -0r rmdir 2>/dev/null || :
}
