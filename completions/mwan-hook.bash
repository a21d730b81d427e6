# shellcheck shell=bash
# bash-completion(7) of mwan-hook.  A name may hold letters at which bash breaks words, as @ in lte@usb0: it replaces only
# what stands behind the last of them.
_mwan_hook() {
    local line=${COMP_LINE:0:COMP_POINT} candidate words before
    read -ra words <<<"$line"
    [[ $line != *[[:space:]] ]] || words+=("")
    before=${words[-1]%"$2"}
    COMPREPLY=()
    while read -r candidate _; do
        if [[ $candidate == / ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$2")
            return
        fi
        [[ $candidate != *= ]] || compopt -o nospace
        COMPREPLY+=("${candidate#"$before"}")
    done < <(/usr/sbin/mwan-hook complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _mwan_hook mwan-hook
