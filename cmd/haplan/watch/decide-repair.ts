/**
 * Decides what `haplan watch` repairs next, from a plan, the members, the quorum, and what it has repaired before. Pure. One
 * resource at a time, only what the spec allows, never while the quorum is at stake, and not again and again what does not
 * stay repaired.
 */
import type { ResourceChange } from "../../../src/plan/plan.ts";
import { type ResourceAddress, resourceAddress, specName } from "../../../src/plan/resource.ts";
import type { ClusterSpec, HostSpec } from "../../../src/spec/cluster-spec.ts";
import { freeSpare, type SpareChoice, whyNotFree } from "./free-spare.ts";
import type { PastRepair } from "./past-repairs.ts";

export type RepairPolicy = NonNullable<ClusterSpec["repair"]>;

/** `clean`: what a replaced master has left on its former host. */
export type RepairKind = "restart" | "renew" | "replace" | "clean";

/** Why something that differs from the spec is not repaired now. */
export type Waiting =
  | "notARepair"
  | "notAllowed"
  | "quorumAtStake"
  /** It has not been wrong for long enough. */
  | "settling"
  | "flapping"
  /** As many masters were replaced as the spec allows within a day. */
  | "replacementLimit"
  | "noSpare"
  /** Another one is first. */
  | "queued";

export type Finding = {
  readonly address: ResourceAddress;
  readonly reason: string;
  readonly kind: RepairKind | null;
  readonly waits: Waiting | null;
  /** Of `noSpare`: why each spare host is not taken. */
  readonly spares?: readonly string[];
};

export type Repair = {
  readonly kind: RepairKind;
  readonly address: ResourceAddress;
  readonly reason: string;
  /** With the units that get the certificate, and for a master everything that it consists of. */
  readonly targets: readonly ResourceAddress[];
  /** The host that takes the place of a dead master; absent for other repairs, and once the state has the master there. */
  readonly spare?: HostSpec;
  /** The name of that host, also then. */
  readonly spareName?: string;
};

/** A master of the spec, of haplan's own. */
export type WatchedMaster = {
  readonly name: string;
  readonly zone: string | null;
  /** The name of the spare host that it is on. */
  readonly onSpare: string | null;
  /** Why its vote is missing; null if it votes. */
  readonly dead: string | null;
};

export type RepairInput = {
  readonly nowMs: number;
  /** Null: nothing is repaired. */
  readonly policy: RepairPolicy | null;
  /** Null: there is no plan. */
  readonly changes: readonly ResourceChange[] | null;
  readonly masters: readonly WatchedMaster[];
  /** Addresses of hosts on which the state has a machine, with its name. */
  readonly occupied: ReadonlyMap<string, string>;
  readonly quorum: { readonly canLose: number | null; readonly hasLeader: boolean };
  /** Since when each address has differed, from the look before. */
  readonly since: ReadonlyMap<string, number>;
  readonly past: readonly PastRepair[];
};

export type RepairDecision = {
  readonly findings: readonly Finding[];
  readonly repair: Repair | null;
  readonly since: ReadonlyMap<string, number>;
};

/** Something that differs from the spec. */
type Fault = Omit<Finding, "waits" | "spares"> & {
  readonly targets: readonly ResourceAddress[];
  /** The lowest first. */
  readonly urgency: number;
  /** The master to replace; absent for other repairs, and for a replacement that was begun and goes on. */
  readonly lost?: WatchedMaster;
  /** The spare host that the master is being moved to. */
  readonly begunOn?: string;
};

/** A spare host that fails once may have been in the way of something that passes. */
const attemptsPerSpare = 2;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export function decideRepair(input: RepairInput): RepairDecision {
  const { nowMs } = input;
  const faults = [...faultsOfPlan(input), ...deadMasters(input)];
  const since = new Map(faults.map(({ address }) => [address as string, input.since.get(address) ?? nowMs] as const));
  const ready = faults
    .filter((fault) => whyWaits(input, fault, since) === null)
    .toSorted((a, b) => a.urgency - b.urgency);
  const first = ready[0] ?? null;
  return {
    since,
    repair: first === null ? null : repairOf(first, input),
    findings: faults.map((fault): Finding => {
      const { address, reason, kind } = fault;
      const waits = whyWaits(input, fault, since) ?? (fault === first ? null : "queued");
      return { address, reason, kind, waits, ...(waits === "noSpare" ? { spares: whyNoSpare(input) } : {}) };
    }),
  };
}

