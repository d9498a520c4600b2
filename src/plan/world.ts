/**
 * State and observation read together: what is known about each machine and each member, said in the words the rules
 * use. The world is the truth; the state only lends it identity (generations, ids) where nobody answers.
 */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { bindAddress, clientHostPort, clientUrl, hostPort, peerUrl } from "../units/addresses.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import { agentUnitName, loadBalancerUnitName } from "../units/unit-definition.ts";
import {
  newestMachine,
  type ObservedCluster,
  type ObservedLoadBalancer,
  type ObservedMachine,
  type ObservedMember,
  type ObservedUnit,
  type UnreachableMachine,
  whyUnreachable,
} from "./observed-cluster.ts";
import { deposedAddress, masterTypes, type ResourceAddress, resourceAddress, specName } from "./resource.ts";
import type { State, StateResource } from "./state.ts";

export type MemberFact = {
  readonly id: string;
  readonly name: string;
  readonly peerUrl: string;
  /** `host:port` at which it answers clients; null where that is not known. */
  readonly clientPlace: string | null;
  readonly voter: boolean;
  readonly healthy: boolean;
  /** Said anything at all, even without a quorum behind it. */
  readonly answers: boolean;
  readonly leader: boolean;
  readonly started: boolean;
  /** Runs where haplan has not put it, and is left there. */
  readonly adopted: boolean;
};

export type FoundLoadBalancer = ObservedLoadBalancer & {
  /** Of its process; null where it has none on this machine. */
  readonly pid: number | null;
  /** False for a cloud's. */
  readonly onMachine: boolean;
};

/**
 * `none`: no cluster yet. `forming`: its first start was begun and has not been confirmed. `formed`: it has members
 * whose votes count, so from here on every change goes through the membership.
 */
export type ClusterPhase = "none" | "forming" | "formed";

export type World = {
  readonly lineage: string | null;
  readonly phase: ClusterPhase;
  /** Ours, by name; of two with one name, as there are while a master moves, the one whose member votes. */
  readonly machines: ReadonlyMap<string, ObservedMachine>;
  /** The others of two with one name: of a newcomer that has no vote yet, or of the one in whose place it votes. */
  readonly spares: readonly ObservedMachine[];
  /** In our way, with another's label. */
  readonly strangers: readonly ObservedMachine[];
  /** Those of them are in `machines` as the state remembers them. */
  readonly unreachable: readonly UnreachableMachine[];
  /** As in the state; what belongs to a machine in `machines` is under its name, also where the state has it as deposed. */
  readonly resources: ReadonlyMap<ResourceAddress, StateResource>;
  /** Machines that the state has as deposed although theirs are the members that vote. */
  readonly unseated: readonly { readonly name: string; readonly generation: number }[];
  /** Null where there is none. */
  readonly loadBalancer: FoundLoadBalancer | null;
  readonly members: readonly MemberFact[];
  /** While the cluster is forming: those who found it. */
  readonly founders: readonly string[];
  readonly votersOutgoing: readonly string[];
  readonly hasLeader: boolean;
  /** True when nobody answered and `members` is what the state remembers. */
  readonly membersRemembered: boolean;
};

/**
 * Lineages found on machines when there is no state: one is adopted; several cannot be told apart (see
 * rules/preconditions.ts).
 */
export function lineagesFound(observed: ObservedCluster): readonly string[] {
  return [...new Set(observed.machines.map((machine) => machine.lineage))].sort();
}

