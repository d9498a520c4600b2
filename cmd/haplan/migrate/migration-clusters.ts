/** The two clusters of a migration: the one of `controlPlane.migrateFrom`, and the spec's own. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { errorText } from "../../../src/base/haplan-error.ts";
import { otherAlarms } from "../../../src/migrate/cluster-calls.ts";
import { type ClusterEnd, openClusterEnd } from "../../../src/migrate/cluster-end.ts";
import type { TlsMaterial } from "../../../src/pki/tls-material.ts";
import { resolveKnownAddresses } from "../../../src/plan/known-addresses.ts";
import type { ObservedMembership } from "../../../src/plan/observed-cluster.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import { clientUrl } from "../../../src/units/addresses.ts";
import type { CliContext } from "../cli-context.ts";
import { readEtcdUser } from "../etcd-user.ts";
import { type RefusalError, refuse } from "../refusal.ts";
import { clientMaterial, type Session, sessionState } from "../session.ts";

export type MigrateFrom = NonNullable<ClusterSpec["controlPlane"]["migrateFrom"]>;

/** @throws RefusalError if the spec names no cluster */
export function migrateFromOf({ spec }: Session): MigrateFrom {
  const { migrateFrom } = spec.controlPlane;
  if (migrateFrom !== undefined) return migrateFrom;
  throw refuse(
    "cli/nothing-to-migrate",
    "The spec names no cluster to migrate from",
    'Write the client URLs of all its members: `controlPlane: { migrateFrom: { endpoints: ["http://10.0.0.1:2379"] } }`, in a spec of the new members, with addresses or ports of their own.',
  );
}

/** @throws RefusalError naming the file that cannot be read */
export function sourceMaterial({ cwd }: CliContext, { tls }: MigrateFrom): TlsMaterial | null {
  if (tls === undefined) return null;
  const read = (key: string, path: string): string => {
    try {
      return readFileSync(resolve(cwd, path), "utf8");
    } catch (error) {
      throw refuse(
        "cli/migrate-tls",
        `Cannot read migrateFrom.tls.${key}, ${path}: ${errorText(error)}`,
        "Fix the path.",
      );
    }
  };
  return {
    caPem: read("caFile", tls.caFile),
    certificatePem: read("certFile", tls.certFile),
    keyPem: read("keyFile", tls.keyFile),
  };
}

/** Closed when the run ends. */
export function openSource(context: CliContext, from: MigrateFrom): ClusterEnd {
  const tls = sourceMaterial(context, from);
  const end = openClusterEnd({ endpoints: from.endpoints, tls, user: readEtcdUser(context.environment) });
  context.atEnd(() => end.close());
  return end;
}

/** The new members. */
export async function openTarget(context: CliContext, session: Session): Promise<ClusterEnd> {
  const state = await sessionState(context, session);
  const spec = resolveKnownAddresses(session.spec, state?.resources ?? []);
  const endpoints = spec.controlPlane.masters.map((master) => clientUrl(spec, master));
  const tls = await clientMaterial(session);
  const end = openClusterEnd({ endpoints, tls, user: readEtcdUser(context.environment) });
  context.atEnd(() => end.close());
  return end;
}

export type CheckedSource = { readonly membership: ObservedMembership; readonly engine: "agent" | "etcd" };

/** Everything that would fail later is refused before anything is changed. @throws RefusalError */
export async function checkSource(context: CliContext, session: Session, from: MigrateFrom): Promise<CheckedSource> {
  const tls = sourceMaterial(context, from);
  const members = session.dependencies.connect({ endpoints: from.endpoints, tls });
  try {
    const membership = await members.observe();
    if (membership === null)
      throw unusable(`No member answers at ${from.endpoints.join(", ")}`, "Start its members, or fix the endpoints.");
    checkMembers(membership, from);
    const source = openSource(context, from);
    const alarms = await otherAlarms(source);
    if (alarms.length > 0)
      throw unusable(
        `It has the alarm ${alarms.join(", ")}`,
        "Find the cause, and disarm it (etcdctl alarm disarm), before its data is copied.",
      );
    return { membership, engine: membership.engine ?? "etcd" };
  } finally {
    members.close();
  }
}

function checkMembers(membership: ObservedMembership, { endpoints }: MigrateFrom): void {
  const { members, foreignEndpoints = [], user, hasLeader } = membership;
  const foreign = foreignEndpoints[0];
  if (foreign !== undefined)
    throw unusable(
      `${foreign.endpoint} answers for another cluster, ${foreign.clusterId}`,
      "Write endpoints of one cluster.",
    );
  const learner = members.find((member) => member.learner);
  if (learner !== undefined)
    throw unusable(`${learner.name || learner.id} is a learner`, "Promote or remove it: its membership is changing.");
  const unhealthy = members.filter(({ healthy }) => !healthy).map(({ name, id }) => name || id);
  if (unhealthy.length > 0 || !hasLeader)
    throw unusable(
      `${unhealthy.join(", ") || "Its leader"} does not answer`,
      "All its members have to be healthy before they are replaced.",
    );
  if (members.length !== endpoints.length)
    throw unusable(
      `It has ${members.length} members, and ${endpoints.length} endpoints are written`,
      `Write one client URL of each: ${members.flatMap(({ clientUrls }) => clientUrls[0] ?? []).join(", ")}.`,
    );
  if (user !== undefined && !user.root)
    throw unusable(
      `User "${user.name}" has not the role root there`,
      "Set HAPLAN_ETCD_USER to a user that has it: a migration reads and writes everything.",
    );
}

function unusable(summary: string, advice: string): RefusalError {
  return refuse(
    "cli/migrate-source",
    `The cluster of migrateFrom cannot be migrated: ${summary}`,
    `${advice} Nothing was changed.`,
  );
}
