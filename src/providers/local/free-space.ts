/** Checks that the disks have enough free space: machines on one disk need the sum. */
import { existsSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Diagnostic } from "../../base/diagnostic.ts";
import type { MachineSpace } from "../provider.ts";
import { machinePaths } from "./machine-dir.ts";

type Disk = { readonly mountPoint: string; readonly freeBytes: number };

/** `diskOf` returns the file system that a directory is on, or would be. */
export function checkFreeSpace(
  root: string,
  spaces: readonly MachineSpace[],
  diskOf: (directory: string) => Disk = findDisk,
): Diagnostic[] {
  const byDisk = new Map<string, (MachineSpace & { readonly disk: Disk })[]>();
  for (const space of spaces) {
    const disk = diskOf(machinePaths(root, space.machine).data);
    const sharing = byDisk.get(disk.mountPoint) ?? [];
    byDisk.set(disk.mountPoint, [...sharing, { ...space, disk }]);
  }
  return [...byDisk.values()].flatMap((sharing) => {
    const needed = sharing.reduce((sum, { bytes }) => sum + bytes, 0);
    const { mountPoint, freeBytes } = sharing[0]!.disk;
    return freeBytes >= needed ? [] : [tooSmall(root, mountPoint, freeBytes, needed, sharing)];
  });
}

function tooSmall(
  root: string,
  mountPoint: string,
  freeBytes: number,
  neededBytes: number,
  sharing: readonly MachineSpace[],
): Diagnostic {
  const shares = sharing.map(({ machine, bytes }) => `${machine} ${mebibytes(bytes, "up")}`).join(", ");
  return {
    severity: "error",
    code: "preflight/disk-full",
    summary: `The disk at "${mountPoint}" has ${mebibytes(freeBytes, "down")} free, but ${mebibytes(neededBytes, "up")} are needed`,
    detail: `The data of ${shares} would be below "${join(root, "machines")}". Free some space there, or run haplan in a directory on another disk`,
  };
}

function findDisk(directory: string): Disk {
  return { mountPoint: mountPointOf(nearestExisting(directory)), freeBytes: freeBytesAt(directory) };
}

/** What users other than root may still write to the file system that `directory` is on, or would be. */
export function freeBytesAt(directory: string): number {
  const { bavail, bsize } = statfsSync(nearestExisting(directory));
  return bavail * bsize;
}

function nearestExisting(directory: string): string {
  let nearest = directory;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  return nearest;
}

/** The highest parent directory on the same device. */
function mountPointOf(directory: string): string {
  const { dev } = statSync(directory);
  let highest = directory;
  while (dirname(highest) !== highest && statSync(dirname(highest)).dev === dev) highest = dirname(highest);
  return highest;
}

function mebibytes(bytes: number, rounded: "up" | "down"): string {
  const count = bytes / 2 ** 20;
  return `${rounded === "up" ? Math.ceil(count) : Math.floor(count)} MiB`;
}
