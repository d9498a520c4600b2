/** Clusters for tests of the planner: a spec, and the state and world of one that was applied and left in peace. */

import { type DesiredResource, desiredResources } from "../../src/plan/desired-resources.ts";
import type {
  ObservedAuthority,
  ObservedCertificate,
  ObservedCluster,
  ObservedMachine,
  ObservedMember,
} from "../../src/plan/observed-cluster.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import type { Attributes } from "../../src/plan/resource.ts";
import type { State } from "../../src/plan/state.ts";
import { localModel } from "../../src/providers/local/local-model.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { clientUrl, peerUrl } from "../../src/units/addresses.ts";
import type { InitialCluster } from "../../src/units/initial-cluster.ts";
import {
  agentUnitName,
  loadBalancerUnitName,
  virtualAddressUnitName,
  workerUnitName,
} from "../../src/units/unit-definition.ts";

export type FixtureOptions = { readonly tls?: boolean; readonly workers?: number; readonly engine?: "agent" | "etcd" };

export const fixtureLineage = "5a3c0f6e-0000-4000-8000-00000000000a";

export function fixtureSpec(masters: readonly string[], options: FixtureOptions = {}): ClusterSpec {
  const count = options.workers ?? 2;
  return {
    name: "demo",
    provider: { type: "local" },
    state: { backend: { type: "local" }, encryption: null },
    controlPlane: {
      members: masters.length as 3 | 5 | 7,
      engine: options.engine ?? "agent",
      clientPort: 2379,
      peerPort: 2380,
      tls: { enabled: options.tls ?? true },
      electionTimeoutMs: 1000,
      heartbeatIntervalMs: 100,
      masters: masters.map((name) => ({ name, zone: null, address: `127.0.1.${Number(name.slice(1))}` })),
    },
    workers: Array.from({ length: count }, (_, index) => ({
      name: `w${index + 1}`,
      zone: null,
      address: `127.0.${2 + Math.floor(index / 250)}.${1 + (index % 250)}`,
    })),
    loadBalancer: { type: "embedded", address: "127.0.1.100", ports: [2379] },
    policy: {
      maxLearnerLagEntries: 1000,
      healthSamples: 3,
      joinTimeoutMs: 300_000,
      upgradeWatchMs: 10_000,
      backupBeforeMembershipChange: false,
      allowEvenSteps: false,
      renewBeforeDays: 90,
    },
  };
}

/** Member ids in the fixture are `id-` and the name. */
export function fixtureMember(spec: ClusterSpec, name: string, more: Partial<ObservedMember> = {}): ObservedMember {
  const master = spec.controlPlane.masters.find((candidate) => candidate.name === name) ?? { address: "127.0.9.9" };
  return {
    id: `id-${name}`,
    name,
    peerUrls: [peerUrl(spec, master)],
    clientUrls: [clientUrl(spec, master)],
    learner: false,
    healthy: true,
    leader: false,
    raftIndex: 100,
    raftTerm: 2,
    dbSizeBytes: 4096,
    ...more,
  };
}

/** Not what the spec's masters would give: a unit that is written with those is another one. */
export function fixtureInitialCluster(name: string): InitialCluster {
  return { clusterState: "new", initialCluster: [{ name, peerUrl: "http://127.0.9.9:2380" }] };
}

export function fixtureMachine(
  name: string,
  address: string,
  unit: string,
  more: Partial<ObservedMachine> = {},
): ObservedMachine {
  return {
    name,
    address,
    lineage: fixtureLineage,
    generation: 1,
    hasData: unit === agentUnitName,
    units: [
      {
        name: unit,
        running: true,
        pid: 4242,
        definitionDigest: `digest-${name}`,
        ...(unit === agentUnitName ? { initialCluster: fixtureInitialCluster(name) } : {}),
      },
    ],
    ...more,
  };
}

/** A load balancer's machine, with the unit beside it that holds a virtual address. */
function fixtureBalancer(spec: ClusterSpec, { name, address }: { name: string; address: string }): ObservedMachine {
  const machine = fixtureMachine(name, address, loadBalancerUnitName);
  if (spec.loadBalancer.virtual === undefined) return machine;
  const holder = {
    name: virtualAddressUnitName,
    running: true,
    pid: 4243,
    definitionDigest: `digest-vip-${name}`,
    virtualAddress: spec.loadBalancer.address,
  };
  return { ...machine, units: [...machine.units, holder] };
}

