/** A cluster's first start: all members at once with the same `--initial-cluster`, then one wait for their quorum. */

import type { InitialCluster } from "../../units/initial-cluster.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { planMachine } from "./machines.ts";
import { refuseFounders } from "./requested-replacements.ts";
import type { WithCertificates } from "./stages.ts";
import { configurationChanged } from "./unit-condition.ts";

export function planFirstStart(planning: WithCertificates): void {
  const { desired, view, certificates, builder, spec } = planning;
  refuseFounders(planning);
  const members = desired.filter((resource) => resource.type === "haplan_raft_member");
  const join: InitialCluster = {
    clusterState: "new",
    initialCluster: members.map((member) => ({ name: member.name, peerUrl: String(member.attributes["peerUrl"]) })),
  };
  const machines = new Map<string, string | null>();
  for (const resource of desired) {
    if (resource.type !== "haplan_machine" || resource.attributes["role"] !== "master") continue;
    // An initial member's data may be part of the quorum already: nothing is replaced before that is known.
    machines.set(
      resource.name,
      planMachine({ ...planning, replace: [] }, resource, () => null),
    );
  }
  // Without a quorum nothing depends on them: they are started again together, before others make one with them.
  const reconfigured = reconfiguredFounders(planning);
  const again: (string | null)[] = [];
  const isAgain = ({ name }: DesiredResource): boolean => reconfigured.includes(name);
  const started = members
    .toSorted((a, b) => Number(isAgain(b)) - Number(isAgain(a)))
    .map((member) => {
      const { name } = member;
      const address = resourceAddress("haplan_agent", name);
      const known = view.resources.has(address);
      if (known && isRunning(planning, name) && !certificates.has(name) && !isAgain(member)) return null;
      const reason = isAgain(member) ? configurationChanged : "its process is gone";
      builder.setAction(address, known ? "update" : "create", known ? reason : null);
      const waits = [machines.get(name) ?? null, certificates.get(name) ?? null, ...(isAgain(member) ? [] : again)];
      const step = builder.add({ kind: "startAgent", member: name, join }, [address], waits);
      if (isAgain(member)) again.push(step);
      return step;
    });
  for (const member of members) builder.setAction(member.address, "create");
  builder.chain(
    { kind: "awaitQuorum", members: spec.controlPlane.masters.map((master) => master.name) },
    members.map((member) => member.address),
    [...started, certificates.get("admin") ?? null],
  );
}

/** Initial members that run, with other settings than the spec has by now. */
export function reconfiguredFounders(planning: Planning): readonly string[] {
  return planning.desired
    .filter(({ type, address, name, attributes }) => {
      const begun = type === "haplan_agent" ? planning.view.resources.get(address) : undefined;
      const isChanged = begun !== undefined && begun.attributes["configDigest"] !== attributes["configDigest"];
      return isChanged && isRunning(planning, name);
    })
    .map(({ name }) => name);
}

function isRunning({ view }: Planning, name: string): boolean {
  return unitOf(view.machines.get(name), agentUnitName)?.running === true;
}
