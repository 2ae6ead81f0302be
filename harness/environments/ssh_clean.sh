#!/bin/sh
# Remove from a machine what one run put there, and say what was removed, one line a thing. Run as root:
#
#   sh -s DIRECTORY PREFIX <ssh_clean.sh
#
# DIRECTORY is the run's own; PREFIX is how the names of its chains begin. It needs nothing of what was uploaded, works
# whatever is missing, and touches nothing else. A second run prints nothing.
set -eu
PATH=$PATH:/usr/sbin:/sbin
directory=$1 prefix=$2

case $directory in
/*/splitbrain-????????) ;;
*)
    echo "$directory is no directory of ours" >&2
    exit 64
    ;;
esac
case $prefix in
SB-????????-) ;;
*)
    echo "$prefix is no beginning of our chains' names" >&2
    exit 64
    ;;
esac

# Field N of /proc/PID/stat, counted behind the command's name, which may hold anything; the state is the first.
stat() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f "$2"
}

# A process of ours inherited the variable. A leader of one of our groups may have wiped it out, but then its number is
# in a file, with the time at which it started: numbers are reused, the two together are not.
ours() {
    for file in $(grep -lsF "SPLITBRAIN_DIRECTORY=$directory" /proc/[0-9]*/environ || true); do
        pid=${file#/proc/} && pid=${pid%/environ}
        alive "$pid" && echo "$pid"
    done
    [ -d "$directory" ] || return 0
    find "$directory" -name '*.pid' | while read -r file; do
        read -r pid started <"$file" || continue
        [ "$(stat "$pid" 20)" = "$started" ] && alive "$pid" && echo "-$pid"
    done
    return 0
}

alive() {
    case $(stat "$1" 1) in '' | Z | X) return 1 ;; esac
}

kill_processes() {
    attempts=0 said=" "
    while found=$(ours | sort -u) && [ -n "$found" ]; do
        for target in $found; do
            name=$(cat "/proc/${target#-}/comm" 2>/dev/null) || continue
            kill -s KILL -- "$target" 2>/dev/null || continue
            case $said in
            *" ${target#-} "*) ;;
            *) echo "killed process ${target#-} ($name)" && said="$said${target#-} " ;;
            esac
        done
        attempts=$((attempts + 1))
        [ "$attempts" -lt 50 ] || { echo "processes that cannot be killed: $found" >&2 && exit 1; }
        sleep 0.1
    done
}

# The input of iptables-restore that deletes our chains and the jumps to them; nothing if there are none.
removal() {
    iptables-save | awk -v prefix="$prefix" '
        function is_ours(chain) { return index(chain, prefix) == 1 }
        /^\*/ { table = $0; chains = jumps = deletions = "" }
        /^:/ && is_ours(substr($1, 2)) {
            chains = chains $1 " - [0:0]\n"
            deletions = deletions "-X " substr($1, 2) "\n"
        }
        /^-A/ && !is_ours($2) {
            rule = $0
            gsub(/"([^"\\]|\\.)*"/, "", rule) # a comment may say anything
            count = split(rule, word, " ")
            for (i = 3; i < count; i++)
                if ((word[i] == "-j" || word[i] == "-g") && is_ours(word[i + 1])) jumps = jumps "-D" substr($0, 3) "\n"
        }
        /^COMMIT/ && chains != "" { printf "%s\n%s%s%sCOMMIT\n", table, chains, jumps, deletions }
    '
}

remove_chains() {
    command -v iptables-save >/dev/null || return 0
    removal=$(removal)
    [ -n "$removal" ] || return 0
    printf '%s\n' "$removal" | iptables-restore --wait 5 --noflush
    printf '%s\n' "$removal" | sed -n 's/^-X /removed chain /p'
}

unmount_all() {
    cut -d ' ' -f 2 /proc/self/mounts | sort -r | while read -r mount; do
        case $mount in "$directory"/*) umount "$mount" && echo "unmounted $mount" || exit 1 ;; esac
    done
}

remove_directory() {
    [ -d "$directory" ] && [ ! -L "$directory" ] || return 0
    rm -rf -- "$directory"
    echo "removed $directory"
}

kill_processes
remove_chains
unmount_all
remove_directory
