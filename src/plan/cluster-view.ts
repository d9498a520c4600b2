/**
 * State and observation merged: what is known about each machine and each member, in the rules' terms. The observation
 * is the truth; the state only adds identity (generations, ids) where members do not answer.
 */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { bindAddress, clientHostPort, clientUrl, hostPort, peerUrl } from "../units/addresses.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import { agentUnitName, loadBalancerUnitName, virtualAddressUnitName } from "../units/unit-definition.ts";
import {
  newestMachine,
  type ObservedCluster,
  type ObservedLoadBalancer,
  type ObservedMachine,
  type ObservedMember,
  type ObservedMembership,
  type ObservedUnit,
  type UnreachableMachine,
  whyUnreachable,
} from "./observed-cluster.ts";
import { deposedAddress, masterTypes, type ResourceAddress, resourceAddress, specName } from "./resource.ts";
import { asDeposed, type State, type StateResource } from "./state.ts";

export type MemberView = {
  readonly id: string;
  /** Its id if it has no name: it has never started, and its peer URL is that of no master. */
  readonly name: string;
  readonly peerUrl: string;
  /** `host:port` at which it serves clients; null if unknown. */
  readonly clientPlace: string | null;
  readonly voter: boolean;
  readonly healthy: boolean;
  /** Answered at all, even without a quorum. */
  readonly answers: boolean;
  readonly leader: boolean;
  readonly started: boolean;
  /** Runs outside of haplan's machines, and is left there. */
  readonly adopted: boolean;
};

export type FoundLoadBalancer = ObservedLoadBalancer &
  Pick<ObservedUnit, "changedFiles" | "formerUser"> & {
    readonly name: string;
    /** Of its process; null if it has none on this machine. */
    readonly pid: number | null;
    /** False for a cloud load balancer. */
    readonly onMachine: boolean;
    /** Whether `address` is a virtual one, and not its machine's. */
    readonly hasVirtualAddress: boolean;
    /** The unit that holds a virtual address for it; null if there is none. */
    readonly virtualAddress: ObservedUnit | null;
  };

/**
 * `none`: no cluster yet. `forming`: its first start is not confirmed. `formed`: it has voting members, so from here on
 * every change goes through the membership.
 */
export type ClusterPhase = "none" | "forming" | "formed";

export type ClusterView = {
  readonly lineage: string | null;
  readonly phase: ClusterPhase;
  /**
   * The cluster's machines, by name; of two with one name, as exist while a master moves, the one whose member votes.
   */
  readonly machines: ReadonlyMap<string, ObservedMachine>;
  /** The others of two with one name: that of a new member without a vote yet, or of the one that it has replaced. */
  readonly spares: readonly ObservedMachine[];
  /** At an address of this cluster, with another cluster's label. */
  readonly foreignMachines: readonly ObservedMachine[];
  /** They are in `machines` as recorded in the state. */
  readonly unreachable: readonly UnreachableMachine[];
  /**
   * As in the state; what belongs to a machine in `machines` is under its name, even if the state has it as deposed.
   */
  readonly resources: ReadonlyMap<ResourceAddress, StateResource>;
  /** Machines that are deposed in the state although their members vote. */
  readonly unseated: readonly { readonly name: string; readonly generation: number }[];
  /** By name, sorted; one for each machine that has the unit, or the one of a cloud. */
  readonly loadBalancers: ReadonlyMap<string, FoundLoadBalancer>;
  readonly members: readonly MemberView[];
  /** While the cluster is forming: its initial members. */
  readonly initialMembers: readonly string[];
  readonly votersOutgoing: readonly string[];
  readonly hasLeader: boolean;
  /** True if no member answered and `members` are those of the state. */
  readonly membersRemembered: boolean;
};

/**
 * Lineages found on machines if there is no state: one is adopted; several are ambiguous (see rules/preconditions.ts).
 */
