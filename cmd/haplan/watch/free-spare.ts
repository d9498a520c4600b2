/** Chooses the spare host that takes the place of a dead master. Pure. */
import type { HostSpec } from "../../../src/spec/cluster-spec.ts";
import type { PastRepair } from "./past-repairs.ts";

export type SpareChoice = {
  /** Of the dead master. */
  readonly zone: string | null;
  /** Addresses of hosts on which the state has a machine, with its name. */
  readonly occupied: ReadonlyMap<string, string>;
  /** Within the last day. */
  readonly past: readonly PastRepair[];
};

/**
 * A spare host is used once: neither one that has something of the cluster, nor one that was tried within a day. One whose
 * trial did not end (the watcher was killed) is tried first, and then those in the zone of the master.
 */
export function freeSpare(spares: readonly HostSpec[], { zone, ...seen }: SpareChoice): HostSpec | null {
  const free = spares.filter((spare) => whyNotFree(spare, seen) === null);
  const isBegun = ({ name }: HostSpec): boolean => seen.past.some(({ spare }) => spare === name);
  return free.find(isBegun) ?? free.find((each) => each.zone === zone) ?? free[0] ?? null;
}

/** Null for one that may be taken. */
export function whyNotFree(
  { name, address }: HostSpec,
  { occupied, past }: Pick<SpareChoice, "occupied" | "past">,
): string | null {
  const machine = occupied.get(address);
  if (machine !== undefined) return `${name} has ${machine} of this cluster`;
  const tried = past.findLast(({ spare, outcome }) => spare === name && outcome !== null);
  if (tried === undefined) return null;
  const when = `${new Date(tried.atMs).toISOString().slice(0, 19)}Z`;
  return tried.outcome === "repaired"
    ? `${name} was used within a day (${when})`
    : `${name} failed within a day (${when})${tried.failure === null ? "" : `: ${tried.failure}`}`;
}
