/** The loop of `haplan watch`: looks, decides, and repairs one thing at a time, until it is stopped. */
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import type { State } from "../../../src/plan/state.ts";
import type { CliContext } from "../cli-context.ts";
import { makePlan } from "../make-plan.ts";
import { RefusalError } from "../refusal.ts";
import { Reporter } from "../reporter.ts";
import type { Session } from "../session.ts";
import { type WatchedStatus, watchStatus } from "../watch-status.ts";
import { AuditLog, auditFile } from "./audit-log.ts";
import { carryOutRepair } from "./carry-out-repair.ts";
import { decideRepair, type Repair, type WatchedMaster } from "./decide-repair.ts";
import { HeldLease } from "./held-lease.ts";
import { RunningRepair } from "./running-repair.ts";
import { WatchLog } from "./watch-log.ts";
import { watchedMasters } from "./watched-masters.ts";

const dayMs = 24 * 3_600_000;
/** A reason may have the end of a log. */
const reasonMax = 500;

export type WatchRequest = { readonly intervalMs: number; readonly signal: AbortSignal };

export async function watchCluster(context: CliContext, opened: Session, request: WatchRequest): Promise<void> {
  const { intervalMs, signal } = request;
  const watcher = new Watcher(context, opened, intervalMs);
  const { log } = watcher;
  log.tell({ event: "started", message: `watching cluster ${opened.spec.name} every ${intervalMs} ms` });
  try {
    while (!signal.aborted) {
      try {
        for await (const watched of watchStatus(context, watcher.session, request)) await watcher.look(watched, signal);
      } catch (error) {
        if (signal.aborted) break;
        log.tellOnce("look", { event: "trouble", message: `cannot look at the cluster: ${errorText(error)}` });
        await context.clock.sleep(intervalMs, signal).catch(() => undefined);
      }
    }
  } finally {
    await watcher.close();
    log.tell({ event: "stopped", message: "stopped" });
    await log.told();
  }
}

class Watcher {
  session: Session;
  readonly log: WatchLog;
  readonly #context: CliContext;
  /** Its plans are looks: they are not reported as those of `haplan plan` are. */
  readonly #quiet: CliContext;
  readonly #audit: AuditLog;
  readonly #lease: HeldLease;
  #running: RunningRepair | null = null;
  /** What ended a repair without an end in the audit log, which could not be written. */
  #fault: unknown = null;
  #since: ReadonlyMap<string, number> = new Map();

  constructor(context: CliContext, session: Session, intervalMs: number) {
    this.#context = context;
    this.session = session;
    const { terminal, clock, invocation, log } = context;
    this.#quiet = { ...context, reporter: new Reporter(terminal, clock, invocation, log) };
    this.#audit = new AuditLog(auditFile(session.directory), clock);
    this.log = new WatchLog(context, this.#audit, () => this.session.spec);
    this.#lease = new HeldLease(this.log, intervalMs);
  }

  async look({ session, status, membership, state }: WatchedStatus, signal: AbortSignal): Promise<void> {
    this.session = session;
    const { spec } = session;
    if (this.#fault !== null) {
      const fault = this.#fault;
      this.#fault = null;
      throw fault;
    }
    if (this.#running !== null) {
      this.#running.yieldTo(watchedMasters(spec, membership));
      return;
    }
    const endpoints = status.members.flatMap(({ clientUrl }) => clientUrl ?? []);
    const leadership = await this.#lease.hold(session, endpoints);
    if (leadership === "standby" || signal.aborted) return;
    const plan = await this.#plan();
    const nowMs = this.#context.clock.now();
    const masters = watchedMasters(spec, membership, plan?.drift);
    const decision = decideRepair({
      nowMs,
      policy: spec.repair ?? null,
      changes: plan?.changes ?? null,
      masters,
      occupied: occupiedAddresses(state),
      // Without the lease another watcher may be at work, or there is no quorum to keep it in.
      quorum: { canLose: leadership === "active" ? status.canLose : null, hasLeader: status.hasLeader },
      since: this.#since,
      past: this.#audit.repairsSince(nowMs - dayMs),
    });
    this.#since = plan === null ? new Map([...this.#since, ...decision.since]) : decision.since;
    this.log.tellFindings(decision.findings, plan !== null);
    if (decision.repair !== null && !signal.aborted) this.#begin(decision.repair, masters);
  }

  /** Lets a repair that is under way finish. */
  async close(): Promise<void> {
    await this.#running?.ended;
    await this.#lease.close();
  }

  async #plan(): Promise<Awaited<ReturnType<typeof makePlan>> | null> {
    try {
      const plan = await makePlan(this.#quiet, this.session, { mode: "apply" });
      this.log.forget("plan");
      return plan;
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      this.log.tellOnce("plan", { event: "trouble", message: `there is no plan: ${summaryOf(error)}` });
      return null;
    }
  }

  #begin(repair: Repair, masters: readonly WatchedMaster[]): void {
    this.#running = new RunningRepair(this.#context, repair, masters, async (own) => {
      await this.#lease
        .during(() => this.#repair(own, repair))
        .catch((fault: unknown) => {
          this.#fault = fault;
        });
      this.#running = null;
    });
  }

  async #repair(own: CliContext, repair: Repair): Promise<void> {
    const { address, kind, reason, spareName } = repair;
    const about = { address, repair: kind, ...(spareName === undefined ? {} : { spare: spareName }) };
    const how = spareName === undefined ? kind : `${kind} by ${spareName}`;
    let begun: { readonly plan_id?: string } = {};
    try {
      await carryOutRepair(own, this.session, repair, (planId) => {
        begun = { plan_id: planId };
        this.log.tell({ event: "repair", message: `repairing ${address} (${how})`, ...about, ...begun, reason });
      });
      this.log.forget(address);
      this.log.tell({ event: "repaired", message: `${address} is repaired`, ...about, ...begun });
    } catch (error) {
      const code = error instanceof HaplanError ? error.code : codeOf(error);
      const why = error instanceof RefusalError ? reasonOf(error) : errorText(error);
      const message = `${address} is not repaired: ${why}`;
      // Each one that was begun has its end in the log.
      if (begun.plan_id !== undefined) this.log.forget(address);
      this.log.tellOnce(address, { event: "failed", message, ...about, ...begun, code });
    }
  }
}

/** Of hosts on which the state has a machine, also one that was replaced. */
function occupiedAddresses(state: State | null): ReadonlyMap<string, string> {
  const machines = (state?.resources ?? []).filter(({ type }) => type === "haplan_machine");
  return new Map(machines.map(({ name, attributes }) => [String(attributes["address"]), name]));
}

function codeOf(error: unknown): string | null {
  return error instanceof RefusalError ? (error.diagnostics[0]?.code ?? null) : null;
}

/** Of a step that failed, the summary has no reason: the first paragraph of the detail is it. */
function reasonOf(error: RefusalError): string {
  const [only, ...others] = error.diagnostics;
  const reason = others.length > 0 ? "" : (only?.detail?.split("\n\n")[0] ?? "").replaceAll(/\s+/g, " ");
  if (reason === "") return summaryOf(error);
  return `${summaryOf(error)}: ${reason.length > reasonMax ? `${reason.slice(0, reasonMax)}...` : reason}`;
}

function summaryOf({ diagnostics }: RefusalError): string {
  return diagnostics.map(({ summary }) => summary).join("; ");
}