export function lineagesFound(observed: Pick<ObservedCluster, "machines">): readonly string[] {
  return [...new Set(observed.machines.map((machine) => machine.lineage))].sort();
}

export function readClusterView(spec: ClusterSpec, state: State | null, observed: ObservedCluster): ClusterView {
  const lineage = state?.lineage ?? lineagesFound(observed)[0] ?? null;
  const ours = observed.machines.filter((machine) => machine.lineage === lineage);
  // Members to be adopted are a cluster already, whether they answer or not.
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
    foreignMachines: observed.machines.filter((machine) => machine.lineage !== lineage),
    resources: resourcesOf(state, unseated),
    unseated,
    loadBalancers: loadBalancersOf(spec, state, observed, machines),
    members,
    initialMembers: phase === "forming" ? spec.controlPlane.masters.map(({ name }) => name) : [],
    votersOutgoing: observed.membership?.votersOutgoing ?? [],
    hasLeader: observed.membership?.hasLeader ?? false,
    membersRemembered: observed.membership === null && members.length > 0,
  };
}

function loadBalancersOf(
  spec: ClusterSpec,
  state: State | null,
  { loadBalancer }: ObservedCluster,
  machines: ClusterView["machines"],
): ClusterView["loadBalancers"] {
  const ofCloud: readonly FoundLoadBalancer[] =
    loadBalancer === undefined || loadBalancer === null
      ? []
      : [{ ...loadBalancer, name: loadBalancerName, pid: null, onMachine: false, ...noVirtualAddress }];
  const onMachines = [...machines.values()].flatMap((machine): readonly FoundLoadBalancer[] => {
    const unit = unitOf(machine, loadBalancerUnitName);
    if (unit === undefined) return [];
    const virtualAddress = unitOf(machine, virtualAddressUnitName) ?? null;
    const running = unit.running && virtualAddress?.running !== false;
    const held = heldAddress(spec, state, machine.name, virtualAddress);
    const address = held ?? machine.address;
    const { name } = machine;
    return [{ ...unit, name, running, address, hasVirtualAddress: held !== null, onMachine: true, virtualAddress }];
  });
  const found = loadBalancer === undefined ? onMachines : ofCloud;
  return new Map(found.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((each) => [each.name, each]));
}

const noVirtualAddress = { hasVirtualAddress: false, virtualAddress: null } as const;

/**
 * The virtual address of a load balancer; null if it has its machine's own. Programs of an earlier version show that there
 * is one, but not which: then it is the recorded one, or without a state that of the spec.
 */
function heldAddress(
  { loadBalancer }: ClusterSpec,
  state: State | null,
  name: string,
  holder: ObservedUnit | null,
): string | null {
  if (holder?.virtualAddress !== undefined) return holder.virtualAddress;
  const known = state?.resources.find(({ address }) => address === resourceAddress("haplan_load_balancer", name));
  if (known === undefined) return holder !== null && loadBalancer.virtual !== undefined ? loadBalancer.address : null;
  const { routerId, address } = known.attributes;
  return routerId !== undefined && typeof address === "string" ? address : null;
}

