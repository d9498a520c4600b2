/**
 * What a host's shell runs to receive, install and remove an artifact. Each artifact is in a directory that is named after
 * its digest, from which units run its programs; the link `current` leads to the one whose haplan-host serves haplan's
 * sessions. Pure. No script has a single quote or anything that a user wrote.
 */
import { hostPrograms } from "../../artifact/artifact-entries.ts";
import { installedFiles, restoreDir } from "../../base/host-paths.ts";

const unitFiles = "/etc/systemd/system";

/** A host keeps this many versions that no unit runs: the one before, for a way back, and one more. */
const unusedMax = 2;

/**
 * `intact DIRECTORY`: whether an artifact is complete, as it was installed. One that an earlier version of haplan has installed has no
 * list of its files: of it, the programs count.
 */
const intact = `
    filesOf() { (cd $1 && find . -type f ! -name ${installedFiles} -exec stat -c "%s %n" {} + | LC_ALL=C sort); }
    intact() {
      if [ -f $1/${installedFiles} ]; then [ -z "$(filesOf $1 | LC_ALL=C comm -23 $1/${installedFiles} -)" ]; return; fi
      if [ -x $1/etcd ]; then return; fi
      [ -x $1/bin/haplan-host ] && [ -x $1/bin/node ] || return 1
      for program in ${hostPrograms.join(" ")}; do [ -f $1/cmd/$program/main.js ] || return 1; done
    }`;

/**
 * Says that the cluster needs the artifacts here, so that no other one removes them, and prints `installed`, or how many bytes of
 * the artifact the host has received, and how many KiB are free there.
 */
export function receivedScript(directory: string, { digest, cluster }: ArtifactUse): string {
  return `
    attempt() {
      mkdir -p -m 755 ${directory} || exit
      cd ${directory} || return
      exec 7<.; flock -w 600 7 || exit 95
      [ . -ef ${directory} ] && mkdir -p ${clusters} && : > ${clusters}/${cluster}
    }
    attempt || attempt || attempt || exit
    ${intact}
    if intact ${digest} && intact current; then echo installed; exit; fi
    received=$(stat -c %s ${digest}.part 2>/dev/null || echo 0)
    echo "$received $(df -Pk ${directory} | tail -n 1 | tr -s " " | cut -d " " -f 4)"`;
}

export type ArtifactUse = {
  readonly digest: string;
  /** The name of the cluster that needs it. */
  readonly cluster: string;
};

/** A file here for each cluster that needs the artifacts. Read and written under the lock of the directory of artifacts. */
const clusters = ".clusters";

/** The exit code of `appendScript` when another upload has appended meanwhile: ask again what the host has received. */
export const appendedMeanwhile = 96;

/** Appends standard input, the bytes from `from` on. */
export function appendScript(directory: string, digest: string, from: number): string {
  const part = `${digest}.part`;
  return `
    cd ${directory} || exit
    ${locked}
    ${intact}
    if intact ${digest}; then cat >/dev/null; exit; fi
    touch ${part}
    [ "$(stat -c %s ${part})" = ${from} ] || exit ${appendedMeanwhile}
    cat >> ${part}`;
}

/** One upload at a time: two clusters, or two ways to one host, may install the same artifact. */
const locked = "exec 9>>.lock; flock -w 600 9 || exit 95";

/** What an exit code of `installScript` means, for errors. */
export const installFailures: { readonly [exitCode: number]: string } = {
  92: "the upload was damaged on its way. Apply again: it is repeated",
  93: "it cannot be unpacked",
  95: "another upload to this host does not end",
  97: "its programs do not run there",
};

/** What an archive has: haplan's programs, or those of another project. */
export type ArchiveContent = "haplan" | "etcd";

/** A command of each that ends with exit code 0 where the programs run. */
const probes: { readonly [Content in ArchiveContent]: string } = {
  haplan: "bin/haplan-host --help",
  etcd: "etcd --version",
};

/**
 * Unpacks what was received, and checks that its programs run on this host before anything uses them. A failure leaves
 * nothing behind. An artifact that is there and damaged is replaced. The programs of units are kept, and of the versions that no
 * unit runs the newest.
 */
