/** A run of haplan that changes a cluster: one at a time holds the lock of each host. */
export type ChangingRun = {
  readonly id: string;
  readonly user: string;
  /** The machine that haplan runs on. */
  readonly host: string;
  readonly pid: number;
  /** `apply`, `destroy`, ... */
  readonly operation: string;
  /** Wall time in milliseconds. */
  readonly createdAt: number;
};

/** A run that holds a lock asks for it again this often. */
export const renewLockMs = 10_000;
/** A host ends the session of a run that has not for so long: its connection may be dead without having ended. */
export const lockLeaseMs = 40_000;
