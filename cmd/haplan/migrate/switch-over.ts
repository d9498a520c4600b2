/**
 * The second half of a migration, in either direction: a copy follows its source until it has everything, then the clients of
 * the source wait, it is frozen, the last changes are copied and compared, and the clients continue with the copy.
 */
import type { WriteAvailability } from "../../../src/apply/apply-event.ts";
import type { RunningProbe } from "../../../src/apply/ports.ts";
import { currentRevision, freeze, unfreeze } from "../../../src/migrate/cluster-calls.ts";
import type { ClusterEnd } from "../../../src/migrate/cluster-end.ts";
import { Mirror } from "../../../src/migrate/mirror.ts";
import { type VerifiedCopy, verifyCopy, verifyUsers } from "../../../src/migrate/verify-copy.ts";
import { clusterEndpoint } from "../../../src/units/addresses.ts";
import type { CliContext } from "../cli-context.ts";
import { refuse } from "../refusal.ts";
import { clientMaterial, type Session } from "../session.ts";

/** So few that they are copied while the clients wait. */
const lagMax = 30;
const pollMs = 100;
const progressIntervalMs = 2_000;
const lastChangesTimeoutMs = 5_000;
/** For how long writes are measured before and after the switch. */
const probeTailMs = 500;

export type SwitchRequest = {
  readonly context: CliContext;
  readonly session: Session;
  readonly source: ClusterEnd;
  readonly target: ClusterEnd;
  /** The last revision that both are known to have. */
  readonly from: number;
  /** How the source and the copy are called in messages. */
  readonly names: { readonly source: string; readonly target: string };
  /** Before the clients wait. */
  readonly begin: () => void;
  /** Clients of the source wait from its answer on, which is how many connections were cut during a call. */
  readonly hold: () => Promise<number>;
  /** Both are equal at `revision`, and the source is frozen: from now on the copy is what counts. */
  readonly decide: (revision: number) => void;
  /** The clients continue with the copy. */
  readonly release: () => Promise<void>;
  /** Something has failed before the decision: the clients continue with the source. */
  readonly giveUp: () => Promise<void>;
};

export type Switched = VerifiedCopy & {
  readonly heldMs: number;
  readonly cut: number;
  readonly leases: number;
  readonly writes: WriteAvailability | null;
};

/** @throws DivergedError if the copy has to be made anew */
export async function switchOver(request: SwitchRequest): Promise<Switched> {
  const { context, source, target, from, names } = request;
  await using mirror = await Mirror.start(source, target, from);
  await catchUp(request, mirror);
  await verifyUsers(source, target);
  const { revision, by } = await verifyCopy(source, target, mirror.applied);
  context.terminal.print(
    `Both have the same ${by === "hash" ? "hash" : "keys"} at revision ${revision}. Moving the clients from ${names.source} to ${names.target} ...`,
  );
  await catchUp(request, mirror);
  // Writes through the load balancer, as its clients do.
  const probe = await startProbe(request);
  try {
    // From here on a request to stop waits: the clients do as well.
    request.begin();
    const startedMs = context.clock.monotonicMs();
    const { verified, cut } = await decide(request, mirror);
    await request.release();
    const heldMs = Math.round(context.clock.monotonicMs() - startedMs);
    await context.clock.sleep(probeTailMs);
    return { ...verified, heldMs, cut, leases: mirror.leases, writes: await probe.stop() };
  } finally {
    await probe.stop();
  }
}

async function startProbe({ context, session }: SwitchRequest): Promise<Pick<RunningProbe, "stop">> {
  const tls = await clientMaterial(session);
  const endpoints = [clusterEndpoint(session.spec)];
  const probe = await session.dependencies.probeWrites({
    clients: [{ connects: false, endpoints, tls }],
    endpoint: null,
  });
  let result: Promise<WriteAvailability | null> | null = null;
  await context.clock.sleep(probeTailMs);
  return {
    stop: () => {
      result ??= probe.stop();
      return result;
    },
  };
}

async function decide(request: SwitchRequest, mirror: Mirror): Promise<{ verified: VerifiedCopy; cut: number }> {
  const { source, target } = request;
  try {
    const cut = await request.hold();
    await freeze(source);
    const last = await currentRevision(source);
    await mirror.reached(last, lastChangesTimeoutMs);
    const [verified] = await Promise.all([
      verifyCopy(source, target, last),
      verifyUsers(source, target),
      mirror.alignLeases(),
    ]);
    mirror.check();
    request.decide(last);
    return { verified, cut };
  } catch (error) {
    await Promise.allSettled([unfreeze(source), request.giveUp()]);
    throw error;
  }
}

/** Until the copy is so little behind that the rest takes no time. */
async function catchUp({ context, source, names }: SwitchRequest, mirror: Mirror): Promise<void> {
  const { clock, terminal, stop } = context;
  let shownMs = clock.monotonicMs();
  let before = { applied: mirror.applied, atMs: shownMs };
  for (;;) {
    mirror.check();
    if (stop.signal.aborted)
      throw refuse("cli/migration-stopped", stop.reason, "Both clusters are as they were. To continue, run:", [
        ["migrate"],
      ]);
    const revision = await currentRevision(source);
    const lag = revision - mirror.applied;
    if (lag <= lagMax) return;
    const nowMs = clock.monotonicMs();
    if (nowMs - shownMs >= progressIntervalMs) {
      const perSecond = ((mirror.applied - before.applied) * 1_000) / Math.max(1, nowMs - before.atMs);
      const left = perSecond > 0 ? `, about ${Math.ceil(lag / perSecond)} s left` : "";
      terminal.print(`Copying: revision ${mirror.applied} of ${revision} of ${names.source}, ${lag} behind${left}`);
      shownMs = nowMs;
      before = { applied: mirror.applied, atMs: nowMs };
    }
    await clock.sleep(pollMs, stop.signal).catch(() => undefined);
  }
}
