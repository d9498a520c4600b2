/** `haplan drill [SPEC]`: lock, check the quorum, show the faults, ask, do them, report the gaps. */
import {
  type DrillFault,
  type DrillFaultKind,
  drillFaultKinds,
  drillHeld,
  faultableFollowers,
  quorumAtStake,
  whyNotFaultable,
} from "../../../src/drill/drill.ts";
import { readAddressStates } from "../../../src/drill/fail-over.ts";
import { runDrill, whyUnwritten } from "../../../src/drill/run-drill.ts";
import { addressAtStake, holderOf } from "../../../src/drill/virtual-address.ts";
import { appliedEndpoint } from "../../../src/plan/applied-addresses.ts";
import type { ObservedMembership } from "../../../src/plan/observed-cluster.ts";
import { clusterEndpoint } from "../../../src/units/addresses.ts";
import { askApproval, requireApprover } from "../approve.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { connectMembers } from "../connect-members.ts";
import { parseDuration } from "../duration.ts";
import { type LockFlags, lockHosts, withLock } from "../lock-state.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse, stoppedBeforeChange } from "../refusal.ts";
import { clientMaterial, type Session, sessionState } from "../session.ts";
import { drillToJson, faultTitle, renderDrill } from "../views/drill-view.ts";

type DrillFlags = LockFlags & {
  readonly faults?: string;
  readonly members?: string;
  readonly pause: string;
  readonly autoApprove?: boolean;
  readonly json?: boolean;
  readonly input?: string;
};

/** Half of the time after which the watchdog of an agent's unit ends it. */
const pauseMaxMs = 30_000;
/** Enough for a write over a new connection. */
const tryoutMs = 1_000;

export async function runDrillCommand(
  context: CliContext,
  argument: string | undefined,
  flags: DrillFlags,
): Promise<ExitCode> {
  const chosen = flags.faults === undefined ? null : parseKinds(flags.faults);
  const pauseMs = parsePause(flags.pause);
  requireApprover(context, argument, flags, "drill");
  const session = await openCluster(context, { spec: argument });
  return withLock(context, session, "drill", flags, async (lock) => {
    if (lock.fencing !== null) await lockHosts(context, session, "drill", flags);
    const state = await sessionState(context, session);
    const controlPlane = await connectMembers(context, session, state);
    const membership = await controlPlane.observe();
    const atStake = quorumAtStake(membership);
    if (membership === null || atStake !== null)
      throw refuse(
        "drill/quorum-at-stake",
        "No fault is safe now",
        `A drill needs a quorum that can lose a voter: ${atStake}.`,
        [["status"]],
      );
    const balancers = balancersOf(session);
    const kinds = chosen ?? drillFaultKinds.filter((kind) => kind !== "vip" || balancers.length > 0);
    const holder = kinds.includes("vip") ? await addressHolder(session, balancers) : "";
    const faults = chooseFaults(membership, kinds, { holder, followers: wordsOf(flags.members) });
    await confirm(context, session, faults, flags);
    const tls = await clientMaterial(session);
    const endpoint = appliedEndpoint(state) ?? clusterEndpoint(session.spec);
    await requireWrites(context, session, endpoint);
    const results = await runDrill({
      faults,
      pauseMs,
      controlPlane,
      connectTo: (members) =>
        session.dependencies.connect({ endpoints: members.flatMap(({ clientUrls }) => clientUrls), tls }),
      provider: session.provider,
      loadBalancer: session.loadBalancer,
      balancers,
      probe: await openProbe(session, endpoint),
      clock: context.clock,
      signal: context.stop.signal,
      tell: (fault, phase, problem) => {
        if (flags.json) return;
        context.terminal.printError(
          phase === "begins" ? `${faultTitle(fault)}...` : `${faultTitle(fault)}: ${problem ?? "held"}`,
        );
      },
    });
    const report = { cluster: session.spec.name, results, leftOut: faults.slice(results.length) };
    context.terminal.print(
      flags.json ? JSON.stringify(drillToJson(report), null, 2) : renderDrill(report, context.terminal.paint),
    );
    return drillHeld(report) ? 0 : 3;
  });
}

function wordsOf(list = ""): readonly string[] {
  return list.split(",").filter((word) => word !== "");
}

function parseKinds(text: string): readonly DrillFaultKind[] {
  const words = wordsOf(text);
  const unknown = words.find((word) => !(drillFaultKinds as readonly string[]).includes(word));
  if (unknown === undefined && words.length > 0) return words as DrillFaultKind[];
  throw refuse(
    "drill/bad-faults",
    `-faults=${text}: ${unknown === undefined ? "no fault is named" : `"${unknown}" is no fault`}`,
    `Write some of ${drillFaultKinds.join(",")}.`,
  );
}