function machinesThatCount(
  spec: ClusterSpec,
  ours: readonly ObservedMachine[],
  members: readonly MemberView[],
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

function unseatedIn(state: State | null, machines: ClusterView["machines"]): ClusterView["unseated"] {
  return [...machines.values()]
    .filter(({ name, generation }) =>
      state?.resources.some(({ address }) => address === deposedAddress("haplan_machine", name, generation)),
    )
    .map(({ name, generation }) => ({ name, generation }));
}

function resourcesOf(state: State | null, unseated: ClusterView["unseated"]): ClusterView["resources"] {
  const resources = new Map((state?.resources ?? []).map((resource) => [resource.address, resource]));
  for (const { name, generation } of unseated) {
    for (const type of masterTypes) {
      const address = resourceAddress(type, name);
      const newer = resources.get(address);
      if (newer !== undefined && newer.generation !== generation) {
        const deposed = asDeposed(newer);
        resources.set(deposed.address, deposed);
      }
      const own = resources.get(deposedAddress(type, name, generation));
      if (own === undefined) resources.delete(address);
      else resources.set(address, { ...own, address, name });
    }
  }
  return resources;
}

/** Whether a URL leads to this address, however it is written. */
export function isAt(url: string, address: string): boolean {
  return url !== "" && new URL(url).hostname === new URL(`http://${hostPort(address, 1)}`).hostname;
}

/** Whether two machines, by their addresses, can run at the same time: host names may be two of one address. */
export function areApart(one: string, other: string): boolean {
  const literal = [one, other].every((address) => bindAddress(address) === address);
  return literal && !isAt(`http://${hostPort(one, 1)}`, other);
}

/**
 * The state gets its first `haplan_raft_member` when the first quorum was confirmed: that is the end of `forming`. So are voters that
 * have a leader and were all started, whatever the state has: a change of them has to keep their quorum.
 */
function clusterPhase(state: State | null, observed: ObservedCluster, ours: readonly ObservedMachine[]): ClusterPhase {
  if (state?.resources.some((resource) => resource.type === "haplan_raft_member")) return "formed";
  if (isComplete(observed.membership, ours)) return "formed";
  const hasMaster = ours.some(
    (machine) => !isEmpty(machine) || machine.units.some((unit) => unit.name === agentUnitName),
  );
  if (state === null) return observed.membership !== null || hasMaster ? "formed" : "none";
  return observed.membership !== null || hasMaster ? "forming" : "none";
}

function isComplete(membership: ObservedMembership | null, ours: readonly ObservedMachine[]): boolean {
  const isNew = (machine: ObservedMachine, { peerUrls }: ObservedMember): boolean =>
    isEmpty(machine) &&
    unitOf(machine, agentUnitName) === undefined &&
    peerUrls.some((url) => isAt(url, machine.address));
  return (
    membership?.hasLeader === true &&
    !membership.members.some((member) => !member.healthy && ours.some((machine) => isNew(machine, member)))
  );
}

function observedMembers(
  spec: ClusterSpec,
  state: State | null,
  observed: ObservedCluster,
  machines: readonly ObservedMachine[],
): readonly MemberView[] {
  const own = spec.controlPlane.masters.filter((master) => master.adoptedAt === undefined);
  const nameOf = new Map(own.map((master) => [peerUrl(spec, master), master.name]));
  const adoptedName = adoptedNames(spec, state);
  return (observed.membership?.members ?? []).map((member) => {
    // A member that was added and never started has no name yet; its peer URL identifies it, or else its id.
    const name =
      adoptedName(member) ??
      knownName(state, member, machines) ??
      (member.name || (member.peerUrls.map((url) => nameOf.get(url)).find(Boolean) ?? member.id));
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

/** As haplan writes it for its own members; an advertised URL may be written differently. */
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

/** The state's resource of this very member. */
function recordOf(state: State | null, name: string, { id }: ObservedMember): StateResource | undefined {
  return state?.resources.find(
    (resource) =>
      resource.type === "haplan_raft_member" &&
      specName(resource.name) === name &&
      resource.attributes["memberId"] === id,
  );
}

/** An adopted member has the name it was started with; to haplan it is the master at whose endpoint it answers. */
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
 * A member that is no longer adopted keeps its former name here, so that it is replaced under it; a renamed one answers
 * with its former name until it restarts. A state edited by hand may give a member the name of something else: if the
 * machine at its peer URL has the name with which it answers, the member is that machine's.
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

/** Names of the machines that a URL leads to. */
function namesAt(url: string, machines: readonly ObservedMachine[]): readonly string[] {
  return machines.filter(({ address }) => isAt(url, address)).map(({ name }) => name);
}

function rememberedMembers(
  spec: ClusterSpec,
  state: State | null,
  phase: ClusterPhase,
  machines: readonly ObservedMachine[],
): readonly MemberView[] {
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

/** As in the state, unless it is at a machine of another name that has data, and no member of that name is there. */
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
 * The condition of a member: `healthy`; `degraded`: it answers but has no quorum or is behind; `unresponsive`: its
 * process runs but does not answer; `stopped`: its process is gone, its data is intact, or it is an initial member that
 * has never started; `dataLost`, `machineLost`: it can only be replaced; `unmanaged`: it answers but runs on no machine of haplan's; `adoptedUnreachable`: it was
 * adopted and does not answer, which only its operator can fix; `unreachable`: it does not answer, and its machine is
 * unreachable.
 */
export type MemberCondition =
  | "healthy"
  | "degraded"
  | "unresponsive"
  | "stopped"
  | "dataLost"
  | "machineLost"
  | "unmanaged"
  | "adoptedUnreachable"
  | "unreachable";

export function memberCondition(view: ClusterView, member: MemberView): MemberCondition {
  if (member.adopted) return member.healthy ? "healthy" : member.answers ? "degraded" : "adoptedUnreachable";
  const machine = machineOf(view, member);
  if (machine === undefined) return member.answers ? "unmanaged" : "machineLost";
  if (member.healthy) return "healthy";
  if (isUnreachable(view, member.name)) return member.answers ? "degraded" : "unreachable";
  if (!machine.hasData && !isBeforeFirstStart(machine, member)) return "dataLost";
  const agent = unitOf(machine, agentUnitName);
  if (agent?.running !== true) return "stopped";
  return member.answers ? "degraded" : "unresponsive";
}

/** An initial member publishes its name once it has started: before that it has nothing to lose. */
export function isBeforeFirstStart(machine: ObservedMachine, { started }: MemberView): boolean {
  const isInitial = unitOf(machine, agentUnitName)?.initialCluster?.clusterState === "new";
  return !started && isInitial && isEmpty(machine);
}

export function hasName({ id, name }: MemberView): boolean {
  return name !== "" && name !== id;
}

export function isUnreachable(view: ClusterView, machine: string): boolean {
  return whyUnreachable(view.unreachable, machine) !== null;
}

/** Whether its member is at work, and haplan cannot call it. */
export function isUncalled(view: Pick<ClusterView, "unreachable">, machine: string): boolean {
  return view.unreachable.some(({ name, uncalled }) => name === machine && uncalled === true);
}

/** Whether a member will vote again without being replaced. */
export function isRecoverable(condition: MemberCondition): boolean {
  return condition !== "dataLost" && condition !== "machineLost";
}

/** The machine of a member: of two with its name the one that its peer URL leads to. */
export function machineOf(view: ClusterView, { name, peerUrl }: MemberView): ObservedMachine | undefined {
  const named = machinesNamed(view, name);
  return named.length === 1 ? named[0] : (named.find(({ address }) => isAt(peerUrl, address)) ?? named[0]);
}

/** All machines of a name, the current one first. */
export function machinesNamed(view: ClusterView, name: string): readonly ObservedMachine[] {
  const counts = view.machines.get(name);
  return [...(counts === undefined ? [] : [counts]), ...view.spares.filter((machine) => machine.name === name)];
}

/** Whether a new member can start on its data directory. */
export function isEmpty({ hasData, hasRemains }: ObservedMachine): boolean {
  return !hasData && hasRemains !== true;
}

export function unitOf(machine: ObservedMachine | undefined, unit: string): ObservedUnit | undefined {
  return machine?.units.find((candidate) => candidate.name === unit);
}

/** The highest generation of a machine that exists or existed; 0 if there never was one. */
export function generationOf(view: ClusterView, machine: string): number {
  return Math.max(
    0,
    ...machinesNamed(view, machine).map(({ generation }) => generation),
    view.resources.get(`haplan_machine.${machine}`)?.generation ?? 0,
  );
}
