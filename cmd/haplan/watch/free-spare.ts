/** Chooses the spare host that takes the place of a dead master. Pure. */
import type { HostSpec } from "../../../src/spec/cluster-spec.ts";
import type { PastRepair } from "./past-repairs.ts";

export type SpareChoice = {
  /** Of the dead master. */
  readonly zone: string | null;
  /** Addresses of hosts on which the state has something. */
  readonly occupied: ReadonlySet<string>;
  /** Within the last day. */
  readonly past: readonly PastRepair[];
};

/**
 * A spare host is used once: neither one that has something of the cluster, nor one that was tried within a day. One whose
 * trial did not end (the watcher was killed) is tried first, and then those in the zone of the master.
 */
export function freeSpare(spares: readonly HostSpec[], { zone, occupied, past }: SpareChoice): HostSpec | null {
  const free = spares.filter(
    ({ name, address }) =>
      !occupied.has(address) && !past.some(({ spare, outcome }) => spare === name && outcome !== null),
  );
  const isBegun = ({ name }: HostSpec): boolean => past.some(({ spare }) => spare === name);
  return free.find(isBegun) ?? free.find((each) => each.zone === zone) ?? free[0] ?? null;
}
