/**
 * One run: a cluster runs under faults for a while, then the faults end, and it has to settle. Everything follows from
 * the seed.
 */

import { errorText } from "../../src/base/haplan-error.ts";
import { createRandom } from "../../src/base/random.ts";
import { checkDurability } from "./checkers/durability.ts";
import { checkLeasePromises } from "./checkers/lease-promises.ts";
import { byKey, decideLinearizability } from "./checkers/linearizability.ts";
import { isAtRest, storesOf, whyNotSettled } from "./checkers/progress.ts";
import { checkWatchPromises } from "./checkers/watch-promises.ts";
import { Client } from "./client.ts";
import { Cluster } from "./cluster.ts";
import { LeaseHolder } from "./lease-holder.ts";
import type { Mutations } from "./mutations.ts";
import { Nemesis } from "./nemesis.ts";
import { Operator } from "./operator.ts";
import { PairWriter } from "./pair-writer.ts";
import { drawProfile, type Profile } from "./profile.ts";
import type { Statistics } from "./statistics.ts";
import { Upgrader } from "./upgrader.ts";
import { Violation } from "./violation.ts";
import { Watcher } from "./watcher.ts";

/** The time limit for a cluster to settle after the faults. */
const settleWithinMs = 90_000;
const restCheckMs = 500;
/** Sets the draw of mixed runs apart from all others of a seed. */
const mixingSalt = 0x6d_69_78;

export type RunOptions = {
  readonly seed: number;
  /** The mutations of a mutant, and a profile in which they are detected. */
  readonly mutations?: Mutations;
  readonly bias?: Partial<Profile>;
};

export type RunResult = {
  readonly seed: number;
  readonly digest: string;
  readonly statistics: Statistics;
  /** Null when nothing was found. */
  readonly violation: { readonly property: string; readonly text: string; readonly trace: readonly string[] } | null;
};

export async function runSeed({ seed, mutations = {}, bias = {} }: RunOptions): Promise<RunResult> {
  const random = createRandom(seed);
  // Drawn apart, so that the other seeds' runs do not depend on it.
  const mixesReleases = Object.keys(mutations).length === 0 && createRandom(seed ^ mixingSalt).below(3) === 0;
  const profile = drawProfile(random, { mixesReleases, ...bias });
  const cluster = new Cluster(random, profile, mutations);
  let violation: RunResult["violation"] = null;
  try {
    await live(cluster);
  } catch (error) {
    violation = describeViolation(error, cluster);
  }
  const { statistics, trace, time } = cluster;
  statistics.simulatedMs = time.nowMs;
  if (cluster.observer.readable.isRaised) statistics.versionsRaised++;
  statistics.events = time.eventCount;
  return { seed, digest: trace.digest(), statistics, violation };
}

async function live(cluster: Cluster): Promise<void> {
  const { profile, time } = cluster;
  const operator = new Operator(cluster);
  const nemesis = new Nemesis(cluster, operator);
  const upgrader = new Upgrader(cluster);
  for (let client = 1; client <= profile.clients; client++) new Client(cluster, client);
  const watchers = Array.from({ length: profile.watchers }, () => new Watcher(cluster));
  if (watchers.length > 0) new PairWriter(cluster);
  const holders = Array.from({ length: profile.leaseHolders }, (_, at) => new LeaseHolder(cluster, at + 1));
  await cluster.run(profile.durationMs);
  cluster.throwViolation();
  nemesis.stop();
  upgrader.stop();
  cluster.note([], "the faults end");
  endFaults(cluster, operator);
  await settleCluster(cluster, operator, watchers, time.nowMs + settleWithinMs);
  cluster.throwViolation();
  checkDurability(cluster.history.operations, storesOf(cluster));
  checkHistory(cluster);
  for (const { leases } of holders) checkLeasePromises(cluster.observer.written, leases);
  for (const { journals } of watchers) checkWatchPromises(cluster.observer.written, journals);
}

function endFaults(cluster: Cluster, operator: Operator): void {
  cluster.network.heal();
  operator.isCareful = true;
  for (const host of cluster.hosts.values()) {
    host.repairDisk();
    if (host.state === "down") cluster.startLater(host, cluster.random.next() * 500);
  }
}

/**
 * Clients continue until the cluster has settled, so that writes are seen to succeed; then they stop, and all members
 * have to be equal.
 */
async function settleCluster(
  cluster: Cluster,
  operator: Operator,
  watchers: readonly Watcher[],
  deadlineMs: number,
): Promise<void> {
  const { time, statistics } = cluster;
  const writesBefore = statistics.acknowledgedWrites;
  while (cluster.violation === null && time.nowMs < deadlineMs) {
    await cluster.run(time.nowMs + restCheckMs);
    if (!operator.isSettled() || statistics.acknowledgedWrites === writesBefore) continue;
    cluster.areClientsStopped = true;
    if (isAtRest(cluster) && missingFromWatchers(cluster, watchers) === null) return;
  }
  if (cluster.violation !== null) return;
  const why = operator.isSettled()
    ? (whyNotSettled(cluster) ?? missingFromWatchers(cluster, watchers))
    : "the membership differs from the goal";
  const wrote = statistics.acknowledgedWrites > writesBefore ? "" : ", and no write was acknowledged";
  throw new Violation("progress", `${settleWithinMs / 1000} s after the faults ended ${why}${wrote}`);
}

/** Null when every watcher has received everything that was written. */
function missingFromWatchers(cluster: Cluster, watchers: readonly Watcher[]): string | null {
  const revision = cluster.leaderHost()?.process?.store.revision ?? 0;
  return watchers.every((watcher) => watcher.knows(revision))
    ? null
    : `a watcher has not received everything up to ${revision}`;
}

function checkHistory({ history, statistics }: Cluster): void {
  for (const [key, operations] of byKey(history.operations)) {
    const verdict = decideLinearizability(operations);
    if (verdict === "undecided") statistics.undecidedHistories++;
    if (verdict === "notLinearizable") {
      throw new Violation("linearizability", `no order of the ${operations.length} operations on ${key} explains them`);
    }
  }
}

function describeViolation(error: unknown, cluster: Cluster): NonNullable<RunResult["violation"]> {
  const property = error instanceof Violation ? error.property : error instanceof Error ? error.name : "error";
  const stack = error instanceof Error ? (error.stack ?? "").split("\n").slice(1) : [];
  return { property, text: errorText(error), trace: [...cluster.trace.tail(), "", errorText(error), ...stack] };
}
