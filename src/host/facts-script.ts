/**
 * The shell script that gathers the facts of a host. It needs a POSIX shell and what every Linux has, works before haplan is
 * installed, and leaves nothing behind. Pure.
 */
import { unitUserName } from "../base/host-paths.ts";
import { shellWord } from "../base/shell-word.ts";

export type FactsQuestion = {
  /** Where the data of machines is, or will be. */
  readonly dataDirectory: string;
  /** Where haplan's programs are, or will be. */
  readonly programsDirectory: string;
  /** Programs whose presence is asked for. */
  readonly programs: readonly string[];
  /** Paths that units use. */
  readonly paths: readonly string[];
  /** Directories of machines that are removed before others take their places. */
  readonly replaced: readonly string[];
};

/** Writes of 2 KiB, as a member's log writes them. Of 100, the second slowest is the 99th percentile. */
const writes = 100;
/** A slow disk is measured with fewer writes. */
const writeSeconds = 3;

/** What the system is, and its addresses, of interfaces as well. Other parts may follow, which call `fact` as well. */
export const systemScript: string = `export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
fact() { name=$1; shift; printf '%s' "$name"; printf '\\t%s' "$@"; printf '\\n'; }
fact system "$(uname -s)" "$(uname -r)" "$(uname -m)" "$(uname -n)"
fact user "$(id -u)"
[ -r /etc/os-release ] && fact os "$(. /etc/os-release; echo "$PRETTY_NAME")"
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) && fact glibc "\${glibc#glibc }"
systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p')
[ -n "$systemd" ] && fact systemd "$systemd"
[ -d /run/systemd/system ] && fact booted systemd
fact cgroup "$(stat -fc %T /sys/fs/cgroup 2>/dev/null)"
fact memory "$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo 2>/dev/null)"
fact machine-id "$(cat /etc/machine-id 2>/dev/null)"
fact boot-id "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
(ip -o address show 2>/dev/null || ifconfig 2>/dev/null) | sed -n 's/.*inet6* \\([0-9A-Fa-f.:]*\\).*/\\1/p' |
  while read -r each; do fact address "$each"; done
ip -o address show 2>/dev/null | sed -n 's/.*inet6* \\([0-9A-Fa-f.:]*\\/[0-9]*\\).*/\\1/p' |
  while read -r each; do fact network "$each"; done
ip -o link show 2>/dev/null | sed -n 's/.*link\\/ether \\([0-9A-Fa-f:]*\\).*/\\1/p' |
  while read -r each; do fact mac "$each"; done`;

/**
 * Prints one fact a line: its name, a tab, its values with tabs between them. What cannot be told is left out. A word that
 * comes from outside is in `question` alone, and is quoted.
 */
export function factsScript(question: FactsQuestion): string {
  const { dataDirectory, programsDirectory, programs, paths, replaced } = question;
  return `
${systemScript}
for each in ${programs.map(shellWord).join(" ")}; do command -v "$each" >/dev/null 2>&1 && fact program "$each"; done
[ -x ${shellWord(programsDirectory)}/current/bin/haplan-host ] && fact installed yes
${listeningPart}
${unitsPart}
${virtualAddressesPart(dataDirectory)}
nearest() { at=$1; while [ ! -e "$at" ]; do at=$(dirname "$at"); done; echo "$at"; }
disk() { fact "$1" $(df -Pk "$2" 2>/dev/null | sed -n '2s/.* \\([0-9][0-9]*\\)  *[0-9]*% */\\1 /p'); }
disk programs-disk "$(nearest ${shellWord(programsDirectory)})"
data=$(nearest ${shellWord(dataDirectory)})
disk data-disk "$data"
for each in ${replaced.map(shellWord).join(" ")}; do
  [ -d "$each" ] && fact replaced "$(du -skx "$each" 2>/dev/null | cut -f 1)"
done
${pathsPart}
for each in ${paths.map(shellWord).join(" ")}; do pathFact "$each"; done
${writesPart}
`;
}

/**
 * /proc/net/tcp has an inode for each socket; the processes that hold it have links to it. A socket that was closed meanwhile, such
 * as that of a member that does not stay up, is none. A thread may have renamed a process: its program has not.
 */
