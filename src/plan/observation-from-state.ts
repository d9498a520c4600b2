/**
 * The cluster as recorded in the state, for plans without a refresh (`-refresh=false`): everything runs as it was left.
 * Such a plan shows what the spec would change; it knows of no failure, so it cannot be applied.
 */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import {
  agentUnitName,
  kubeadmUnitName,
  loadBalancerUnitName,
  virtualAddressUnitName,
  workerUnitName,
} from "../units/unit-definition.ts";
import type {
  ObservedAuthority,
  ObservedCertificate,
  ObservedCluster,
  ObservedLoadBalancer,
  ObservedMachine,
  ObservedUnit,
} from "./observed-cluster.ts";
import { type Attributes, type ResourceType, resourceAddress, specName } from "./resource.ts";
import type { State, StateResource } from "./state.ts";

export function observationFromState(spec: ClusterSpec, state: State | null): ObservedCluster {
  const of = (type: ResourceType): readonly StateResource[] =>
    (state?.resources ?? []).filter((resource) => resource.type === type);
  const members = of("haplan_raft_member");
  const [authority] = of("haplan_ca");
  const balancer = rememberedLoadBalancer(state);
  return {
    machines: rememberedMachines(state),
    ...(balancer === undefined ? {} : { loadBalancer: balancer }),
    authority: spec.controlPlane.tls.enabled && state !== null ? authorityOf(spec, authority, state) : null,
    certificates: of("haplan_certificate").map(certificateOf),
    membership:
      members.length === 0
        ? null
        : {
            clusterId: "remembered",
            hasLeader: true,
            votersOutgoing: [],
            members: members.map((member, index) => memberOf(member, index === 0)),
          },
    backends: of("haplan_lb_backend").map(({ name, attributes }) => ({ name, attributes })),
    orphans: [],
    problems: [],
  };
}

/** A load balancer on no machine of haplan's, as it was left; undefined if it runs on one, or there is none. */
export function rememberedLoadBalancer(state: State | null): ObservedLoadBalancer | undefined {
  const named = (type: ResourceType): StateResource | undefined =>
    state?.resources.find(({ address }) => address === resourceAddress(type, loadBalancerName));
  const known = named("haplan_load_balancer");
  if (known === undefined || named("haplan_machine") !== undefined) return undefined;
  const { address, definitionDigest } = known.attributes;
  return { running: true, address: text(address), definitionDigest: text(definitionDigest) };
}

/** Each machine as it was left. */
export function rememberedMachines(state: State | null): readonly ObservedMachine[] {
  return (state?.resources ?? [])
    .filter(({ type }) => type === "haplan_machine")
    .map((machine) => machineOf(machine, state));
}

function machineOf(machine: StateResource, state: State | null): ObservedMachine {
  const unit = (type: ResourceType, name: string): readonly ObservedUnit[] => {
    const known = state?.resources.find((resource) => resource.type === type && resource.name === machine.name);
    if (known === undefined) return [];
    const { pid, definitionDigest } = known.attributes;
    return [
      { name, running: true, pid: typeof pid === "number" ? pid : null, definitionDigest: text(definitionDigest) },
    ];
  };
  const agent = unit("haplan_agent", agentUnitName);
  return {
    name: specName(machine.name),
    address: text(machine.attributes["address"]),
    lineage: state?.lineage ?? "",
    generation: machine.generation,
    hasData: agent.length > 0,
    units: [
      ...agent,
      ...unit("haplan_load_balancer", loadBalancerUnitName),
      ...virtualAddressOf(machine, state),
      ...unit("haplan_worker", workerUnitName),
      ...unit("haplan_kubeadm_config", kubeadmUnitName),
    ],
  };
}

/** The unit beside a load balancer with a virtual address. */
function virtualAddressOf({ name }: StateResource, state: State | null): readonly ObservedUnit[] {
  const balancer = state?.resources.find(({ address }) => address === resourceAddress("haplan_load_balancer", name));
  const definitionDigest = balancer?.attributes["virtualAddressDigest"];
  if (typeof definitionDigest !== "string") return [];
  return [{ name: virtualAddressUnitName, running: true, pid: null, definitionDigest }];
}

function memberOf(
  { name, attributes }: StateResource,
  leader: boolean,
): NonNullable<ObservedCluster["membership"]>["members"][number] {
  return {
    id: text(attributes["memberId"]),
    name: specName(name),
    peerUrls: [text(attributes["peerUrl"])],
    clientUrls: [text(attributes["clientUrl"])],
    learner: attributes["role"] === "learner",
    healthy: true,
    leader,
    raftIndex: 0,
    raftTerm: 0,
    dbSizeBytes: null,
  };
}

/**
 * haplan's authority is a resource; the operator's, and that of adopted members, are not. Units record which authorities
 * they trust, and the state has no other trace of a previous one.
 */
function authorityOf(
  { controlPlane: { tls } }: ClusterSpec,
  resource: StateResource | undefined,
  { resources }: State,
): ObservedAuthority | null {
  const file = tls.authority?.caFile ?? tls.adopted?.caFile;
  if (resource === undefined && file === undefined) return null;
  const lists = resources.flatMap(({ attributes: { trusts } }) => (Array.isArray(trusts) ? trusts : []));
  const trusted = [...new Set(lists.map(text))];
  const dated =
    resource === undefined
      ? { ...neverEnding, fingerprint: trusted[0] ?? "" }
      : { ...datedOf(resource.attributes), commonName: text(resource.attributes["commonName"]) };
  const previous = trusted
    .filter((fingerprint) => fingerprint !== dated.fingerprint)
    .map((fingerprint) => ({ ...dated, fingerprint, commonName: fingerprint }));
  return {
    ...dated,
    signingKey: "present",
    ...(previous.length === 0 ? {} : { previous }),
    directory: file ?? "",
  };
}

/** The state does not record when an authority ends that is no resource. */
const neverEnding = {
  commonName: "",
  notBefore: new Date(0).toISOString(),
  notAfter: "9999-12-31T23:59:59.000Z",
};

function certificateOf({ name, attributes }: StateResource): ObservedCertificate {
  const names = attributes["subjectAltNames"];
  return {
    name,
    ...datedOf(attributes),
    profile: attributes["profile"] === "member" ? "member" : "client",
    subjectAltNames: Array.isArray(names) ? names.map(String) : [],
    trusted: true,
    endsWithAuthority: false,
  };
}

/** The state does not record the start of a certificate's validity: it was valid when it was recorded. */
function datedOf(attributes: Attributes): Pick<ObservedCertificate, "fingerprint" | "notBefore" | "notAfter"> {
  return {
    fingerprint: text(attributes["fingerprint"]),
    notBefore: new Date(0).toISOString(),
    notAfter: text(attributes["notAfter"]),
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
