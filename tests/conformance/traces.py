"""All that a run may leave on a machine: rules, processes, mounts and files, as lines that can be compared.

Lives here: looking at a whole machine, and what differs between two looks. Must not live here: what is ours.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable

# Of files, without those in which sudo keeps who has used it, and without programs, whose folders are not always listed
# in full by the file systems of containers.
_LOOK = r"""
PATH=$PATH:/usr/sbin:/sbin
iptables-save | sed -e '/^#/d' -e 's/ *\[[0-9]*:[0-9]*\]//' -e 's/^/rule /'
for process in /proc/[0-9]*; do
    [ "$process" != "/proc/$$" ] || continue
    command=$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) || continue
    case $command in '' | sshd* | *sftp-server*) ;; *) printf '%s\n' "process $command" | head -n 1 ;; esac
done
cut -d ' ' -f 1-3 /proc/self/mounts | grep -v /docker/ | sed 's/^/mount /'
find WHERE -xdev \( -path /proc -o -path /sys -o -path /usr -o -path /var/lib/dpkg -o -path /run/sudo \) -prune \
    -o ! -name '*.log' ! -name .sudo_as_admin_successful -print | sed 's/^/file /'
"""


def look(execute: Callable[[str], str], where: str = "/") -> list[str]:
    """What is on the machine on which `execute` carries out a shell script; of files, those in `where`."""
    return execute(_LOOK.replace("WHERE", shlex.quote(where))).splitlines()


def difference(before: list[str], after: list[str]) -> list[str]:
    """What has come and gone, a line each; and whether rules that were there before are in another order."""
    came, went = Counter(after) - Counter(before), Counter(before) - Counter(after)
    lines = [f"new: {line}" for line in came.elements()] + [f"gone: {line}" for line in went.elements()]
    reordered = not lines and _rules(before) != _rules(after)
    return [*lines, "rules are in another order"] if reordered else lines


def _rules(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("rule ")]
