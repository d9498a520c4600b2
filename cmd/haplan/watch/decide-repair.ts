/**
 * Decides what `haplan watch` repairs next, from a plan, the quorum, and what it has repaired before. Pure. One resource at a
 * time, only what the spec allows, never while the quorum is at stake, and not again and again what does not stay repaired.
 */
import type { ResourceChange } from "../../../src/plan/plan.ts";
import type { ResourceAddress } from "../../../src/plan/resource.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";

export type RepairPolicy = NonNullable<ClusterSpec["repair"]>;

export type RepairKind = "restart" | "renew";

/** Why something that differs from the spec is not repaired now. */
export type Waiting =
  | "notARepair"
  | "notAllowed"
  | "quorumAtStake"
  /** It has not been wrong for long enough. */
  | "settling"
  | "flapping"
  /** Another one is first. */
  | "queued";

export type Finding = {
  readonly address: ResourceAddress;
  readonly reason: string;
  readonly kind: RepairKind | null;
  readonly waits: Waiting | null;
};

export type PastRepair = { readonly address: string; readonly atMs: number };

export type Repair = {
  readonly kind: RepairKind;
  readonly address: ResourceAddress;
  readonly reason: string;
  /** With the units that get the certificate. */
  readonly targets: readonly ResourceAddress[];
};

export type RepairInput = {
  readonly nowMs: number;
  /** Null: nothing is repaired. */
  readonly policy: RepairPolicy | null;
  readonly changes: readonly ResourceChange[];
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

const hourMs = 3_600_000;

export function decideRepair(input: RepairInput): RepairDecision {
  const { nowMs } = input;
  const changed = input.changes.filter(({ action }) => action !== "noop");
  const renewed = new Set(changed.filter((change) => kindOf(change) === "renew").map(({ name }) => name));
  // The units that get a renewed certificate are a part of its repair.
  const changes = changed.filter((change) => kindOf(change) !== null || !renewed.has(change.name));
  const since = new Map(changes.map(({ address }) => [address, input.since.get(address) ?? nowMs] as const));
  const ready = changes
    .filter((change) => whyWaits(input, change, since) === null)
    .toSorted((a, b) => urgency(a) - urgency(b));
  const first = ready[0] ?? null;
  return {
    since,
    repair: first === null ? null : repairOf(first, changed),
    findings: changes.map((change): Finding => {
      const waits = whyWaits(input, change, since);
      return {
        address: change.address,
        reason: change.reason ?? change.action,
        kind: kindOf(change),
        waits: waits ?? (change === first ? null : "queued"),
      };
    }),
  };
}

/** Null for what the spec's author has to decide: a changed spec, a lost machine. */
function kindOf({ action, reasonCode, type }: ResourceChange): RepairKind | null {
  if (action !== "update") return null;
  if (reasonCode === "dead") return "restart";
  return reasonCode === "renewalDue" && type === "haplan_certificate" ? "renew" : null;
}

function whyWaits(input: RepairInput, change: ResourceChange, since: ReadonlyMap<string, number>): Waiting | null {
  const { policy, quorum, nowMs, past } = input;
  const kind = kindOf(change);
  if (kind === null) return "notARepair";
  if (policy === null || !(kind === "restart" ? policy.restart : policy.renewCertificates)) return "notAllowed";
  if (quorum.canLose === null || !quorum.hasLeader) return "quorumAtStake";
  const repairs = past.filter(({ address, atMs }) => address === change.address && nowMs - atMs < hourMs);
  if (repairs.length >= policy.repairsPerHour) return "flapping";
  const waitMs = policy.waitMs * 2 ** repairs.length;
  return nowMs - (since.get(change.address) ?? nowMs) < waitMs ? "settling" : null;
}

/** Masters first, and certificates last: they are due long before they expire. */
function urgency({ type, reasonCode }: ResourceChange): number {
  if (reasonCode !== "dead") return 2;
  return type === "haplan_agent" ? 0 : 1;
}

function repairOf(change: ResourceChange, changes: readonly ResourceChange[]): Repair {
  const { address, name, reason } = change;
  const kind = kindOf(change) ?? "restart";
  const users = changes.filter((each) => each.name === name && each !== change && each.type !== "haplan_certificate");
  const targets = kind === "renew" ? [address, ...users.map((each) => each.address)] : [address];
  return { kind, address, reason: reason ?? "", targets };
}