function parsePause(text: string): number {
  const pauseMs = parseDuration("-pause", text);
  if (pauseMs > 0 && pauseMs <= pauseMaxMs) return pauseMs;
  throw refuse(
    "drill/bad-pause",
    `-pause=${text} is not a pause that a drill makes`,
    "Write a duration up to 30s, such as 5s.",
  );
}

/** The load balancers that share a virtual address. */
function balancersOf({ spec }: Session): readonly string[] {
  const { virtual, hosts = [] } = spec.loadBalancer;
  return virtual === undefined ? [] : hosts.map(({ name }) => name);
}

/** The load balancer that has the virtual address. @throws RefusalError where it may not move */
async function addressHolder({ loadBalancer }: Session, balancers: readonly string[]): Promise<string> {
  if (balancers.length === 0)
    throw refuse(
      "drill/no-virtual-address",
      "The load balancer has no virtual address",
      "Fault vip moves the virtual address of several load balancers (loadBalancer.vip). Omit it.",
    );
  const states = await readAddressStates({ loadBalancer, balancers });
  const atStake = addressAtStake(states);
  const holder = holderOf(states);
  if (atStake === null && holder !== null) return holder;
  throw refuse(
    "drill/address-at-stake",
    "The virtual address may not move now",
    `Another load balancer has to be able to take it: ${atStake}. Omit the fault vip, or look at them with:`,
    [["status"]],
  );
}

type FaultTargets = {
  /** The load balancer that has the virtual address. */
  readonly holder: string;
  /** Followers that may be chosen; empty: any. */
  readonly followers: readonly string[];
};

/** One follower for each fault, in turn: none has two faults in a row where there are several. */
function chooseFaults(
  membership: ObservedMembership,
  kinds: readonly DrillFaultKind[],
  targets: FaultTargets,
): readonly DrillFault[] {
  const members = membership.members.map(({ name }) => name).filter((name) => name !== "");
  const unknown = targets.followers.find((name) => !members.includes(name));
  if (unknown !== undefined)
    throw refuse(
      "drill/no-such-member",
      `-members=${unknown} is no member`,
      `The members are ${[...new Set(members)].sort().join(", ")}.`,
    );
  const followers = faultableFollowers(membership, targets.followers);
  if (followers.length === 0)
    throw refuse(
      "drill/no-follower",
      "There is no follower for a fault",
      `${[...whyNotFaultable(membership, targets.followers), "Faults are for healthy followers. Look at them with:"].join(" ")}`,
      [["status"]],
    );
  return kinds.map((kind, at) => ({
    kind,
    member: kind === "vip" ? targets.holder : followers[at % followers.length]!.name,
  }));
}

async function confirm(
  context: CliContext,
  { spec }: Session,
  faults: readonly DrillFault[],
  flags: DrillFlags,
): Promise<void> {
  const { terminal, stop } = context;
  if (!flags.autoApprove) {
    terminal.print(
      `Drill of ${spec.name}, on the live cluster:\n${faults.map((fault) => `  ${faultTitle(fault)}`).join("\n")}`,
    );
    await askApproval(context, "drill");
  }
  if (stop.signal.aborted) throw stoppedBeforeChange(stop);
}

/** No fault is done where clients cannot write before it. @throws RefusalError */
async function requireWrites({ clock }: CliContext, session: Session, endpoint: string): Promise<void> {
  const probe = await openProbe(session, endpoint);
  await clock.sleep(tryoutMs);
  const reason = whyUnwritten(await probe.stop());
  if (reason === null) return;
  throw refuse(
    "drill/no-writes",
    `Clients cannot write through ${endpoint}`,
    `Nothing was done: ${reason}. Look at haplan status, and complete what was interrupted, such as a restore.`,
  );
}

/** As clients write: through the load balancer, over connections that last and over new ones. */
async function openProbe(session: Session, endpoint: string): ReturnType<Session["dependencies"]["probeWrites"]> {
  const tls = await clientMaterial(session);
  const client = (
    connects: boolean,
  ): { readonly connects: boolean; readonly endpoints: string[]; readonly tls: typeof tls } => ({
    connects,
    endpoints: [endpoint],
    tls,
  });
  const lasting = session.spec.controlPlane.masters.map(() => client(false));
  return await session.dependencies.probeWrites({ clients: [...lasting, client(true)], endpoint: null });
}
