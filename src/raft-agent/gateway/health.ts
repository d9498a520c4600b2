/**
 * What a member says of its own health: `/health` as load balancers know it, and the named checks behind `/livez` and
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
  /** Names of alarms to overlook. */
  readonly exclude: readonly string[];
};

const sick = (reason: string): Health => ({ health: "false", reason });

export async function checkHealth(services: MemberServices, options: HealthOptions): Promise<Health> {
  const { machine, context } = services;
  if (context.shutdown.begun) return sick("SHUTTING DOWN");
  for (const { type } of machine.alarms.list(AlarmType.none)) {
    if (options.exclude.includes(alarmName(type))) continue;
    return sick(`ALARM ${type === AlarmType.noSpace || type === AlarmType.corrupt ? alarmName(type) : "UNKNOWN"}`);
  }
  if (!options.serializable && context.consensus.leader() === null) return sick("RAFT NO LEADER");
  const error = options.serializable ? readHere(services) : await readAtLeader(services);
  return error === null ? { health: "true", reason: "" } : sick(`RANGE ERROR:${error.text}`);
}

export type CheckName = "data_corruption" | "serializable_read" | "linearizable_read" | "non_learner" | "shutdown";

/** In the order in which they are listed. */
export const livezChecks: readonly CheckName[] = ["serializable_read"];
export const readyzChecks: readonly CheckName[] = [
  "data_corruption",
  "serializable_read",
  "linearizable_read",
  "non_learner",
];

/** Only while it fails, so that the list is etcd's otherwise. */
export const shutdownCheck: CheckName = "shutdown";

/** Null when all is well, else the words after `failed: `. */
export async function runCheck(services: MemberServices, name: CheckName): Promise<string | null> {
  const { machine, context } = services;
  switch (name) {
    case "data_corruption":
      return machine.alarms.corrupt ? "alarm activated: CORRUPT" : null;
    case "serializable_read":
      return readHere(services)?.text ?? null;
    case "linearizable_read":
      return (await readAtLeader(services))?.text ?? null;
    case "shutdown":
      return context.shutdown.begun ? "this member is about to stop" : null;
    case "non_learner":
      return machine.membership.isShownAsLearner(context.consensus.memberId) ? "not supported for learner" : null;
  }
}

/** Reads one key through the store, so that a store that cannot be read shows. */
function readHere({ machine }: MemberServices): EtcdError | null {
  machine.store.range(rangeRequest(probeKey, { limit: 1 }));
  return null;
}

function readAtLeader(services: MemberServices): Promise<EtcdError | null> {
  if (services.context.consensus.leader() === null) return Promise.resolve(EtcdErrors.noLeader);
  return new Promise((resolve) => {
    services.context.reads.request((error) => resolve(error ?? readHere(services)));
  });
}

const probeKey = Buffer.from("a");
