/** The context of every step: its plan, the ports, the current state, and functions to wait and to report. */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import type { TlsMaterial } from "../pki/tls-material.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import type { Plan } from "../plan/plan.ts";
import { resourceAddress } from "../plan/resource.ts";
import type { MemberRef } from "../plan/step.ts";
import { hasKnownAddress } from "../spec/address-reference.ts";
import { clientUrl } from "../units/addresses.ts";
import type { ApplyPorts } from "./ports.ts";
import type { StateKeeper } from "./state-keeper.ts";

export type StepContext = {
  readonly plan: Plan;
  readonly ports: ApplyPorts;
  readonly keeper: StateKeeper;
  readonly connection: Connection;
  /** Ends no wait when the budget for write gaps is spent, as `ports.clock` does: what is undone takes the time that it needs. */
  readonly patientClock: Clock;
  /** Aborted when the user wants to stop: waits end, actions finish. */
  readonly signal: AbortSignal;
  /** Reports what the step waits for. */
  readonly detail: (text: string | null) => void;
  /** Reports a problem that is not an error. */
  readonly warn: (text: string) => void;
};

/** A connection to the members, opened when first needed and reopened when the members change. */
export class Connection {
  readonly #plan: Plan;
  readonly #ports: ApplyPorts;
  readonly #keeper: StateKeeper;
  readonly #opened: ControlPlane[] = [];
  #open: { readonly key: string; readonly controlPlane: ControlPlane } | null = null;

  constructor(plan: Plan, ports: ApplyPorts, keeper: StateKeeper) {
    this.#plan = plan;
    this.#ports = ports;
    this.#keeper = keeper;
  }

  async controlPlane(): Promise<ControlPlane> {
    const tls = await this.tls();
    // No await from here on: parallel steps must not open two, of which one would stay open.
    const endpoints = this.#endpoints();
    // Once an authority is dropped, the members reject what was opened before.
    const key = [...endpoints, tls?.caPem ?? ""].join();
    if (this.#open?.key === key) return this.#open.controlPlane;
    const controlPlane = this.#ports.connect({ endpoints, tls });
    this.#open = { key, controlPlane };
    this.#opened.push(controlPlane);
    return controlPlane;
  }

  async tls(): Promise<TlsMaterial | null> {
    return this.#plan.spec.controlPlane.tls.enabled ? await this.#ports.authority.clientMaterial() : null;
  }

  /** The members are those of another cluster: tokens of the former one are worth nothing to them. */
  forget(): void {
    this.#open = null;
  }

  /** Earlier ones too: another step may still have been using one. */
  close(): void {
    for (const controlPlane of this.#opened.splice(0)) controlPlane.close();
    this.#open = null;
  }

  /** Masters of the spec and members in the state. */
  #endpoints(): readonly string[] {
    const { spec } = this.#keeper;
    const known = this.#keeper.state.resources
      .filter((resource) => resource.type === "haplan_raft_member")
      .map((resource) => resource.attributes["clientUrl"])
      .filter((url): url is string => typeof url === "string");
    return [
      ...new Set([
        ...spec.controlPlane.masters.filter(hasKnownAddress).map((master) => clientUrl(spec, master)),
        ...known,
      ]),
    ].sort();
  }
}

/** The id of a member that this plan has added is in the state by now. @throws HaplanError `apply/unknown-member` */
export function memberIdOf(context: StepContext, member: MemberRef): string {
  if (member.memberId !== null && member.memberId !== "") return member.memberId;
  const id = context.keeper.find(resourceAddress("haplan_raft_member", member.name))?.attributes["memberId"];
  if (typeof id === "string" && id !== "") return id;
  throw new HaplanError("apply/unknown-member", `The member id of ${member.name} is unknown: it was never added`);
}

/** Polls the membership until no change is in progress. @throws HaplanError `apply/no-answer` */
export async function liveMembership(context: StepContext): Promise<ObservedMembership> {
  const { clock } = context.ports;
  const deadline = clock.monotonicMs() + membershipTimeoutMs;
  for (;;) {
    const membership = await (await context.connection.controlPlane()).observe();
    if (membership !== null && membership.votersOutgoing.length === 0) return membership;
    if (clock.monotonicMs() >= deadline) {
      throw new HaplanError(
        "apply/no-answer",
        membership === null
          ? "No member answers, so the membership cannot be checked"
          : "Another membership change is in progress and does not end",
      );
    }
    context.detail(membership === null ? "no member answers" : "another membership change is in progress");
    await clock.sleep(pollIntervalMs, context.signal);
  }
}

export const pollIntervalMs = 200;
const membershipTimeoutMs = 15_000;