export function readWorld(spec: ClusterSpec, state: State | null, observed: ObservedCluster): World {
  const lineage = state?.lineage ?? lineagesFound(observed)[0] ?? null;
  const ours = observed.machines.filter((machine) => machine.lineage === lineage);
  // Members to be taken over are a cluster already, whether they answer or not.
  const adopting = spec.controlPlane.masters.some((master) => master.adoptedAt !== undefined);
  const phase = adopting ? "formed" : clusterPhase(state, observed, ours);
  const members =
    observed.membership === null
      ? rememberedMembers(spec, state, phase, ours)
      : observedMembers(spec, state, observed, ours);
  const machines = machinesThatCount(spec, ours, members);
  const unseated = unseatedIn(state, machines);
  return {
    lineage,
    phase,
    machines,
    spares: ours.filter((machine) => machines.get(machine.name) !== machine),
    unreachable: observed.unreachable ?? [],
    strangers: observed.machines.filter((machine) => machine.lineage !== lineage),
    resources: resourcesOf(state, unseated),
    unseated,
    loadBalancer: loadBalancerOf(observed, machines.get(loadBalancerName)),
    members,
    founders: phase === "forming" ? spec.controlPlane.masters.map(({ name }) => name) : [],
    votersOutgoing: observed.membership?.votersOutgoing ?? [],
    hasLeader: observed.membership?.hasLeader ?? false,
    membersRemembered: observed.membership === null && members.length > 0,
  };
}

function loadBalancerOf(
  { loadBalancer }: ObservedCluster,
  machine: ObservedMachine | undefined,
): FoundLoadBalancer | null {
  if (loadBalancer !== undefined) {
    return loadBalancer === null ? null : { ...loadBalancer, pid: null, onMachine: false };
  }
  const unit = unitOf(machine, loadBalancerUnitName);
  return machine === undefined || unit === undefined ? null : { ...unit, address: machine.address, onMachine: true };
}

function machinesThatCount(
  spec: ClusterSpec,
  ours: readonly ObservedMachine[],
  members: readonly MemberFact[],
): ReadonlyMap<string, ObservedMachine> {
  const names = [...new Set(ours.map(({ name }) => name))];
  return new Map(
    names.map((name) => {
      const master = spec.controlPlane.masters.find((each) => each.name === name);
      const wanted = master === undefined ? null : peerUrl(spec, master);
      const voters = members.filter((member) => member.voter && member.name === name);
      // A real etcd lets both vote for a while.
      const voter = voters.find((member) => member.peerUrl === wanted) ?? voters[0];
      const there = ours.filter((machine) => machine.name === name);
      const found = voter === undefined ? undefined : there.find(({ address }) => isAt(voter.peerUrl, address));
      return [name, found ?? newestMachine(there, name)!];
    }),
  );
}

function unseatedIn(state: State | null, machines: World["machines"]): World["unseated"] {
  return [...machines.values()]
    .filter(({ name, generation }) =>
      state?.resources.some(({ address }) => address === deposedAddress("haplan_machine", name, generation)),
    )
    .map(({ name, generation }) => ({ name, generation }));
}

function resourcesOf(state: State | null, unseated: World["unseated"]): World["resources"] {
  const resources = new Map((state?.resources ?? []).map((resource) => [resource.address, resource]));
  for (const { name, generation } of unseated) {
    for (const type of masterTypes) {
      const address = resourceAddress(type, name);
      const own = resources.get(deposedAddress(type, name, generation));
      if (own === undefined) resources.delete(address);
      else resources.set(address, { ...own, address, name });
    }
  }
  return resources;
}

/** Whether a URL leads to this address, however it is spelled. */
export function isAt(url: string, address: string): boolean {
  return url !== "" && new URL(url).hostname === new URL(`http://${hostPort(address, 1)}`).hostname;
}

/** Whether two machines, as their addresses tell, can run at the same time: host names may be two of one address. */
export function areApart(one: string, other: string): boolean {
  const literal = [one, other].every((address) => bindAddress(address) === address);
  return literal && !isAt(`http://${hostPort(one, 1)}`, other);
}

/** The state gets its first `haplan_raft_member` when the first quorum was confirmed: that is what ends `forming`. */
function clusterPhase(state: State | null, observed: ObservedCluster, ours: readonly ObservedMachine[]): ClusterPhase {
  if (state?.resources.some((resource) => resource.type === "haplan_raft_member")) return "formed";
  const hasMaster = ours.some(
    (machine) => machine.hasData || machine.units.some((unit) => unit.name === agentUnitName),
  );
  if (state === null) return observed.membership !== null || hasMaster ? "formed" : "none";
  return observed.membership !== null || hasMaster ? "forming" : "none";
}

