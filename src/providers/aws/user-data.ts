/** The script that cloud-init runs at the first boot of a master. It holds no secret: everything on the instance can read it. Pure. */

import { dataDir } from "../../base/host-paths.ts";

/** The name of the data volume's device for EC2. The instance sees another one, which depends on its type. */
export const dataDeviceName = "/dev/sdf";

const label = "haplan-data";
const fstabLine = `LABEL=${label} ${dataDir} ext4 defaults,noatime,nofail,x-systemd.device-timeout=60s 0 2`;

/**
 * Makes a file system on the data volume unless it has one, and mounts it now and at each boot. The directory below it is
 * immutable: without the volume nothing can be written there, so that a member never starts on the wrong disk.
 */
export const prepareDataVolume: string = `#!/bin/sh
set -eu
at=${dataDir}
label=${label}
findmnt -n "$at" >/dev/null && exit
disk() {
  if blkid -L $label; then return; fi
  for name in $(lsblk -dnpo NAME); do
    case $(lsblk -dno MODEL "$name"):$name in *Elastic\\ Block\\ Store*|*:/dev/xvdf|*:${dataDeviceName}) ;; *) continue ;; esac
    [ "$(lsblk -no NAME "$name" | wc -l)" = 1 ] && ! blkid -p "$name" >/dev/null && echo "$name" && return
  done
  return 1
}
attempt=0
until found=$(disk); do
  attempt=$((attempt + 1))
  [ $attempt -lt 60 ] || { echo "haplan: there is no volume for the data" >&2; exit 1; }
  sleep 2
done
blkid -p "$found" >/dev/null || mkfs.ext4 -q -L $label "$found"
mkdir -p "$at"
chattr +i "$at" || true
grep -q "LABEL=$label" /etc/fstab || echo "${fstabLine}" >> /etc/fstab
mount "$at"
`;

/**
 * Exits with 0 once the data volume is mounted. It mounts one that has a file system, for an instance that got its volume after
 * its first boot; it makes none.
 */
export const isPrepared: string = `findmnt -n ${dataDir} || { blkid -L ${label} && mkdir -p ${dataDir} && { chattr +i ${dataDir} || true; } && { grep -q LABEL=${label} /etc/fstab || echo ${fstabLine} >> /etc/fstab; } && mount ${dataDir}; }`;

/** The file system gets as large as its volume. */
export const growFileSystem: string = `if [ "$(findmnt -no FSTYPE ${dataDir})" = xfs ]; then xfs_growfs ${dataDir}; else resize2fs "$(findmnt -no SOURCE ${dataDir})"; fi`;
