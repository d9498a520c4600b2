/** The loop of `haplan watch`: looks, decides, and repairs one thing at a time, until it is stopped. */
import { hostname } from "node:os";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import type { WatcherLease } from "../../../src/control-plane/watcher-lease.ts";
import type { CliContext } from "../cli-context.ts";
import { makePlan } from "../make-plan.ts";
import { RefusalError } from "../refusal.ts";
import { Reporter } from "../reporter.ts";
import { clientMaterial, type Session } from "../session.ts";
import { type WatchedStatus, watchStatus } from "../watch-status.ts";
import { AuditLog, type AuditRecord, auditFile } from "./audit-log.ts";
import { carryOutRepair } from "./carry-out-repair.ts";
import { decideRepair, type Finding, type Repair } from "./decide-repair.ts";
import { notify } from "./notify.ts";

const hourMs = 3_600_000;
/** A watcher that misses three looks is taken for dead. */
const looksPerLease = 3;
const leaseSecondsMin = 5;

export type WatchRequest = { readonly intervalMs: number; readonly signal: AbortSignal };

export async function watchCluster(context: CliContext, opened: Session, request: WatchRequest): Promise<void> {
  const { intervalMs, signal } = request;
  const watcher = new Watcher(context, opened, intervalMs);
  watcher.tell({ event: "started", message: `watching cluster ${opened.spec.name} every ${intervalMs} ms` });
  try {
    while (!signal.aborted) {
      try {
        for await (const watched of watchStatus(context, watcher.session, request)) await watcher.look(watched, signal);
      } catch (error) {
        if (signal.aborted) break;
        watcher.tellOnce("look", { event: "trouble", message: `cannot look at the cluster: ${errorText(error)}` });
        await context.clock.sleep(intervalMs, signal).catch(() => undefined);
      }
    }
  } finally {
    await watcher.close();
    watcher.tell({ event: "stopped", message: "stopped" });
    await watcher.told();
  }
}

class Watcher {
  session: Session;
  readonly #context: CliContext;
  /** Its plans are looks: they are not reported as those of `haplan plan` are. */
  readonly #quiet: CliContext;
  readonly #intervalMs: number;
  readonly #audit: AuditLog;
  #lease: { readonly endpoints: string; readonly lease: WatcherLease } | null = null;
  #since: ReadonlyMap<string, number> = new Map();
  /** The last message about each subject: one that stays the same is told once. */
  readonly #lastTold = new Map<string, string>();
  /** Findings that have been told and not resolved. */
  #open: ReadonlyMap<string, Finding> = new Map();
  #notifying: Promise<void> = Promise.resolve();

  constructor(context: CliContext, session: Session, intervalMs: number) {
    this.#context = context;
    this.session = session;
    this.#intervalMs = intervalMs;
    const { terminal, clock, invocation, log } = context;
    this.#quiet = { ...context, reporter: new Reporter(terminal, clock, invocation, log) };
    this.#audit = new AuditLog(auditFile(session.directory), context.clock);
  }

  async look({ session, status }: WatchedStatus, signal: AbortSignal): Promise<void> {
    this.session = session;
    const context = this.#context;
    const active = await this.#holdLease(status.members.flatMap(({ clientUrl }) => clientUrl ?? []));
    if (active === "standby" || signal.aborted) return;
    const plan = await this.#plan();
    if (plan === null) return;
    const nowMs = context.clock.now();
    const decision = decideRepair({
      nowMs,
      policy: session.spec.repair ?? null,
      changes: plan.changes,
      // Without the lease another watcher may be at work, or there is no quorum to keep it in.
      quorum: { canLose: active === "active" ? status.canLose : null, hasLeader: status.hasLeader },
      since: this.#since,
      past: this.#audit.repairsSince(nowMs - hourMs),
    });
    this.#since = decision.since;
    this.#tellFindings(decision.findings);
    if (decision.repair !== null && !signal.aborted) await this.#repair(decision.repair);
  }

  async close(): Promise<void> {
    await this.#lease?.lease.close().catch(() => undefined);
    this.#lease = null;
  }

