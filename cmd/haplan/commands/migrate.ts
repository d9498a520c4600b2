/**
 * `haplan migrate [SPEC]`: brings the data and the clients of the cluster that `controlPlane.migrateFrom` names to the members
 * of the spec, without a failed write. `-rollback` moves the clients back, with what was written since; `-finish` gives up the
 * way back.
 */

import type { WriteAvailability } from "../../../src/apply/apply-event.ts";
import { freeze, isFrozen, unfreeze } from "../../../src/migrate/cluster-calls.ts";
import type { ClusterEnd } from "../../../src/migrate/cluster-end.ts";
import { DivergedError } from "../../../src/migrate/copy-error.ts";
import { yieldLeadership } from "../../../src/migrate/renew-leases.ts";
import type { Lock } from "../../../src/state/lock-holder.ts";
import { askApproval, requireApprover } from "../approve.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { executePlan } from "../execute-plan.ts";
import type { LockFlags } from "../lock-state.ts";
import { locked } from "../locked-run.ts";
import { makePlan } from "../make-plan.ts";
import { copyCluster, resumeCopy } from "../migrate/copy-cluster.ts";
import { MigrationBalancer, requireHoldingBalancer, requireRelay } from "../migrate/migration-balancer.ts";
import { checkSource, type MigrateFrom, migrateFromOf, openSource, openTarget } from "../migrate/migration-clusters.ts";
import {
  type MigrationPhase,
  type MigrationRecord,
  readMigration,
  removeCopyFiles,
  saveMigration,
} from "../migrate/migration-record.ts";
import { type Switched, switchOver } from "../migrate/switch-over.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import type { Session } from "../session.ts";

export type MigrateFlags = LockFlags & {
  readonly autoApprove?: boolean;
  readonly rollback?: boolean;
  readonly finish?: boolean;
  readonly input?: string;
};

type Migration = {
  readonly context: CliContext;
  readonly session: Session;
  readonly from: MigrateFrom;
  readonly lock: Lock;
  readonly asks: boolean;
};

/** A copy that its source has overtaken is made anew this often. */
const copiesMax = 3;
/** The clients have not been at the new members. */
const beforeSwitch: readonly MigrationPhase[] = ["copying", "following", "switching"];

export async function runMigrate(
  context: CliContext,
  specArgument: string | undefined,
  flags: MigrateFlags,
): Promise<ExitCode> {
  if (flags.rollback && flags.finish) {
    const detail = "-rollback moves the clients back to the old cluster, -finish gives it up. Omit one of them.";
    throw refuse("cli/rollback-and-finish", "-rollback and -finish exclude each other", detail);
  }
  requireApprover(context, specArgument, flags, "migrate");
  const session = await openCluster(context, { spec: specArgument });
  const from = migrateFromOf(session);
  requireHoldingBalancer(session.spec);
  return locked(context, session, flags, "apply", async (lock) => {
    const migration: Migration = { context, session, from, lock, asks: flags.autoApprove !== true };
    const record = readMigration(session);
    if (record?.phase === "finished") {
      if (flags.finish) await endRelays(migration, record);
      context.terminal.print("The migration is finished. migrateFrom can be removed from the spec.");
      return 0;
    }
    if (flags.rollback) return rollBack(migration, requireBegun(record));
    if (flags.finish) return finish(migration, requireBegun(record));
    return goForward(migration, record);
  });
}

function requireBegun(record: MigrationRecord | null): MigrationRecord {
  if (record !== null) return record;
  throw refuse("cli/no-migration", "There is no migration", "To begin one, run:", [["migrate"]]);
}

async function goForward(migration: Migration, begun: MigrationRecord | null): Promise<ExitCode> {
  const { context, session } = migration;
  if (begun?.phase === "returning")
    throw refuse(
      "cli/migration-returning",
      "The clients are being moved back to the old cluster",
      "Complete that first:",
      [["migrate", "-rollback"]],
    );
  if (begun?.phase === "switched") return settle(migration, begun);
  requireSameSource(begun, migration.from);
  if (begun === null) await requireRelay(context, session);
  // A way back that was killed once it was recorded has left the clients at the new members, which are made anew now.
  if (begun?.phase === "returned") await new MigrationBalancer(context, session, begun).moveClients("old");
  let record = begun?.phase === "copying" ? await resumeCopy(migration, begun) : begun;
  if (record === null || record.phase === "returned") record = await copyAnew(migration);
  // Of a run that was killed once the copy was made.
  removeCopyFiles(session);
  report(context, await follow(migration, record));
  return settle(migration, readMigration(session) ?? record);
}

