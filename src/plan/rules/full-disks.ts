/** Masters whose data directory has no space left: etcd and the agent stop at the first write that does not fit. */
import { freeBytesMin } from "../../units/data-disk.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";

export function warnAboutFullDisks({ observed, builder }: Planning): void {
  const full = observed.machines.filter(isFull);
  if (full.length === 0) return;
  const places = full.map(({ name, freeBytes = 0 }) => `${name} has ${Math.floor(freeBytes / 2 ** 20)} MiB free`);
  builder.warn(
    "plan/full-disk",
    `Disk almost full: ${places.join(", ")}`,
    "A member stops when it can no longer write, and does not start again before it can. Free some space on the disk of its data directory, or mount a larger one.",
  );
}

/** Whether the member on the machine is about to stop for lack of space. */
function isFull({ freeBytes, units }: ObservedMachine): boolean {
  const hasMember = units.some(({ name }) => name === agentUnitName);
  return hasMember && freeBytes !== undefined && freeBytes < freeBytesMin;
}