/** When plans of the fixture are made: seven months before its certificates end. */
export const fixtureNowMs: number = Date.parse("2026-06-01T00:00:00Z");

export function fixtureAuthority(more: Partial<ObservedAuthority> = {}): ObservedAuthority {
  return {
    fingerprint: "fp-demo",
    commonName: "demo haplan CA",
    notBefore: "2026-01-01T00:00:00Z",
    notAfter: "2036-01-01T00:00:00Z",
    signingKey: "present",
    directory: ".haplan/demo/pki",
    ...more,
  };
}

/** A certificate that is as `resource` wants it. */
export function fixtureCertificate(
  { name, attributes }: DesiredResource,
  more: Partial<ObservedCertificate> = {},
): ObservedCertificate {
  return {
    name,
    fingerprint: `fp-${name}`,
    profile: attributes["profile"] === "member" ? "member" : "client",
    subjectAltNames: attributes["subjectAltNames"] as readonly string[],
    notBefore: "2026-01-01T00:00:00Z",
    notAfter: "2027-01-01T00:00:00Z",
    trusted: true,
    endsWithAuthority: false,
    ...more,
  };
}

export function settledObservation(spec: ClusterSpec): ObservedCluster {
  const masters = spec.controlPlane.masters;
  const desired = desiredResources(spec, localModel);
  return {
    machines: [
      ...masters.map((master) => fixtureMachine(master.name, master.address, agentUnitName)),
      ...localModel.describeLoadBalancer(spec).hosts.map((host) => fixtureBalancer(spec, host)),
      ...spec.workers.map((worker) => fixtureMachine(worker.name, worker.address, workerUnitName)),
    ],
    authority: spec.controlPlane.tls.enabled ? fixtureAuthority({ fingerprint: `fp-${spec.name}` }) : null,
    certificates: desired
      .filter((resource) => resource.type === "haplan_certificate")
      .map((resource) => fixtureCertificate(resource)),
    membership: {
      clusterId: "c1",
      members: masters.map((master, index) => fixtureMember(spec, master.name, { leader: index === 0 })),
      votersOutgoing: [],
      configurationIndex: 5,
      hasLeader: true,
    },
    backends: masters.map((master) => ({ name: master.name, attributes: {} })),
    orphans: [],
    problems: [],
  };
}

export function settledState(spec: ClusterSpec, serial = 12): State {
  return {
    version: 1,
    haplanVersion: "0.1.0",
    lineage: fixtureLineage,
    serial,
    clusterName: spec.name,
    resources: desiredResources(spec, localModel).map((resource) => ({
      address: resource.address,
      type: resource.type,
      name: resource.name,
      generation: 1,
      status: "ready",
      attributes: { ...resource.attributes, ...known(resource.type, resource.name, resource.unknown) },
      sensitive: resource.sensitive,
      dependsOn: resource.dependsOn,
    })),
  };
}

function known(type: string, name: string, unknown: readonly string[]): Attributes {
  switch (type) {
    case "haplan_ca":
    case "haplan_certificate":
      return {
        fingerprint: `fp-${name}`,
        notAfter: type === "haplan_ca" ? "2036-01-01T00:00:00Z" : "2027-01-01T00:00:00Z",
      };
    case "haplan_raft_member":
      return { memberId: `id-${name}` };
    case "haplan_load_balancer": {
      const holder = unknown.includes("virtualAddressDigest") ? { virtualAddressDigest: `digest-vip-${name}` } : {};
      return { pid: 4242, definitionDigest: `digest-${name}`, ...holder };
    }
    case "haplan_agent":
      return { pid: 4242, definitionDigest: `digest-${name}`, join: fixtureInitialCluster(name) };
    case "haplan_worker":
      return { pid: 4242, definitionDigest: `digest-${name}` };
    default:
      return {};
  }
}

export const emptyObservation: ObservedCluster = {
  machines: [],
  authority: null,
  certificates: [],
  membership: null,
  backends: [],
  orphans: [],
  problems: [],
};

export function fixtureInput(spec: ClusterSpec, more: Partial<PlannerInput> = {}): PlannerInput {
  return {
    spec,
    specDigest: "spec-digest",
    state: more.state === undefined ? settledState(spec) : more.state,
    observed: more.observed ?? settledObservation(spec),
    provider: localModel,
    mode: "apply",
    haplanVersion: "0.1.0",
    nowMs: fixtureNowMs,
    ...more,
  };
}
