/**
 * A unit gets another version of haplan's programs: started, watched, and given its former version back at the first bad
 * sign, so that a version that does not work stops at one machine.
 */
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { unitOf } from "../../plan/cluster-view.ts";
import { newestMachine, type ObservedUnit } from "../../plan/observed-cluster.ts";
import type { ResourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { clientUrl } from "../../units/addresses.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import type { StepOutputs } from "../state-edits.ts";
import { pollIntervalMs, type StepContext } from "../step-context.ts";
import { isSpentError } from "../write-gap-budget.ts";
import { restartAgent, startAgent } from "./agent-steps.ts";
import { unhealthyOf } from "./await-steps.ts";

/** How often the process is looked at: on a host, that is one call. */
const processLookMs = 1_000;
const writeTimeoutMs = 5_000;
/** As the write probe's: one key, however often. */
const sampleKey = "/haplan/probe";
const logLines = 15;

/** Errors that say something of the version: it exited, or never became healthy. */
const signsOfVersion: ReadonlySet<string> = new Set(["provider/unit-exited", "apply/agent-ended", "apply/not-healthy"]);

type PlacedUnit = { readonly machine: string; readonly unit: string };

/**
 * Also of a member that is down: it is watched and undone like any other, so that no further machine gets a version with which
 * it does not come up.
 * @throws HaplanError `apply/not-upgraded` if its process was not touched or its host does not answer, `apply/upgrade-undone` if the new
 * version does not work, or `apply/upgrade-not-undone` if going back failed as well
 */
export async function upgradeAgent(
  context: StepContext,
  action: StepAction & { readonly kind: "upgradeAgent" },
): Promise<StepOutputs> {
  const { member, from, to } = action;
  const place = { machine: member, unit: agentUnitName };
  const wasDown = (await memberProblem(context, member, false)) !== null;
  // Where nothing can be written now, as without space, that is no sign of the new version.
  const isWritten = await writesThrough(context, member).then(
    () => true,
    () => false,
  );
  // It settles in its own time, also when a write gap is the reason.
  const patient: StepContext = { ...context, ports: { ...context.ports, clock: context.patientClock } };
  const settled = async (): Promise<void> => {
    // Its former version did not come up either.
    if (!wasDown) await watchMember(patient, place, { isWritten: false, watchMs: 0 });
  };
  return await orUndone(context, { ...place, from, to, settled, wasDown }, async () => {
    const facts = await (wasDown ? restartAgent : startAgent)(context, action);
    await watchMember(context, place, { isWritten, watchMs: context.plan.spec.policy.upgradeWatchMs });
    return facts;
  });
}

/**
 * Starts a unit that no quorum depends on. If that gives it another version, it is watched, and undone if its process ends.
 * @throws HaplanError as `upgradeAgent`
 */
export async function startWatched<Result>(
  context: StepContext,
  { address, ...place }: PlacedUnit & { readonly address: ResourceAddress },
  start: () => Promise<Result>,
): Promise<Result> {
  const { plan, keeper } = context;
  const to = plan.binding.artifact;
  const known = keeper.find(address)?.attributes;
  const from = typeof known?.["artifact"] === "string" ? known["artifact"] : null;
  if (to === undefined || known === undefined || from === to) return await start();
  const settled = async (): Promise<void> => undefined;
  return await orUndone(context, { ...place, from, to, settled, wasDown: false }, async () => {
    const result = await start();
    await watchProcess(context, place);
    return result;
  });
}

type Upgrade = PlacedUnit & {
  readonly from: string | null;
  readonly to: string;
  /** Resolves once it works again with its former version. */
  readonly settled: () => Promise<void>;
  /** It did not work before, with its former version. */
  readonly wasDown: boolean;
};

async function orUndone<Result>(context: StepContext, upgrade: Upgrade, act: () => Promise<Result>): Promise<Result> {
  const before = await lookAt(context, upgrade);
  try {
    return await act();
  } catch (error) {
    // An interrupted run undoes nothing: the next one resumes.
    if (context.signal.aborted) throw error;
    const found = await lookAt(context, upgrade);
    // Nothing is known of the new version, and nothing can be undone.
    if (found.unreachable !== null) {
      throw notUpgraded(upgrade, error, `its host does not answer: ${found.unreachable}\n${errorText(error)}`);
    }
    // Such as an upload or a write that failed: its process was not touched.
    if (before.unit?.artifact !== upgrade.to && isUntouched(before, found, upgrade)) {
      const kept = found.unit?.running === true ? "Its process goes on with" : "It keeps";
      throw notUpgraded(upgrade, error, `${errorText(error)}\n${kept} the version that it has.`);
    }
    throw await undo(context, upgrade, error);
  }
}

function nameOf({ machine, unit }: PlacedUnit): string {
  return `${unit} ${machine}`;
}

/** The record may have the new version already, or the process be another one that has the former version. */
function isUntouched(before: Look, { unit }: Look, { to, wasDown }: Upgrade): boolean {
  if (unit?.running !== true && !wasDown) return false;
  return unit?.artifact !== to || (unit.pid !== null && unit.pid === before.unit?.pid);
}

function notUpgraded(upgrade: Upgrade, cause: unknown, why: string): HaplanError {
  const text = `${nameOf(upgrade)} could not be upgraded to haplan ${upgrade.to}: ${why}`;
  return new HaplanError("apply/not-upgraded", `${text}\nNo other machine was upgraded after it`, { cause });
}

async function undo(context: StepContext, upgrade: Upgrade, cause: unknown): Promise<HaplanError> {
  const { machine, unit, from, to, settled } = upgrade;
  const what = nameOf(upgrade);
  const why = errorText(cause);
  const problem = problemOf(cause);
  context.warn(`${what} ${problem} haplan ${to}: it gets its former version back`);
  context.detail("it gets its former version back");
  try {
    await context.ports.provider.revertUnit(machine, unit, context.signal);
    await settled();
  } catch (failure) {
    return new HaplanError(
      "apply/upgrade-not-undone",
      `${what} ${problem} haplan ${to}, and has not got its former version back: ${errorText(failure)}\nWhat was wrong with the new version: ${why}`,
      { cause },
    );
  }
  const version = from === null ? "its former version" : `haplan ${from}`;
  return new HaplanError(
    "apply/upgrade-undone",
    `${what} ${problem} haplan ${to}. It runs ${version} again, and no other machine was upgraded after it\n${why}`,
    { cause },
  );
}

/** What is wrong with the new version, or else that it could not even be tried: such as a former process that does not end. */
function problemOf(cause: unknown): string {
  if (isSpentError(cause)) return "has cost clients too long a wait with";
  const isOfVersion = cause instanceof HaplanError && signsOfVersion.has(cause.code);
  return isOfVersion ? "does not work with" : "could not be upgraded to";
}

type Watch = {
  /** Whether a write through the member is part of each sample. */
  readonly isWritten: boolean;
  /** How long it has to stay healthy. */
  readonly watchMs: number;
};

/** Resolves once the member has been healthy for that long. @throws HaplanError at the first bad sign */
async function watchMember(context: StepContext, place: PlacedUnit, { isWritten, watchMs }: Watch): Promise<void> {
  const { clock } = context.ports;
  const { healthSamples, joinTimeoutMs } = context.plan.spec.policy;
  const name = place.machine;
  const process = await ProcessWatch.begin(context, place);
  const deadlineMs = clock.monotonicMs() + joinTimeoutMs;
  let healthySinceMs: number | null = null;
  for (let good = 0; ; ) {
    await process.look();
    const problem = await memberProblem(context, name, isWritten);
    const nowMs = clock.monotonicMs();
    good = problem === null ? good + 1 : 0;
    healthySinceMs = problem === null ? (healthySinceMs ?? nowMs) : null;
    if (healthySinceMs !== null && good >= healthSamples && nowMs - healthySinceMs >= watchMs) break;
    if (problem !== null && nowMs >= deadlineMs)
      throw await withLog(
        context,
        place,
        "apply/not-healthy",
        `Not healthy after ${joinTimeoutMs / 1000} s: ${problem}`,
      );
    context.detail(problem ?? "it is healthy, and is watched for a while");
    await clock.sleep(pollIntervalMs, context.signal);
  }
  await process.look(true);
}

/**
 * What is missing for a good sample; null for a good one. A member acknowledges a write through it once it has applied the
 * write's entry itself.
 */
async function memberProblem(context: StepContext, name: string, isWritten: boolean): Promise<string | null> {
  const membership = await (await context.connection.controlPlane()).observe();
  if (unhealthyOf(context, membership, [name]).length > 0) return `waiting for ${name}`;
  if (!isWritten) return null;
  return await writesThrough(context, name).then(
    () => null,
    (error: unknown) => `a write through ${name} failed: ${errorText(error)}`,
  );
}

async function writesThrough({ plan, ports, connection }: StepContext, name: string): Promise<void> {
  const master = plan.spec.controlPlane.masters.find((each) => each.name === name);
  if (master === undefined) return;
  const controlPlane = ports.connect({ endpoints: [clientUrl(plan.spec, master)], tls: await connection.tls() });
  try {
    await controlPlane.put(sampleKey, "upgrade", writeTimeoutMs);
  } finally {
    controlPlane.close();
  }
}

/** Resolves once the process has lived for that long. */
async function watchProcess(context: StepContext, place: PlacedUnit): Promise<void> {
  const { clock } = context.ports;
  const process = await ProcessWatch.begin(context, place);
  const endMs = clock.monotonicMs() + context.plan.spec.policy.upgradeWatchMs;
  while (clock.monotonicMs() < endMs) {
    await process.look();
    context.detail("it runs, and is watched for a while");
    await clock.sleep(pollIntervalMs, context.signal);
  }
  await process.look(true);
}

/** A process that must neither end nor be started again by what supervises it. */
class ProcessWatch {
  readonly #context: StepContext;
  readonly #place: PlacedUnit;
  readonly #pid: number | null;
  #nextMs: number;

  private constructor(context: StepContext, place: PlacedUnit, pid: number | null) {
    this.#context = context;
    this.#place = place;
    this.#pid = pid;
    this.#nextMs = context.ports.clock.monotonicMs() + processLookMs;
  }

  static async begin(context: StepContext, place: PlacedUnit): Promise<ProcessWatch> {
    const unit = await findUnit(context, place);
    if (unit?.running !== true) throw await hasEnded(context, place);
    return new ProcessWatch(context, place, unit.pid);
  }

  /** @throws HaplanError `apply/agent-ended` */
  async look(isDue = false): Promise<void> {
    const nowMs = this.#context.ports.clock.monotonicMs();
    if (!isDue && nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + processLookMs;
    const unit = await findUnit(this.#context, this.#place);
    if (unit?.running !== true || unit.pid !== this.#pid) throw await hasEnded(this.#context, this.#place);
  }
}

function hasEnded(context: StepContext, place: PlacedUnit): Promise<HaplanError> {
  return withLog(context, place, "apply/agent-ended", `${place.unit} ${place.machine}: its process has ended`);
}

async function withLog(
  { ports, signal }: StepContext,
  { machine, unit }: PlacedUnit,
  code: string,
  text: string,
): Promise<HaplanError> {
  const log = await ports.provider.unitLog(machine, unit, logLines, signal).catch(() => "");
  return new HaplanError(code, log === "" ? text : `${text}\nThe end of its log:\n${log}`);
}

/** Undefined if there is none, or if its machine does not answer now. */
async function findUnit(context: StepContext, place: PlacedUnit): Promise<ObservedUnit | undefined> {
  return (await observeUnit(context, place)).unit;
}

type Look = {
  readonly unit: ObservedUnit | undefined;
  /** Why its machine does not answer; null if it does. */
  readonly unreachable: string | null;
};

async function lookAt(context: StepContext, place: PlacedUnit): Promise<Look> {
  return await observeUnit(context, place).catch((error: unknown) => ({
    unit: undefined,
    unreachable: errorText(error),
  }));
}

async function observeUnit({ ports, signal }: StepContext, { machine, unit }: PlacedUnit): Promise<Look> {
  const { machines, unreachable } = await ports.provider.observe(null, [machine], signal);
  const found = newestMachine(machines, machine);
  const silent = unreachable.find(({ name }) => name === machine);
  return {
    unit: unitOf(found, unit),
    unreachable: found === undefined && silent !== undefined ? silent.reason : null,
  };
}
