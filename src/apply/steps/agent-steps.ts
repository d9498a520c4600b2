/** Agents: written to their machines and started, restarted, stopped. Their health is checked by the waiting steps. */
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { unitOf } from "../../plan/cluster-view.ts";
import { newestMachine } from "../../plan/observed-cluster.ts";
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { unitDigest } from "../../providers/unit-digest.ts";
import { peerUrl } from "../../units/addresses.ts";
import { agentBlueprint } from "../../units/agent-unit.ts";
import type { InitialCluster } from "../../units/initial-cluster.ts";
import { agentUnitName, type UnitDefinition } from "../../units/unit-definition.ts";
import { carriedCertificate } from "../carried-certificate.ts";
import { materializeUnit } from "../materialize-unit.ts";
import { answersAgain } from "../member-answers.ts";
import type { StepOutputs } from "../state-edits.ts";
import { liveMembership, type StepContext } from "../step-context.ts";
import { awaitPresented } from "./await-presented.ts";
import { removeLearner, unhealthyOf } from "./await-steps.ts";
import { awaitTrust } from "./await-trust.ts";
import { machineRef } from "./machine-steps.ts";

type AgentStart = StepAction & {
  readonly kind: "startAgent" | "updateAgent" | "upgradeAgent" | "reloadAgent" | "restartAgent";
};

/** A member that is asked to stop transfers leadership and finishes its calls: at most about 8 s. */
const stopGraceMs = 10_000;

/** `before`: called with the unit, before anything is done to its process. */
export async function startAgent(
  context: StepContext,
  action: AgentStart,
  before: (unit: UnitDefinition) => Promise<void> = async () => undefined,
): Promise<StepOutputs> {
  const { plan, ports, keeper, signal } = context;
  const join = action.join ?? (await liveJoin(context, action.member));
  const blueprint = agentBlueprint(plan.spec, action.member, { ...join, token: keeper.state.lineage });
  const unit = await materializeUnit(blueprint, ports.authority);
  await before(unit);
  const { pid } = await ports.provider.startUnit(action.member, unit, signal);
  const given = await carriedCertificate(context, resourceAddress("haplan_agent", action.member), blueprint);
  const facts = { pid, definitionDigest: unitDigest(unit), ...given };
  return action.join === null ? { ...facts, join } : facts;
}

/**
 * The initial cluster of a new member: the current members. A voter of the same name that does not answer is omitted.
 * One that answers, and that the new member replaces, is listed under another name: etcd would merge two of one name.
 */
async function liveJoin(context: StepContext, name: string): Promise<InitialCluster> {
  const { members } = await liveMembership(context);
  const { spec } = context.plan;
  const own = peerUrl(spec, spec.controlPlane.masters.find((master) => master.name === name)!);
  const others = members.filter((member) => (member.name !== name || member.healthy) && !member.peerUrls.includes(own));
  const initialCluster = others.map((member) => ({
    name: member.name === name ? `${name}@${member.id}` : member.name || nameOfMember(context, member.id),
    peerUrl: member.peerUrls[0] ?? "",
  }));
  return { clusterState: "existing", initialCluster: [...initialCluster, { name, peerUrl: own }].sort(byName) };
}

/** A member that was added and has not started has no name yet: the state has its master. */
function nameOfMember({ keeper }: StepContext, id: string): string {
  const known = keeper.state.resources.find(
    ({ type, attributes }) => type === "haplan_raft_member" && attributes["memberId"] === id,
  );
  return known?.name ?? `member-${id}`;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/**
 * A new member that does not start is removed again: a learner that never comes would block every later one. The voters
 * are as before.
 */
export async function startMember(
  context: StepContext,
  action: StepAction & { readonly kind: "startAgent" },
): Promise<StepOutputs> {
  try {
    return await startAgent(context, action, (unit) => requireKept(context, action, unit));
  } catch (error) {
    // An interrupted run undoes nothing: the next one resumes.
    if (context.signal.aborted) throw error;
    const member = context.keeper.find(resourceAddress("haplan_raft_member", action.member))?.attributes;
    const id = member?.["memberId"];
    if (action.join?.clusterState === "new" || member?.["role"] !== "learner" || typeof id !== "string") throw error;
    await removeLearner(context, action.member, id);
    throw new HaplanError(
      "apply/learner-not-started",
      `${action.member} did not start. Its learner was removed again; the voters are unchanged.\n${errorText(error)}`,
      { cause: error },
    );
  }
}

/**
 * Initial members are started together, which none that is part of a quorum by now may be.
 * @throws HaplanError `apply/answers-again` if it votes, and would be started with other settings than it has
 */
async function requireKept(
  context: StepContext,
  { member, join }: StepAction & { readonly kind: "startAgent" },
  unit: UnitDefinition,
): Promise<void> {
  const { ports, connection, signal } = context;
  if (join?.clusterState !== "new") return;
  const { machines } = await ports.provider.observe(null, [member], signal);
  const found = unitOf(newestMachine(machines, member), agentUnitName);
  if (found?.running !== true || found.definitionDigest === unitDigest(unit)) return;
  const membership = await (await connection.controlPlane()).observe();
  if (unhealthyOf(context, membership, [member]).length === 0) throw answersAgain(member);
}

/** @throws HaplanError `apply/certificate-not-taken` if the agent keeps presenting another one */
export async function reloadAgent(
  context: StepContext,
  action: StepAction & { readonly kind: "reloadAgent" },
): Promise<StepOutputs> {
  const facts = await startAgent(context, action);
  if (action.authorities === true) await awaitTrust(context, action.member);
  else await awaitPresented(context, action.member);
  return facts;
}

/** Also for a process that runs but does not answer: it has to be stopped before a start. */
export async function restartAgent(context: StepContext, action: AgentStart): Promise<StepOutputs> {
  await context.ports.provider.stopUnit(action.member, agentUnitName, stopGraceMs, context.signal);
  return startAgent(context, action);
}

export async function stopAgent(
  context: StepContext,
  action: StepAction & { readonly kind: "stopAgent" },
): Promise<StepOutputs> {
  const { member, generation } = action;
  await context.ports.provider.stopUnit(machineRef(member, generation), agentUnitName, stopGraceMs, context.signal);
  return {};
}