export function installScript(
  directory: string,
  { digest, content = "haplan" }: { readonly digest: string; readonly content?: ArchiveContent },
  units: string = unitFiles,
): string {
  return `
    set -e
    cd ${directory}
    ${locked}
    failed() { tail -n 3 .log >&2; rm -rf ${digest}.new ${digest}.part .log; exit $1; }
    ${intact}
    if ! intact ${digest}; then
      if ! echo "${digest}  ${digest}.part" | sha256sum -c --quiet >&2; then rm -f ${digest}.part; exit 92; fi
      rm -rf ${digest}.new
      mkdir ${digest}.new
      tar -xzf ${digest}.part --strip-components=1 --no-same-owner -C ${digest}.new 2>.log || failed 93
      ${digest}.new/${probes[content]} >/dev/null 2>.log </dev/null || failed 97
      rm -f .log
      filesOf ${digest}.new > .list
      mv .list ${digest}.new/${installedFiles}
      sync -f ${digest}.new
      rm -rf ${digest}.old
      [ ! -e ${digest} ] || mv -T ${digest} ${digest}.old
      mv -T ${digest}.new ${digest}
      rm -rf ${digest}.old
    fi
    rm -f ${digest}.part
${content === "haplan" ? currentScript(digest) : ""}
    sync -f .
    ${pruneScript(digest, units)}`;
}

/** The link leads to the newest haplan-host. */
function currentScript(digest: string): string {
  return `
    revision() { sed -n "s/.*\\"hostRevision\\": *\\([0-9]*\\).*/\\1/p" $1/package.json 2>/dev/null; }
    new=$(revision ${digest} || true)
    present=$(revision current || true)
    if ! intact current || [ "\${new:-0}" -ge "\${present:-0}" ]; then
      ln -sfn ${digest} current.new
      mv -T current.new current
    fi`;
}

/** Removes all but the versions in use, and what is left of uploads. */
function pruneScript(digest: string, units: string): string {
  return `
    used="${digest} $(readlink current) $(cat ${units}/haplan-*.service 2>/dev/null | grep -Eo "/[0-9a-f]{64}/" | tr -d / | sort -u || true)"
    unused=0
    for each in $(ls -1t); do
      echo "$each" | grep -Eq "${version}" || continue
      case $used in *$each*) continue ;; esac
      case $each in *.part|*.new|*.old) ;; *) unused=$((unused + 1)); [ $unused -gt ${unusedMax} ] || continue ;; esac
      rm -rf -- "$each"
    done`;
}

/** haplan's own directories and files, by their names. What else is in the directory stays. */
const version = "^[0-9a-f]{64}([.](part|new|old))?$";

export type RemovalRequest = {
  /** Where artifacts are. */
  readonly directory: string;
  /** Where the machines of all clusters are; it stays where it is a mount point. */
  readonly stateDirectory: string;
  /** The cluster that needs the artifacts no longer, if none of its machines is left. */
  readonly cluster: string;
};

/** How long an upload that ends, or was cut off, may keep its lock. */
const uploadEndsSeconds = 60;

/**
 * Removes what an interrupted restore or upload of the cluster has left, and the artifacts once no cluster needs them: none has machines
 * below `stateDirectory`, or has begun to install. What others have put there stays. Ends with another exit code than 0 where it could not.
 */
export function removeScript({ directory, stateDirectory, cluster }: RemovalRequest): string {
  const machines = `${stateDirectory}/${cluster}/machines`;
  return `
    if ls -A ${machines} 2>/dev/null | grep -q .; then exit 0; fi
    rm -rf ${stateDirectory}/${cluster}/${restoreDir}
    rmdir ${stateDirectory}/${cluster} 2>/dev/null
    rmdir ${stateDirectory} 2>/dev/null
    cd ${directory} 2>/dev/null || exit 0
    exec 7<.; flock -w 600 7 || exit 95
    [ . -ef ${directory} ] || exit 0
    rm -f ${clusters}/${cluster}
    rmdir ${clusters} 2>/dev/null
    [ ! -d ${clusters} ] || exit 0
    ! ls -d ${stateDirectory}/*/machines >/dev/null 2>&1 || exit 0
    exec 9>>.lock; flock -w ${uploadEndsSeconds} 9
    rm -f current current.new .lock .log .list
    for each in *; do
      if echo "$each" | grep -Eq "${version}"; then rm -rf -- "$each"; fi
    done
    cd / && rmdir ${directory} 2>/dev/null
    [ ! -e ${directory}/current ] && ! ls ${directory} 2>/dev/null | grep -Eq "${version}"`;
}