  tell(record: AuditRecord): void {
    const { reporter, terminal } = this.#context;
    const written = this.#audit.append(record);
    if (reporter.json) reporter.event({ type: "watch", ...record });
    else terminal.print(`${terminal.paint.dim(written.time)} ${record.message}`);
    const policy = this.session.spec.repair?.notify;
    const { name } = this.session.spec;
    // In the order of time, and without waiting for it.
    this.#notifying = this.#notifying.then(async () => {
      for (const failure of await notify(policy, name, written)) terminal.printError(`Could not notify: ${failure}`);
    });
  }

  tellOnce(subject: string, record: AuditRecord): void {
    if (this.#lastTold.get(subject) === record.message) return;
    this.#lastTold.set(subject, record.message);
    this.tell(record);
  }

  /** Waits until everything is told. */
  async told(): Promise<void> {
    await this.#notifying;
  }

  /** `unknown`: no member has said which watcher has it. */
  async #holdLease(endpoints: readonly string[]): Promise<"active" | "standby" | "unknown"> {
    try {
      const lease = await this.#leaseAt(endpoints);
      const state = await lease.hold();
      if (state.held) {
        this.tellOnce("lease", { event: "active", message: "this watcher repairs the cluster" });
        return "active";
      }
      const other = state.holder ?? "another watcher";
      this.tellOnce("lease", { event: "standby", message: `${other} watches the cluster: this one waits` });
      return "standby";
    } catch (error) {
      const message = `no member says which watcher repairs the cluster: ${errorText(error)}`;
      this.tellOnce("lease", { event: "trouble", message });
      return "unknown";
    }
  }

  async #leaseAt(endpoints: readonly string[]): Promise<WatcherLease> {
    const wanted = endpoints.toSorted().join();
    if (this.#lease?.endpoints === wanted) return this.#lease.lease;
    const tls = await clientMaterial(this.session);
    await this.close();
    const ttlSeconds = Math.max(leaseSecondsMin, Math.ceil((looksPerLease * this.#intervalMs) / 1000));
    const holder = `${hostname()} (pid ${process.pid})`;
    const lease = this.session.dependencies.openWatcherLease({ endpoints, tls }, { holder, ttlSeconds });
    this.#lease = { endpoints: wanted, lease };
    return lease;
  }

  async #plan(): Promise<Awaited<ReturnType<typeof makePlan>> | null> {
    try {
      const plan = await makePlan(this.#quiet, this.session, { mode: "apply" });
      this.#lastTold.delete("plan");
      return plan;
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      this.tellOnce("plan", { event: "trouble", message: `there is no plan: ${summaryOf(error)}` });
      return null;
    }
  }

  #tellFindings(findings: readonly Finding[]): void {
    const now = new Map(findings.map((finding) => [finding.address as string, finding]));
    for (const finding of findings) {
      const { address, reason, kind, waits } = finding;
      const before = this.#open.get(address);
      if (before?.waits === waits && before.reason === reason) continue;
      const message = `${address}: ${reason}${waits === null ? "" : ` (${waitingText[waits]})`}`;
      this.tell({ event: "finding", message, address, reason, repair: kind, waits });
    }
    for (const [address] of this.#open)
      if (!now.has(address)) this.tell({ event: "resolved", message: `${address} is as the spec says`, address });
    this.#open = now;
  }

  async #repair(repair: Repair): Promise<void> {
    const { address, kind, reason } = repair;
    const about = { address, repair: kind };
    // A repair may take longer than the lease.
    const keeping = setInterval(
      () => void this.#lease?.lease.hold().catch(() => undefined),
      Math.max(1_000, (leaseSecondsMin * 1000) / looksPerLease),
    );
    try {
      await carryOutRepair(this.#context, this.session, repair, (planId) =>
        this.tell({ event: "repair", message: `repairing ${address} (${kind})`, ...about, reason, plan_id: planId }),
      );
      this.#lastTold.delete(address);
      this.tell({ event: "repaired", message: `${address} is repaired`, ...about });
    } catch (error) {
      const code = error instanceof HaplanError ? error.code : null;
      const message = `${address} is not repaired: ${error instanceof RefusalError ? summaryOf(error) : errorText(error)}`;
      this.tellOnce(address, { event: "failed", message, ...about, code });
    } finally {
      clearInterval(keeping);
    }
  }
}

const waitingText: Readonly<Record<NonNullable<Finding["waits"]>, string>> = {
  notARepair: "not a repair: haplan apply would change it",
  notAllowed: "repair: in the spec does not allow it",
  quorumAtStake: "the quorum is at stake: not repaired",
  settling: "not repaired yet: it may settle by itself",
  flapping: "repaired too often within an hour: not repaired",
  queued: "after another repair",
};

function summaryOf({ diagnostics }: RefusalError): string {
  return diagnostics.map(({ summary }) => summary).join("; ");
}
