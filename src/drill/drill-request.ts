/** What a drill acts with. */
import type { RunningProbe } from "../apply/ports.ts";
import type { Clock } from "../base/clock.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import type { ObservedMember } from "../plan/observed-cluster.ts";
import type { LoadBalancer } from "../providers/load-balancer.ts";
import type { Provider } from "../providers/provider.ts";
import type { DrillFault } from "./drill.ts";

export type DrillRequest = {
  readonly faults: readonly DrillFault[];
  readonly pauseMs: number;
  readonly controlPlane: Pick<ControlPlane, "observe" | "moveLeader">;
  /** A connection to these members alone: one that is paused would hold up each look at the others. */
  readonly connectTo: (members: readonly ObservedMember[]) => Pick<ControlPlane, "observe" | "close">;
  readonly provider: Pick<Provider, "disturbUnit">;
  readonly loadBalancer: Pick<LoadBalancer, "virtualAddress">;
  /** Names of the load balancers that share a virtual address, in the order of the spec; empty: there is none. */
  readonly balancers: readonly string[];
  /** Null: gaps are not measured. */
  readonly probe: RunningProbe | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly tell: (fault: DrillFault, phase: "begins" | "ends", problem: string | null) => void;
};

export const pollMs = 250;

/** How long the cluster may take to be as before. */
export const recoveryMs = 30_000;

/** Looks until what it finds is null, or the time is over: then returns the last of it. */
export async function untilNull(
  clock: Clock,
  withinMs: number,
  look: () => Promise<string | null>,
): Promise<string | null> {
  const deadlineMs = clock.monotonicMs() + withinMs;
  for (;;) {
    const found = await look();
    if (found === null || clock.monotonicMs() >= deadlineMs) return found;
    await clock.sleep(pollMs);
  }
}