const listeningPart = `
listening() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _ _ _ _ _ inode _; do
    [ "$state" = 0A ] && echo "$local $inode"
  done
}
inodesOf() { echo " $(echo "$1" | cut -d ' ' -f 2 | tr '\\n' ' ')"; }
sockets=$(listening)
inodes=$(inodesOf "$sockets")
owners=$(find /proc/[0-9]*/fd -lname 'socket:*' -printf '%h %l\\n' 2>/dev/null | while read -r at link; do
  inode=\${link#socket:?}; inode=\${inode%?}
  case $inodes in *" $inode "*) ;; *) continue ;; esac
  pid=\${at#/proc/}; pid=\${pid%/fd}
  unit=$(sed -n 's/.*\\/\\([^/]*\\)\\.service.*/\\1/p' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1)
  program=$(readlink "/proc/$pid/exe" 2>/dev/null) || program=$(cat "/proc/$pid/comm" 2>/dev/null)
  program=\${program% (deleted)}
  fact owner "$inode" "$pid" "\${program##*/}" "$unit"
done)
left=$(inodesOf "$(listening)")
echo "$sockets" | while read -r local inode; do
  case $left in *" $inode "*) fact listening "$local" "$inode" ;; esac
done
echo "$owners"`;

/** Each unit's file names its directory, in quotes. */
const unitsPart = `
for each in /etc/systemd/system/haplan-*.service; do
  directory=$(sed -n 's/^Environment="HAPLAN_UNIT=\\(.*\\)"$/\\1/p' "$each" 2>/dev/null)
  each=\${each##*/}
  [ -n "$directory" ] && fact unit "\${each%.service}" "$directory"
done`;

/** In a block of addresses, each line begins with one; what follows a `#` or `!` is a comment. */
const virtualAddressesPart = (dataDirectory: string): string => `
for each in /etc/keepalived/*.conf ${shellWord(dataDirectory)}/*/machines/*/units/keepalived/files/keepalived.conf; do
  [ -r "$each" ] && sed 's/[#!].*//; s/[{}]/\\n&\\n/g' "$each" | sed -n '/virtual_ipaddress/,/}/p' |
    while read -r address _; do
      case $address in *[0-9a-fA-F].*[0-9]* | *:*) fact virtual-address "\${address%%/*}" "$each" ;; esac
    done
done`;

/**
 * Asked as the user of units, since access lists and groups count as well; where there is none yet, as a user without any
 * group. Without root, that cannot be tried.
 */
const pathsPart = `
unitUser=$(id -u ${unitUserName} 2>/dev/null) && fact unit-user "$unitUser"
asUnit=
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
  if [ -n "$unitUser" ]; then asUnit="setpriv --reuid=$unitUser --regid=$(id -g ${unitUserName}) --init-groups"
  else asUnit="setpriv --reuid=65534 --regid=65534 --clear-groups"; fi
  $asUnit true 2>/dev/null || asUnit=
fi
pathFact() {
  there=$(nearest "$1") kind=file rights=unknown writable=no
  if [ -d "$1" ]; then kind=directory; elif [ ! -e "$1" ] && [ -d "$there" ]; then kind=missing; fi
  [ -w "$there" ] && writable=yes
  if [ -n "$asUnit" ]; then
    rights=
    for right in r w x; do $asUnit test "-$right" "$there" && rights=$rights$right; done
  fi
  fact path "$1" "$kind" "$(readlink -f "$there")" "$(stat -Lc %u "$there")" "$(stat -Lc %U "$there")" "$writable" "$rights"
}`;

/**
 * The file has no name while it is written, so that nothing is left whatever ends the script. dd says how long it took from
 * opening the file until the write was on disk.
 */
const writesPart = `
if [ -w "$data" ] && rm -f "$data"/.haplan-check-*; then
  (
    exec 9<>"$data/.haplan-check-$$" && rm -f "$data/.haplan-check-$$" || exit
    end=$(($(date +%s) + ${writeSeconds})) at=0
    while [ "$at" -lt ${writes} ] && [ "$(date +%s)" -lt "$end" ]; do
      dd if=/dev/zero of=/proc/self/fd/9 bs=2048 count=1 seek="$at" conv=notrunc oflag=dsync 2>&1 |
        sed -n 's/.*copied, \\([0-9.e-]*\\) s.*/\\1/p'
      at=$((at + 1))
    done
  ) 2>/dev/null | while read -r each; do fact write "$each"; done
fi`;
