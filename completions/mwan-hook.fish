# Completion of mwan-hook in fish
function __mwan_hook_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l rows (/usr/sbin/mwan-hook complete -- $words[2..] 2>/dev/null)
    if test "$rows" = /
        __fish_complete_path (commandline -ct)
    else
        string replace ' ' \t -- $rows
    end
end
complete -c mwan-hook -f -a '(__mwan_hook_complete)'
