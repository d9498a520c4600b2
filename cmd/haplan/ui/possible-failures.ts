/** What may fail next, and what then: each voter, each zone, each host of the load balancer. Pure. */
import type { ClusterStatus, MemberStatus } from "../views/status-view.ts";

export type PossibleFailure = {
  readonly kind: "member" | "zone" | "loadBalancer";
  readonly subject: string;
  /** `held`: writes continue, perhaps after an election; `lost`: they stop. */
  readonly outcome: "held" | "lost";
  readonly text: string;
};

/** What fails already is left out. Empty while there is no quorum: the next failure changes nothing. */
export function possibleFailures(status: ClusterStatus): readonly PossibleFailure[] {
  if (status.canLose === null) return [];
  const healthy = status.members.filter((member) => member.healthy && member.role !== "learner");
  return [
    ...healthy.map((member) => memberFailure(status, member)),
    ...zoneFailures(status, healthy),
    ...loadBalancerFailures(status),
  ];
}

function memberFailure(status: ClusterStatus, { name, role }: MemberStatus): PossibleFailure {
  const left = status.healthyVoters - 1;
  const held = left >= status.quorum;
  const counts = `${left} of ${status.voters} voters would be left, quorum ${status.quorum}`;
  const effect = !held
    ? "writes stop"
    : role === "leader"
      ? "the others elect a leader and writes continue"
      : "writes continue";
  return {
    kind: "member",
    subject: name,
    outcome: held ? "held" : "lost",
    text: `If ${name}${role === "leader" ? ", the leader," : ""} fails, ${effect}: ${counts}.`,
  };
}

/** Only where more than one voter would be lost at once: a zone with one voter is that voter. */
function zoneFailures(status: ClusterStatus, healthy: readonly MemberStatus[]): readonly PossibleFailure[] {
  const zones = [...new Set(healthy.flatMap(({ zone }) => (zone === null ? [] : [zone])))].toSorted();
  return zones.flatMap((zone): readonly PossibleFailure[] => {
    const inZone = healthy.filter((member) => member.zone === zone).map(({ name }) => name);
    if (inZone.length < 2) return [];
    const left = status.healthyVoters - inZone.length;
    const held = left >= status.quorum;
    const text = `If zone ${zone} fails (${inZone.join(", ")}), ${held ? "writes continue" : "writes stop"}: ${left} of ${status.voters} voters would be left, quorum ${status.quorum}.`;
    return [{ kind: "zone", subject: zone, outcome: held ? "held" : "lost", text }];
  });
}

/** Members are reached without it, but clients and workers use its endpoint. */
function loadBalancerFailures({ loadBalancer }: ClusterStatus): readonly PossibleFailure[] {
  if (loadBalancer === null) return [];
  const { hosts, endpoint, running } = loadBalancer;
  if (hosts === undefined) {
    if (!running) return [];
    const text = `If the load balancer fails, clients do not reach ${endpoint} until it is back.`;
    return [{ kind: "loadBalancer", subject: "load balancer", outcome: "lost", text }];
  }
  const able = hosts.filter((host) => host.running && host.virtualAddress !== "fault");
  const unknown = hosts.filter(({ state }) => state === "unreachable").map(({ name }) => name);
  return able.map(({ name, virtualAddress }): PossibleFailure => {
    const others = able.filter((host) => host.name !== name).map((host) => host.name);
    const held = others.length > 0;
    const effect = !held
      ? unknown.length > 0
        ? `clients reach ${endpoint} only if ${unknown.join(" or ")} serves, which is unreachable`
        : `clients do not reach ${endpoint} until it is back`
      : virtualAddress === "holder"
        ? `${others.join(" or ")} takes over the virtual address`
        : "the virtual address stays where it is";
    return {
      kind: "loadBalancer",
      subject: name,
      outcome: held ? "held" : "lost",
      text: `If ${name} fails, ${effect}.`,
    };
  });
}