function faultsOfPlan(input: RepairInput): readonly Fault[] {
  const { changes: planned, masters } = input;
  const changed = (planned ?? []).filter(({ action }) => action !== "noop");
  const onSpares = new Set(masters.filter(({ onSpare }) => onSpare !== null).map(({ name }) => name));
  const begun = new Set(changed.filter(isJoining).map(({ name }) => name));
  const isOfReplacement = ({ name, type }: ResourceChange): boolean =>
    onSpares.has(name) && (begun.has(name) || type === "haplan_lb_backend");
  const kindOf = (change: ResourceChange): RepairKind | null => {
    if (isOfReplacement(change)) return "replace";
    if (isLeftBehind(change, onSpares)) return "clean";
    return kindOfUpdate(change);
  };
  const isRenewal = (change: ResourceChange): boolean => kindOf(change) === "renew";
  const renewed = new Set(
    changed.filter((change) => isRenewal(change) && change.type === "haplan_certificate").map(({ name }) => name),
  );
  const leftMachines = new Set(changed.filter(({ type }) => type === "haplan_machine").map(({ name }) => name));
  return changed.flatMap((change): readonly Fault[] => {
    const { address, name, type } = change;
    const kind = kindOf(change);
    // The units that get a renewed certificate are a part of its repair, and all that a new member consists of of its own.
    if ((kind === null || kind === "renew") && type !== "haplan_certificate" && renewed.has(name)) return [];
    if (kind === "replace" && begun.has(name) && !isJoining(change)) return [];
    // So does what is left on a former host.
    if (kind === "clean" && type !== "haplan_machine" && leftMachines.has(name)) return [];
    const fault: Fault = {
      address,
      reason: change.reason ?? change.action,
      kind,
      urgency: urgencyOf(kind, change),
      targets: targetsOf(change, kind, changed),
    };
    const master = masters.find((each) => each.name === name);
    const spare = master?.onSpare ?? null;
    if (kind !== "replace" || !isJoining(change) || master === undefined || spare === null) return [fault];
    return [isGivenUp(input, master, spare) ? { ...fault, lost: master } : { ...fault, begunOn: spare }];
  });
}

/** A spare host on which a replacement has failed again, where another one is free. */
function isGivenUp(input: RepairInput, master: WatchedMaster, spare: string): boolean {
  const failed = input.past.filter((each) => each.spare === spare && each.outcome === "failed");
  return master.dead !== null && failed.length >= attemptsPerSpare && spareFor(input, master) !== null;
}

/** A member that is not one yet, or has to become one again. */
function isJoining({ type, action }: ResourceChange): boolean {
  return type === "haplan_raft_member" && ["create", "createThenDelete", "deleteThenCreate"].includes(action);
}

function isLeftBehind({ name, action }: ResourceChange, onSpares: ReadonlySet<string>): boolean {
  return name.includes("@") && action === "delete" && onSpares.has(specName(name));
}

/**
 * Null for what the spec's author has to decide: a changed spec, a lost machine. A renewal that was cut short has issued
 * certificates that are not handed out.
 */
function kindOfUpdate({ action, reasonCode, type }: ResourceChange): RepairKind | null {
  if (action !== "update") return null;
  if (reasonCode === "dead") return "restart";
  if (reasonCode === "newCertificate") return "renew";
  return reasonCode === "renewalDue" && type === "haplan_certificate" ? "renew" : null;
}

/** Without what only has to be started, if that may be. A replacement that was begun is in the plan. */
function deadMasters({ masters, changes: planned, policy }: RepairInput): readonly Fault[] {
  const changed = (planned ?? []).filter(({ action }) => action !== "noop");
  return masters.flatMap((lost): readonly Fault[] => {
    const { name, dead, onSpare } = lost;
    const own = changed.filter((change) => change.name === name);
    if (dead === null || (onSpare !== null && own.some(isJoining))) return [];
    if (policy?.replace === undefined && own.length > 0) return [];
    const address = resourceAddress("haplan_raft_member", name);
    return [{ address, reason: dead, kind: "replace", urgency: 1, targets: masterTargets(name), lost }];
  });
}

