/** A plan shows which setting of a unit changes: the digest of its configuration says only that one does. */
import { describe, expect, it } from "vitest";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { localModel } from "../providers/local/local-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { desiredResources } from "./desired-resources.ts";
import type { Attributes } from "./resource.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);

function withControlPlane(change: Partial<ClusterSpec["controlPlane"]>): ClusterSpec {
  return { ...three, controlPlane: { ...three.controlPlane, ...change } };
}

const etcd = (version: string): Partial<ClusterSpec["controlPlane"]> => {
  return { engine: "etcd", etcd: { binary: `/opt/etcd-${version}/etcd`, version } };
};

const withBackups = (schedule: object, more: object = {}): ClusterSpec => {
  return {
    ...three,
    backup: { ...more, schedule: { everyMinutes: 60, directory: "/var/backups/haplan", ...schedule } },
  };
};

const changes: readonly (readonly [string, ClusterSpec, ClusterSpec, readonly string[]])[] = [
  ["heartbeatIntervalMs", three, withControlPlane({ heartbeatIntervalMs: 50 }), ["heartbeatIntervalMs"]],
  ["electionTimeoutMs", three, withControlPlane({ electionTimeoutMs: 3000 }), ["electionTimeoutMs"]],
  ["clientPort", three, withControlPlane({ clientPort: 2479 }), ["clientUrl"]],
  ["peerPort", three, withControlPlane({ peerPort: 2480 }), ["peerUrl"]],
  ["tls", three, withControlPlane({ tls: { ...three.controlPlane.tls, enabled: false } }), ["clientUrl", "peerUrl"]],
  ["engine", three, withControlPlane({ engine: "etcd" }), ["engine"]],
  [
    "the version of etcd",
    withControlPlane(etcd("3.6.14")),
    withControlPlane(etcd("3.7.1")),
    ["etcdBinary", "etcdVersion"],
  ],
  [
    "the type of the load balancer",
    three,
    { ...three, loadBalancer: { ...three.loadBalancer, type: "nlb" } },
    ["healthUrl"],
  ],
  ["backups", three, withBackups({}), ["backupSchedule"]],
  ["no more backups", withBackups({}), three, ["backupSchedule"]],
  ["the key of backups", withBackups({}), withBackups({ keyFile: "/etc/haplan/backup.key" }), ["backupSchedule"]],
  ["how many backups are kept", withBackups({}), withBackups({}, { retention: { count: 3 } }), ["backupSchedule"]],
];

function agentOf(spec: ClusterSpec): Attributes {
  return desiredResources(spec, localModel).find(({ address }) => address === "haplan_agent.m1")!.attributes;
}

describe("a changed setting of an agent", () => {
  it.each(changes)("is named: %s", (_, from, to, names) => {
    const [before, after] = [agentOf(from), agentOf(to)];
    expect(before["configDigest"]).not.toBe(after["configDigest"]);
    const differing = Object.keys(after).filter((name) => (before[name] ?? null) !== (after[name] ?? null));
    expect(differing.filter((name) => name !== "configDigest")).toEqual(names);
  });
});