/** Another old cluster than that of the copy is another migration. */
function requireSameSource(record: MigrationRecord | null, { endpoints }: MigrateFrom): void {
  if (record === null || record.endpoints.join() === endpoints.join()) return;
  throw refuse(
    "cli/migrate-other-source",
    "migrateFrom.endpoints have changed since the migration began",
    `It is from ${record.endpoints.join(", ")}. Write these endpoints, or give that migration up first:`,
    [["migrate", "-rollback"]],
  );
}

async function copyAnew(migration: Migration): Promise<MigrationRecord> {
  const { context, session, from } = migration;
  const { membership, engine } = await checkSource(context, session, from);
  return copyCluster({ ...migration, clusterId: membership.clusterId, engine });
}

/** Follows the old cluster and moves its clients; a copy that can no longer follow is made anew. */
async function follow(migration: Migration, first: MigrationRecord): Promise<Switched> {
  const { context, session, from } = migration;
  const source = openSource(context, from);
  const target = await openTarget(context, session);
  let record = first;
  for (let copies = 1; ; copies++) {
    try {
      // An earlier attempt was killed before it was decided: the clients are still there.
      if (await isFrozen(source)) await unfreeze(source);
      await new MigrationBalancer(context, session, record).serve("old");
      return await moveForward(migration, record, source, target);
    } catch (error) {
      if (!(error instanceof DivergedError) || copies >= copiesMax) throw error;
      context.terminal.print(`${error.message}. The new members are copied anew.`);
      record = await copyAnew({ ...migration, asks: false });
    }
  }
}

function moveForward(
  { context, session }: Migration,
  record: MigrationRecord,
  source: ClusterEnd,
  target: ClusterEnd,
): Promise<Switched> {
  const balancer = new MigrationBalancer(context, session, record);
  const save = (change: Partial<MigrationRecord>): void => void saveMigration(session, { ...record, ...change });
  return switchOver({
    context,
    session,
    source,
    target,
    from: record.snapshotRevision,
    names: { source: "the old cluster", target: "the new members" },
    begin: () => save({ phase: "switching" }),
    hold: () => balancer.hold("old"),
    decide: (revision) => save({ phase: "switched", switchRevision: revision }),
    release: () => balancer.serve("new"),
    giveUp: async () => {
      await balancer.serve("old");
      save({ phase: "following" });
    },
  });
}

/** The new members have the clients: the load balancer, and the state, say so as well. */
async function settle({ context, session, lock }: Settling, record: MigrationRecord): Promise<ExitCode> {
  await settleQuietly({ context, session, lock }, record);
  const { invocation, terminal } = context;
  terminal.print(
    [
      `The new members have the clients since revision ${record.switchRevision ?? 0}.`,
      `The old cluster, at ${record.endpoints.join(", ")}, refuses all changes and is kept for a way back:`,
      `    ${invocation.line(["migrate", "-rollback"])}`,
      "Once it is not needed any more:",
      `    ${invocation.line(["migrate", "-finish"])}`,
    ].join("\n"),
  );
  return 0;
}

/**
 * An apply of the spec as it is: the load balancer's unit is another one than at its start. HAProxy keeps its relay, which has to
 * hold the clients for a way back, until the migration is finished.
 */
async function recordSwitch(context: CliContext, session: Session, lock: Lock): Promise<void> {
  const plan = await makePlan(context, session, { mode: "apply", duringMigration: true });
  if (plan.steps.length > 0) await executePlan(context, session, plan, { lock, json: false });
}

async function rollBack(migration: Migration, record: MigrationRecord): Promise<ExitCode> {
  const { context, session, from, asks } = migration;
  const balancer = new MigrationBalancer(context, session, record);
  const source = openSource(context, { ...from, endpoints: record.endpoints });
  if (record.phase === "switched" || record.phase === "returning") {
    if (asks && record.phase === "switched") await askApproval(context, "apply");
    report(context, await moveBack(migration, record, source, balancer).catch(giveUpReturn(migration, record, source)));
  }
  // Nothing was written to the new members before the switch.
  await unfreeze(source);
  if (beforeSwitch.includes(record.phase)) await balancer.serve("old");
  else await balancer.moveClients("old");
  saveMigration(session, { ...record, phase: "returned", switchRevision: null });
  removeCopyFiles(session);
  context.terminal.print(
    [
      `The old cluster, at ${record.endpoints.join(", ")}, has the clients, through the load balancer of this spec.`,
      "The new members are not needed any more. To remove them and the load balancer, once no client uses it:",
      `    ${context.invocation.line(["destroy"])}`,
    ].join("\n"),
  );
  return 0;
}

