/**
 * Steps that wait: for members to be healthy, for a learner to catch up. Only several consecutive successful samples
 * count.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import { unitOf } from "../../plan/cluster-view.ts";
import {
  newestMachine,
  type ObservedMember,
  type ObservedMembership,
  type ObservedUnit,
} from "../../plan/observed-cluster.ts";
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import type { StepOutputs } from "../state-edits.ts";
import { liveMembership, memberIdOf, pollIntervalMs, type StepContext } from "../step-context.ts";
import { isSpentError } from "../write-gap-budget.ts";

const logLines = 15;
/** How often a wait checks that the process still exists. */
const processLookMs = 1_000;

export async function awaitQuorum(
  context: StepContext,
  action: StepAction & { readonly kind: "awaitQuorum" },
): Promise<StepOutputs> {
  let last: ObservedMembership | null = null;
  const wait = await untilSteady(context, { members: action.members, steadyMs: action.steadyMs ?? 0 }, async () => {
    last = await (await context.connection.controlPlane()).observe();
    const unhealthy = unhealthyOf(context, last, action.members);
    const steady = action.steadyMs === undefined ? null : "healthy, and watched for a while";
    context.detail(unhealthy.length === 0 ? steady : `waiting for ${unhealthy.join(", ")}`);
    return unhealthy;
  });
  if (wait.missing.length > 0) throw await notHealthy(context, wait);
  const members = (last as ObservedMembership | null)?.members ?? [];
  return Object.fromEntries(
    members
      .filter((member) => action.members.includes(member.name))
      .map((member) => [resourceAddress("haplan_raft_member", member.name), { memberId: member.id }]),
  );
}

/** Of several members with one name the learner is the new one, and the voter is the one that counts. */
export function unhealthyOf(
  context: StepContext,
  membership: ObservedMembership | null,
  names: readonly string[],
): readonly string[] {
  if (membership === null || !membership.hasLeader) return names;
  return names.filter((name) => {
    // An adopted member has another name where it runs, and a renamed one until it restarts.
    const { adopted, memberId } = context.keeper.find(resourceAddress("haplan_raft_member", name))?.attributes ?? {};
    const isIt = (member: ObservedMember): boolean =>
      member.id === memberId || (adopted !== true && member.name === name);
    return !membership.members.some((member) => isIt(member) && member.healthy);
  });
}

type Wait = {
  /** What was missing last; empty if the wait succeeded. */
  readonly missing: readonly string[];
  /** Members whose process has ended meanwhile: waiting for them is useless. */
  readonly ended: readonly string[];
};

type Steady = {
  readonly members: readonly string[];
  /** How long all samples have to be good. */
  readonly steadyMs: number;
};

/**
 * Polls until the result is empty `healthSamples` times in a row and for `steadyMs`, the time is over, or the process of one of
 * `members` has ended.
 */
async function untilSteady(
  context: StepContext,
  { members, steadyMs }: Steady,
  ask: () => Promise<readonly string[]>,
): Promise<Wait> {
  const { clock } = context.ports;
  const { healthSamples, joinTimeoutMs } = context.plan.spec.policy;
  const deadline = clock.monotonicMs() + joinTimeoutMs;
  let nextLook = clock.monotonicMs();
  let goodSinceMs = nextLook;
  const first = steadyMs === 0 ? null : await agentsOf(context, members);
  for (let good = 0; ; ) {
    const missing = await ask();
    good = missing.length === 0 ? good + 1 : 0;
    if (good <= 1) goodSinceMs = clock.monotonicMs();
    if (good >= healthSamples && clock.monotonicMs() - goodSinceMs >= steadyMs) return { missing, ended: [] };
    if ((good === 0 || first !== null) && clock.monotonicMs() >= nextLook) {
      const ended = await endedAgents(context, members, first ?? undefined);
      if (ended.length > 0) return { missing: ended, ended };
      nextLook = clock.monotonicMs() + processLookMs;
    }
    if (good === 0 && clock.monotonicMs() >= deadline) return { missing, ended: [] };
    await clock.sleep(pollIntervalMs, context.signal);
  }
}

/**
 * Those of these members that have a machine of haplan's but no process on it; or another process than `before`, which what
 * supervises it has started.
 */
