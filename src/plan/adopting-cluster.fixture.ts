/** Clusters for tests of adoption: m1 and m2 already run, under names of their own; m3 is haplan's. */

import {
  emptyObservation,
  fixtureInput,
  fixtureLineage,
  fixtureMachine,
  fixtureMember,
  fixtureSpec,
} from "../../test/support/planned-cluster.ts";
import { localModel } from "../providers/local/local-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { clientUrl } from "../units/addresses.ts";
import { desiredResources } from "./desired-resources.ts";
import type { ObservedMember, ObservedMembership } from "./observed-cluster.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { State } from "./state.ts";

export function adoptingSpec(engine: "agent" | "etcd", policy: Partial<ClusterSpec["policy"]> = {}): ClusterSpec {
  const spec = fixtureSpec(["m1", "m2", "m3"], { tls: false, workers: 0, engine });
  const masters = spec.controlPlane.masters.map((master, index) =>
    index < 2 ? { ...master, adoptedAt: clientUrl(spec, master) } : master,
  );
  return { ...spec, controlPlane: { ...spec.controlPlane, masters }, policy: { ...spec.policy, ...policy } };
}

/** Under names of their own, as members that haplan did not start. */
export function adoptedPair(
  spec: ClusterSpec,
  more: readonly Partial<ObservedMember>[] = [],
): readonly ObservedMember[] {
  return ["m1", "m2"].map((name, index) =>
    fixtureMember(spec, name, { name: `node-${index + 1}`, leader: index === 0, ...more[index] }),
  );
}

/** No resource of haplan's exists yet, unless `more` says so. */
export function adoptingInput(
  spec: ClusterSpec,
  membership: Partial<ObservedMembership> | null = {},
  more: Partial<PlannerInput> = {},
): PlannerInput {
  const found: ObservedMembership = {
    clusterId: "c1",
    members: adoptedPair(spec),
    votersOutgoing: [],
    hasLeader: true,
    engine: spec.controlPlane.engine,
    ...membership,
  };
  const observed = { ...emptyObservation, membership: membership === null ? null : found };
  return fixtureInput(spec, { state: null, observed, ...more });
}

function adoptedState(spec: ClusterSpec): State {
  return {
    version: 1,
    haplanVersion: "0.1.0",
    lineage: fixtureLineage,
    serial: 5,
    clusterName: "demo",
    resources: desiredResources(spec, localModel).map((resource) => ({
      ...resource,
      generation: 1,
      status: "ready",
      attributes: {
        ...resource.attributes,
        ...(resource.type === "haplan_raft_member"
          ? { memberId: `id-${resource.name}`, peerUrl: `http://127.0.1.${resource.name.slice(1)}:2380` }
          : {}),
      },
    })),
  };
}

/** After the third has joined; `more` applies to the two. */
export function adoptedInput(spec: ClusterSpec, more: readonly Partial<ObservedMember>[] = []): PlannerInput {
  const members = [...adoptedPair(spec, more), fixtureMember(spec, "m3")];
  const given = adoptingInput(spec, { members }, { state: adoptedState(spec) });
  const machines = [
    fixtureMachine("m3", "127.0.1.3", "agent"),
    fixtureMachine("load-balancer", "127.0.1.100", "load-balancer"),
  ];
  const backends = ["m1", "m2", "m3"].map((name) => ({ name, attributes: {} }));
  return { ...given, observed: { ...given.observed, machines, backends } };
}
