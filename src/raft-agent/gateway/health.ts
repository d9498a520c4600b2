/**
 * A member's report of its own health: `/health` for load balancers, and the named checks behind `/livez` and
 * `/readyz` (etcd server/etcdserver/api/etcdhttp/health.go).
 */
import { rangeRequest } from "../api/range.ts";
import type { MemberServices } from "../services/member-services.ts";
import { AlarmType, alarmName } from "../state-machine/apply-result.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";

export type Health = { readonly health: "true" | "false"; readonly reason: string };

export type HealthOptions = {
  /** Do not ask the leader. */
  readonly serializable: boolean;
  /** Names of alarms to ignore. */
  readonly exclude: readonly string[];
};

const unhealthy = (reason: string): Health => ({ health: "false", reason });

export async function checkHealth(services: MemberServices, options: HealthOptions): Promise<Health> {
  const { machine, context } = services;
  if (context.shutdown.begun) return unhealthy("SHUTTING DOWN");
  for (const { type } of machine.alarms.list(AlarmType.none)) {
    if (options.exclude.includes(alarmName(type))) continue;
    return unhealthy(`ALARM ${type === AlarmType.noSpace || type === AlarmType.corrupt ? alarmName(type) : "UNKNOWN"}`);
  }
  if (!options.serializable && context.consensus.leader() === null) return unhealthy("RAFT NO LEADER");
  const error = options.serializable ? readLocally(services) : await readAtLeader(services);
  return error === null ? { health: "true", reason: "" } : unhealthy(`RANGE ERROR:${error.text}`);
}

export type CheckName = "data_corruption" | "serializable_read" | "linearizable_read" | "non_learner" | "shutdown";

/** In the order of the list. */
export const livezChecks: readonly CheckName[] = ["serializable_read"];
export const readyzChecks: readonly CheckName[] = [
  "data_corruption",
  "serializable_read",
  "linearizable_read",
  "non_learner",
];

/** Only while it fails, so that otherwise the list is etcd's. */
export const shutdownCheck: CheckName = "shutdown";

/** Null when the check passes, else the words after `failed: `. */
export async function runCheck(services: MemberServices, name: CheckName): Promise<string | null> {
  const { machine, context } = services;
  switch (name) {
    case "data_corruption":
      return machine.alarms.corrupt ? "alarm activated: CORRUPT" : null;
    case "serializable_read":
      return readLocally(services)?.text ?? null;
    case "linearizable_read":
      return (await readOverElection(services))?.text ?? null;
    case "shutdown":
      return context.shutdown.begun ? "this member is stopping" : null;
    case "non_learner":
      return machine.membership.isReportedAsLearner(context.consensus.memberId) ? "not supported for learner" : null;
  }
}

/** Reads one key through the store, so that an unreadable store is detected. */
function readLocally({ machine }: MemberServices): EtcdError | null {
  machine.store.range(rangeRequest(probeKey, { limit: 1 }));
  return null;
}

function readAtLeader(services: MemberServices): Promise<EtcdError | null> {
  if (services.context.consensus.leader() === null) return Promise.resolve(EtcdErrors.noLeader);
  return new Promise((resolve) => {
    services.context.reads.request((error) => resolve(error ?? readLocally(services)));
  });
}

/**
 * As `readAtLeader`, but a change of the leader is waited for, as etcd's read does. A load balancer that has just been reloaded
 * takes one failed check for a member that is down, and cuts off its clients: a transfer of leadership must not be one.
 */
async function readOverElection(services: MemberServices): Promise<EtcdError | null> {
  const { clock, shutdown } = services.context;
  const deadlineMs = clock.monotonicMs() + electionWaitMs;
  for (;;) {
    const error = await readAtLeader(services);
    const isElection = error === EtcdErrors.noLeader || error === EtcdErrors.leaderChanged;
    if (!isElection || shutdown.begun || clock.monotonicMs() >= deadlineMs) return error;
    await clock.sleep(electionPollMs);
  }
}

/** Longer than a transfer of leadership takes on a busy machine; shorter than the check of a load balancer may take. */
const electionWaitMs = 300;
const electionPollMs = 20;
const probeKey = Buffer.from("a");
