/** Statistics of runs, showing that they did something. */

const zero = {
  simulatedMs: 0,
  events: 0,
  elections: 0,
  crashes: 0,
  restarts: 0,
  partitions: 0,
  diskFaults: 0,
  lostMembers: 0,
  membershipChanges: 0,
  snapshotsInstalled: 0,
  compactions: 0,
  clientOperations: 0,
  acknowledgedWrites: 0,
  unknownOutcomes: 0,
  watchEvents: 0,
  leasesGranted: 0,
  leasesRenewed: 0,
  keyCompactions: 0,
  upgrades: 0,
  downgrades: 0,
  /** Runs that have agreed on what only the newer release knows. */
  versionsRaised: 0,
  /** Histories of a key that were too expensive to decide. */
  undecidedHistories: 0,
};

export type Statistics = typeof zero;

export function emptyStatistics(): Statistics {
  return { ...zero };
}

export function addStatistics(sum: Statistics, more: Statistics): void {
  for (const name of Object.keys(zero) as (keyof Statistics)[]) sum[name] += more[name];
}
