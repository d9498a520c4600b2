/** What a provider is created with. */
import type { Clock } from "../base/clock.ts";
import type { Attributes } from "../plan/resource.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ProviderLog } from "./machine-calls.ts";

/** A machine as the state has it, with what creating it returned. */
export type RecordedMachine = {
  readonly name: string;
  readonly generation: number;
  readonly attributes: Attributes;
  /** Another machine has replaced it elsewhere: where it is unreachable, it is so as `name@generation`. */
  readonly leftBehind?: boolean;
};

export type ProviderOptions = {
  /** Says which provider, how it works, and how each host is reached. */
  readonly spec: ClusterSpec;
  /** Reads the machines that the state has: also those that the spec no longer has. */
  readonly recorded: () => Promise<readonly RecordedMachine[]>;
  /** The cluster's directory, `.haplan/<cluster>`. */
  readonly directory: string;
  /** haplan's working directory, which paths of the spec are relative to. */
  readonly cwd: string;
  /** Aborted when the run is to stop. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: ProviderLog;
};