function observedMembers(
  spec: ClusterSpec,
  state: State | null,
  observed: ObservedCluster,
  machines: readonly ObservedMachine[],
): readonly MemberFact[] {
  const own = spec.controlPlane.masters.filter((master) => master.adoptedAt === undefined);
  const nameOf = new Map(own.map((master) => [peerUrl(spec, master), master.name]));
  const adoptedName = adoptedNames(spec, state);
  return (observed.membership?.members ?? []).map((member) => {
    // A member that was added and never started has no name yet; its peer URL tells which one it is to be.
    const name =
      adoptedName(member) ??
      knownName(state, member, machines) ??
      (member.name !== "" ? member.name : (member.peerUrls.map((url) => nameOf.get(url)).find(Boolean) ?? ""));
    const adopted = adoptedName(member) !== null;
    return {
      id: member.id,
      name,
      adopted,
      peerUrl: member.peerUrls[0] ?? "",
      clientPlace: clientPlace(spec, name, recordOf(state, name, member), member),
      voter: !member.learner,
      healthy: member.healthy,
      answers: member.healthy || member.raftIndex !== null,
      leader: member.leader,
      started: member.name !== "",
    };
  });
}

/** As haplan spells it where haplan has put it; what a member advertises may be spelled otherwise. */
function clientPlace(
  spec: ClusterSpec,
  name: string,
  known: StateResource | undefined,
  found: ObservedMember | null,
): string | null {
  const master = spec.controlPlane.masters.find((each) => each.name === name);
  if (master?.adoptedAt !== undefined) return clientHostPort(spec, master);
  const recorded = known?.attributes["clientUrl"];
  const url = typeof recorded === "string" ? recorded : found?.clientUrls[0];
  return url === undefined ? null : url.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** What the state knows of this very member. */
function recordOf(state: State | null, name: string, { id }: ObservedMember): StateResource | undefined {
  return state?.resources.find(
    (resource) =>
      resource.type === "haplan_raft_member" &&
      specName(resource.name) === name &&
      resource.attributes["memberId"] === id,
  );
}

/** An adopted member has whatever name it was started with; to haplan it is the master at whose endpoint it answers. */
function adoptedNames(spec: ClusterSpec, state: State | null): (member: ObservedMember) => string | null {
  const adopted = spec.controlPlane.masters.flatMap((master) => {
    if (master.adoptedAt === undefined) return [];
    const known = state?.resources.find((resource) => resource.address === `haplan_raft_member.${master.name}`);
    return [{ name: master.name, url: clientUrl(spec, master), id: known?.attributes["memberId"] }];
  });
  return (member) => {
    const urls = [...member.clientUrls, ...(member.answeredAt === undefined ? [] : [member.answeredAt])];
    const found = adopted.find(({ url, id }) => id === member.id || urls.includes(url));
    return found?.name ?? null;
  };
}

/**
 * A member that was adopted and is not any more keeps the name it had here, so that it is replaced under it; one that was
 * renamed answers with its former name until it restarts. A state edited by hand may give a member the name of something
 * else: where the machine at its peer URL has the name with which it answers, the member is that machine's.
 */
function knownName(
  state: State | null,
  { id, name, peerUrls }: ObservedMember,
  machines: readonly ObservedMachine[],
): string | null {
  const known = state?.resources.find(
    ({ type, attributes }) => type === "haplan_raft_member" && id !== "" && attributes["memberId"] === id,
  );
  if (known === undefined) return null;
  const there = namesAt(peerUrls[0] ?? "", machines);
  return there.includes(name) && !there.includes(specName(known.name)) ? name : specName(known.name);
}

/** Names of the machines to which a URL leads. */
function namesAt(url: string, machines: readonly ObservedMachine[]): readonly string[] {
  return machines.filter(({ address }) => isAt(url, address)).map(({ name }) => name);
}

function rememberedMembers(
  spec: ClusterSpec,
  state: State | null,
  phase: ClusterPhase,
  machines: readonly ObservedMachine[],
): readonly MemberFact[] {
  if (phase !== "formed") return [];
  const silent = { healthy: false, answers: false, leader: false, started: true, adopted: false };
  if (state === null) {
    return spec.controlPlane.masters.map((master) => ({
      id: "",
      name: master.name,
      peerUrl: peerUrl(spec, master),
      clientPlace: null,
      voter: true,
      ...silent,
    }));
  }
  return state.resources
    .filter((resource) => resource.type === "haplan_raft_member")
    .map((resource) => {
      const name = rememberedName(resource, state, machines);
      return {
        id: String(resource.attributes["memberId"] ?? ""),
        name,
        peerUrl: String(resource.attributes["peerUrl"] ?? ""),
        clientPlace: clientPlace(spec, name, resource, null),
        voter: resource.attributes["role"] !== "learner",
        ...silent,
        adopted: resource.attributes["adopted"] === true,
      };
    });
}

/** As the state has it, unless it is at a machine of another name that has data, and no member of that name is there. */
function rememberedName(resource: StateResource, state: State, machines: readonly ObservedMachine[]): string {
  const peerUrlOf = ({ attributes }: StateResource): string => String(attributes["peerUrl"] ?? "");
  const known = specName(resource.name);
  if (resource.attributes["adopted"] === true) return known;
  const [there] = machines.filter(({ address, hasData }) => hasData && isAt(peerUrlOf(resource), address));
  if (there === undefined) return known;
  const taken = state.resources.some(
    (each) =>
      each.type === "haplan_raft_member" && specName(each.name) === there.name && isAt(peerUrlOf(each), there.address),
  );
  return taken ? known : there.name;
}

/**
 * What has become of a member: `healthy`; `waiting`: it answers and lacks a quorum or is behind; `silent`: its process
 * is there and says nothing; `stopped`: its process is gone, its data is there; `dataGone`, `machineGone`: it can only
 * be replaced; `unmanaged`: it answers and runs on no machine of ours; `away`: it was adopted and does not answer, which
 * only those can mend who run it; `unreachable`: it does not answer, and its machine could not be looked at.
 */
export type MemberCondition =
  | "healthy"
  | "waiting"
  | "silent"
  | "stopped"
  | "dataGone"
  | "machineGone"
  | "unmanaged"
  | "away"
  | "unreachable";

export function memberCondition(world: World, member: MemberFact): MemberCondition {
  if (member.adopted) return member.healthy ? "healthy" : member.answers ? "waiting" : "away";
  const machine = machineOf(world, member);
  if (machine === undefined) return member.answers ? "unmanaged" : "machineGone";
  if (member.healthy) return "healthy";
  if (isUnreachable(world, member.name)) return member.answers ? "waiting" : "unreachable";
  if (!machine.hasData) return "dataGone";
  const agent = unitOf(machine, agentUnitName);
  if (agent?.running !== true) return "stopped";
  return member.answers ? "waiting" : "silent";
}

export function isUnreachable(world: World, machine: string): boolean {
  return whyUnreachable(world.unreachable, machine) !== null;
}

/** Whether a member will vote again without being replaced. */
export function recoverable(condition: MemberCondition): boolean {
  return condition !== "dataGone" && condition !== "machineGone";
}

/** The machine on which a member is: of two with its name the one that its peer URL leads to. */
export function machineOf(world: World, { name, peerUrl }: MemberFact): ObservedMachine | undefined {
  const named = machinesNamed(world, name);
  return named.length === 1 ? named[0] : (named.find(({ address }) => isAt(peerUrl, address)) ?? named[0]);
}

/** All machines of a name, the one that counts first. */
export function machinesNamed(world: World, name: string): readonly ObservedMachine[] {
  const counts = world.machines.get(name);
  return [...(counts === undefined ? [] : [counts]), ...world.spares.filter((machine) => machine.name === name)];
}

export function unitOf(machine: ObservedMachine | undefined, unit: string): ObservedUnit | undefined {
  return machine?.units.find((candidate) => candidate.name === unit);
}

/** The highest generation of a machine that is there, or was; 0 when there never was one. */
export function generationOf(world: World, machine: string): number {
  return Math.max(
    0,
    ...machinesNamed(world, machine).map(({ generation }) => generation),
    world.resources.get(`haplan_machine.${machine}`)?.generation ?? 0,
  );
}