function masterTargets(name: string): readonly ResourceAddress[] {
  const types = ["haplan_machine", "haplan_agent", "haplan_raft_member", "haplan_lb_backend"] as const;
  return types.map((type) => resourceAddress(type, name));
}

function whyWaits(input: RepairInput, fault: Fault, since: ReadonlyMap<string, number>): Waiting | null {
  const { policy, quorum, nowMs, past } = input;
  const { kind, address, lost } = fault;
  if (kind === null) return "notARepair";
  if (policy === null || !isAllowed(kind, policy)) return "notAllowed";
  if (quorum.canLose === null || !quorum.hasLeader) return "quorumAtStake";
  const repairs = past.filter((each) => each.address === address && nowMs - each.atMs < hourMs);
  if (repairs.length >= policy.repairsPerHour) return "flapping";
  const waitMs = lost === undefined ? policy.waitMs * 2 ** repairs.length : (policy.replace?.afterMs ?? 0);
  if (nowMs - (since.get(address) ?? nowMs) < waitMs) return "settling";
  return lost === undefined ? null : whyNotReplaced(input, lost);
}

function isAllowed(kind: RepairKind, { restart, renewCertificates, replace }: RepairPolicy): boolean {
  if (kind === "restart") return restart;
  return kind === "renew" ? renewCertificates : replace !== undefined;
}

function whyNotReplaced(input: RepairInput, lost: WatchedMaster): Waiting | null {
  const { past, nowMs, policy } = input;
  const made = past.filter(
    ({ kind, spare, outcome, atMs }) =>
      kind === "replace" && spare !== null && outcome === "repaired" && nowMs - atMs < dayMs,
  );
  if (made.length >= (policy?.replace?.replacementsPerDay ?? 0)) return "replacementLimit";
  return spareFor(input, lost) === null ? "noSpare" : null;
}

function spareFor(input: RepairInput, { zone }: WatchedMaster): HostSpec | null {
  return freeSpare(sparesOf(input), { zone, ...seenOf(input) });
}

/** A spare host that has a master is no longer among those of the spec that is in force. */
function whyNoSpare(input: RepairInput): readonly string[] {
  return [
    ...input.masters.flatMap(({ name, onSpare }) =>
      onSpare === null ? [] : [`${onSpare} is in the place of ${name}`],
    ),
    ...sparesOf(input).flatMap((spare) => whyNotFree(spare, seenOf(input)) ?? []),
  ];
}

function sparesOf({ policy }: RepairInput): readonly HostSpec[] {
  return policy?.replace?.spares ?? [];
}

function seenOf({ occupied, past, nowMs }: RepairInput): Pick<SpareChoice, "occupied" | "past"> {
  return { occupied, past: past.filter(({ atMs }) => nowMs - atMs < dayMs) };
}

/** Masters first, those that only have to be started before all, and certificates last: they are due long before they expire. */
function urgencyOf(kind: RepairKind | null, { type }: ResourceChange): number {
  if (kind === "restart") return type === "haplan_agent" ? 0 : 2;
  if (kind === "replace") return 1;
  return kind === "clean" ? 3 : 4;
}

function targetsOf(
  { address, name }: ResourceChange,
  kind: RepairKind | null,
  changed: readonly ResourceChange[],
): readonly ResourceAddress[] {
  if (kind === "replace") return masterTargets(name);
  const own = changed.filter((each) => each.name === name && each.address !== address);
  if (kind === "clean") return [address, ...own.map((each) => each.address)];
  if (kind !== "renew") return [address];
  return [address, ...own.filter(({ type }) => type !== "haplan_certificate").map((each) => each.address)];
}

function repairOf({ kind, address, reason, targets, lost, begunOn }: Fault, input: RepairInput): Repair {
  const spare = lost === undefined ? null : spareFor(input, lost);
  const named = spare?.name ?? begunOn;
  return {
    kind: kind ?? "restart",
    address,
    reason,
    targets,
    ...(spare === null ? {} : { spare }),
    ...(named === undefined ? {} : { spareName: named }),
  };
}
