/**
 * What a host's shell runs to receive, install and remove an artifact. Each artifact is in a directory that is named after
 * its digest; the link `current` leads to the one in use. Pure. No script has a single quote or anything that a user wrote.
 */

/** Prints `installed`, or how many bytes of the artifact the host has received. */
export function receivedScript(directory: string, digest: string): string {
  return `
    if [ "$(readlink ${directory}/current)" = ${digest} ]; then echo installed; exit; fi
    mkdir -p -m 755 ${directory} && stat -c %s ${directory}/${digest}.part 2>/dev/null || echo 0`;
}

/** The exit code of `appendScript` when another upload has appended meanwhile: ask again what the host has received. */
export const appendedMeanwhile = 96;

/** Appends standard input, the bytes from `from` on. */
export function appendScript(directory: string, digest: string, from: number): string {
  const part = `${digest}.part`;
  return `
    cd ${directory} || exit
    ${locked}
    if [ -d ${digest} ]; then cat >/dev/null; exit; fi
    touch ${part}
    [ "$(stat -c %s ${part})" = ${from} ] || exit ${appendedMeanwhile}
    cat >> ${part}`;
}

/** One upload at a time: two clusters, or two ways to one host, may install the same artifact. */
const locked = "exec 9>>.lock; flock -w 600 9 || exit 95";

/** Fails with 92 when what was received is damaged, and with 93 when it cannot be unpacked. The artifact before is kept, and older ones are removed. */
export function installScript(directory: string, digest: string): string {
  return `
    set -e
    cd ${directory}
    ${locked}
    if [ ! -d ${digest} ]; then
      if ! echo "${digest}  ${digest}.part" | sha256sum -c --quiet >&2; then rm -f ${digest}.part; exit 92; fi
      rm -rf ${digest}.new
      mkdir ${digest}.new
      # A full disk is left as it was.
      if ! tar -xzf ${digest}.part --strip-components=1 --no-same-owner -C ${digest}.new 2>.log; then
        tail -n 3 .log >&2
        rm -rf ${digest}.new ${digest}.part .log
        exit 93
      fi
      rm -f .log
      sync -f ${digest}.new
      mv ${digest}.new ${digest}
    fi
    previous=$(readlink current || true)
    ln -sfn ${digest} current.new
    mv -T current.new current
    sync -f .
    rm -f ${digest}.part
    ${forEachVersion(`case $each in ${digest}|$previous) ;; *) rm -rf -- "$each" ;; esac`)}`;
}

/** Removes the artifacts once no cluster has anything below `stateDirectory`. */
export function removeScript(directory: string, stateDirectory: string): string {
  return `
    rmdir ${stateDirectory}/* ${stateDirectory} 2>/dev/null
    [ ! -e ${stateDirectory} ] && cd ${directory} 2>/dev/null || exit 0
    rm -f current current.new .lock
    ${forEachVersion('rm -rf -- "$each"')}
    cd / && rmdir ${directory} 2>/dev/null || true`;
}

/** haplan's own directories and files, by their names. What else is in the directory stays. */
function forEachVersion(action: string): string {
  return `for each in *; do
      echo "$each" | grep -Eq "^[0-9a-f]{64}([.](part|new))?$" || continue
      ${action}
    done`;
}