export async function endedAgents(
  context: StepContext,
  names: readonly string[],
  before: ReadonlyMap<string, ObservedUnit> = new Map(),
): Promise<readonly string[]> {
  const now = await agentsOf(context, names);
  return [...now]
    .flatMap(([name, { running, pid }]) => (running && isSame(pid, before.get(name)?.pid) ? [] : [name]))
    .sort();
}

function isSame(pid: number | null, before: number | null | undefined): boolean {
  return before === null || before === undefined || pid === before;
}

/** Of the members that have a machine of haplan's which answers. */
async function agentsOf(
  { ports, signal }: StepContext,
  names: readonly string[],
): Promise<ReadonlyMap<string, ObservedUnit>> {
  const { machines } = await ports.provider.observe(null, names, signal);
  return new Map(
    names.flatMap((name): (readonly [string, ObservedUnit])[] => {
      const agent = unitOf(newestMachine(machines, name), agentUnitName);
      return agent === undefined ? [] : [[name, agent]];
    }),
  );
}

export async function notHealthy(context: StepContext, { missing, ended }: Wait): Promise<HaplanError> {
  const seconds = Math.round(context.plan.spec.policy.joinTimeoutMs / 1000);
  const logs = await Promise.all(
    missing.map(async (name) => {
      const log = await context.ports.provider.unitLog(name, agentUnitName, logLines, context.signal).catch(() => "");
      return log === "" ? `${name}: no log` : `${name}:\n${log}`;
    }),
  );
  const end = `The end of ${missing.length === 1 ? "its log" : "their logs"}:\n${logs.join("\n")}`;
  if (ended.length > 0) {
    const processes = ended.length === 1 ? "its process has" : "their processes have";
    return new HaplanError("apply/agent-ended", `${ended.join(", ")}: ${processes} ended\n${end}`);
  }
  return new HaplanError("apply/not-healthy", `Not healthy after ${seconds} s: ${missing.join(", ")}\n${end}`);
}

/**
 * The lag is absolute: a tenth of a long log may be a million entries. A learner that does not catch up is removed
 * again, which is always safe: the cluster is then as before.
 */
export async function awaitCatchUp(
  context: StepContext,
  action: StepAction & { readonly kind: "awaitCatchUp" },
): Promise<StepOutputs> {
  const id = memberIdOf(context, { name: action.member, memberId: action.memberId });
  let lag: number | null = null;
  const wait = await untilSteady(context, { members: [action.member], steadyMs: action.steadyMs ?? 0 }, async () => {
    lag = await (await context.connection.controlPlane()).learnerLag(id);
    context.detail(lag === null ? "it does not answer clients yet" : `${lag} entries behind`);
    return lag !== null && lag <= action.maxLagEntries ? [] : [action.member];
  }).catch(async (error: unknown) => {
    if (!isSpentError(error)) throw error;
    await removeLearner(context, action.member, id);
    throw new HaplanError(
      error.code,
      `${error.message}. ${action.member} had not caught up: it was removed again; the voters are unchanged.`,
    );
  });
  if (wait.missing.length === 0) return { memberId: id };
  // Reported before the learner is removed: its log ends with the reason.
  const failure = await notHealthy(context, wait);
  await removeLearner(context, action.member, id);
  const behind = `it is still ${lag} entries behind, but at most ${action.maxLagEntries} are allowed`;
  const why =
    wait.ended.length > 0
      ? "its process has ended"
      : lag === null
        ? "it never answered clients, which a new member does once it has caught up"
        : behind;
  throw new HaplanError(
    "apply/learner-not-ready",
    `${action.member} did not catch up: ${why}. It was removed again; the voters are unchanged.\n${failure.message}`,
  );
}

export async function removeLearner(context: StepContext, name: string, id: string): Promise<void> {
  await (await context.connection.controlPlane()).removeMember(id);
  await context.ports.provider.stopUnit(name, agentUnitName, 0, context.signal);
  if (await replacesVoter(context, name)) return;
  await context.keeper.apply([{ kind: "remove", address: resourceAddress("haplan_raft_member", name) }]);
}

/**
 * A voter that the learner was to replace at its address: the state continues to say that the data there is the
 * learner's, because the voter must never start on it.
 */
async function replacesVoter(context: StepContext, name: string): Promise<boolean> {
  const { members } = await liveMembership(context);
  const recorded = context.keeper.state.resources.map(({ attributes }) => attributes["memberId"]);
  return members.some((member) => !member.learner && member.name === name && !recorded.includes(member.id));
}