async function moveBack(
  { context, session }: Migration,
  record: MigrationRecord,
  old: ClusterEnd,
  balancer: MigrationBalancer,
): Promise<Switched> {
  const from = record.switchRevision ?? record.snapshotRevision;
  const present = await openTarget(context, session);
  // A run that was killed has left them at the old cluster, frozen or not: it must have none when it takes changes again.
  await balancer.moveClients("new");
  saveMigration(session, { ...record, phase: "returning" });
  if (await isFrozen(old)) {
    // Its leases have run out meanwhile, though their clients renewed them at the new members.
    await yieldLeadership(old);
    await unfreeze(old);
  }
  // An earlier attempt may have been killed while the clients waited.
  await unfreeze(present);
  return switchOver({
    context,
    session,
    source: present,
    target: old,
    from,
    names: { source: "the new members", target: "the old cluster" },
    begin: () => undefined,
    hold: () => balancer.hold("new"),
    decide: () => void saveMigration(session, { ...record, phase: "returned", switchRevision: null }),
    release: () => balancer.serve("old"),
    giveUp: () => balancer.serve("new"),
  });
}

/** The old cluster cannot be made anew, as a copy can: it is frozen again, and the new members keep the clients. */
function giveUpReturn(
  { session }: Migration,
  record: MigrationRecord,
  old: ClusterEnd,
): (error: unknown) => Promise<never> {
  return async (error) => {
    if (!(error instanceof DivergedError)) throw error;
    await freeze(old);
    saveMigration(session, { ...record, phase: "switched" });
    throw refuse(
      "cli/no-way-back",
      `The old cluster cannot be brought up to date: ${error.message}`,
      "The new members keep the clients, and the old cluster is frozen again. What is left is a restore of a backup of the new members into another cluster. To give up the way back, run:",
      [["migrate", "-finish"]],
    );
  };
}

async function finish(migration: Migration, record: MigrationRecord): Promise<ExitCode> {
  const { context, session, asks } = migration;
  if (record.phase !== "switched")
    throw refuse("cli/not-switched", "The clients are not at the new members", "Complete the migration first:", [
      ["migrate"],
    ]);
  if (asks) await askApproval(context, "apply");
  await settleQuietly(migration, record);
  saveMigration(session, { ...record, phase: "finished" });
  // Not before: without a relay there is no way back.
  await endRelays(migration, record);
  context.terminal.print(
    [
      "The migration is finished: plan and apply work on the new members, and migrateFrom can be removed from the spec.",
      `The members at ${record.endpoints.join(", ")} still run, and refuse all changes. haplan did not start them: stop them, and remove their data.`,
    ].join("\n"),
  );
  return 0;
}

type Settling = Pick<Migration, "context" | "session" | "lock">;

async function settleQuietly({ context, session, lock }: Settling, record: MigrationRecord): Promise<void> {
  const balancer = new MigrationBalancer(context, session, record);
  await balancer.moveClients("new");
  if (!(await balancer.hasRelay())) await recordSwitch(context, session, lock);
}

async function endRelays({ context, session, lock }: Settling, record: MigrationRecord): Promise<void> {
  const balancer = new MigrationBalancer(context, session, record);
  if (!(await balancer.hasRelay())) return;
  await recordSwitch(context, session, lock);
  await balancer.removeRelays();
}

function report({ terminal }: CliContext, switched: Switched): void {
  const { revision, by, hash, heldMs, cut, leases, writes } = switched;
  const equal = by === "hash" ? `their hashes are equal (${hash})` : "all their keys are equal";
  terminal.print(
    `Switched at revision ${revision}: ${equal}, and ${leases} ${leases === 1 ? "lease is" : "leases are"} kept.`,
  );
  terminal.print(`Clients waited for at most ${heldMs} ms${writes === null ? "" : `; ${writesText(writes)}`}.`);
  if (cut === 0) return;
  terminal.print(
    `${cut} ${cut === 1 ? "connection" : "connections"} had no pause between calls: calls that were under way have failed, and may or may not have been made.`,
  );
}

function writesText({ attempts, failed, firstFailure, longestGapMs }: WriteAvailability): string {
  const outcome = failed === 0 ? "none failed" : `${failed} failed (${firstFailure ?? ""})`;
  return `of ${attempts} probes through the load balancer ${outcome}, the longest gap was ${longestGapMs} ms`;
}
