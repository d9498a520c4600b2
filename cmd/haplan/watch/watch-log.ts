/** What `haplan watch` says: to the audit log first, then to the terminal, and to what `notify:` names. */
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import type { CliContext } from "../cli-context.ts";
import type { AuditLog, AuditRecord } from "./audit-log.ts";
import type { Finding, Waiting } from "./decide-repair.ts";
import { notify } from "./notify.ts";

export class WatchLog {
  readonly #context: CliContext;
  readonly #audit: AuditLog;
  readonly #spec: () => ClusterSpec;
  /** The last message about each subject: one that stays the same is told once. */
  readonly #lastTold = new Map<string, string>();
  /** Findings that have been told and not resolved. */
  #open: ReadonlyMap<string, Finding> = new Map();
  #notifying: Promise<void> = Promise.resolve();

  /** `spec`: the one that is in force. */
  constructor(context: CliContext, audit: AuditLog, spec: () => ClusterSpec) {
    this.#context = context;
    this.#audit = audit;
    this.#spec = spec;
  }

  tell(record: AuditRecord): void {
    const { reporter, terminal } = this.#context;
    const written = this.#audit.append(record);
    if (reporter.json) reporter.event({ type: "watch", ...record });
    else terminal.print(`${terminal.paint.dim(written.time)} ${record.message}`);
    const { name, repair } = this.#spec();
    // In the order of time, and without waiting for it.
    this.#notifying = this.#notifying.then(async () => {
      for (const failure of await notify(repair?.notify, name, written))
        terminal.printError(`Could not notify: ${failure}`);
    });
  }

  tellOnce(subject: string, record: AuditRecord): void {
    if (this.#lastTold.get(subject) === record.message) return;
    this.#lastTold.set(subject, record.message);
    this.tell(record);
  }

  /** The next message about the subject is told, whatever it is. */
  forget(subject: string): void {
    this.#lastTold.delete(subject);
  }

  /** `areAll`: what is not among them is as the spec says. */
  tellFindings(findings: readonly Finding[], areAll: boolean): void {
    const now = new Map(findings.map((finding) => [finding.address as string, finding]));
    for (const finding of findings) {
      const { address, reason, kind, waits, spares } = finding;
      const before = this.#open.get(address);
      if (before?.waits === waits && before.reason === reason && before.spares?.join() === spares?.join()) continue;
      const message = `${address}: ${reason}${waits === null ? "" : ` (${waitingText[waits]}${sparesText(spares)})`}`;
      const details = spares === undefined ? {} : { spares };
      this.tell({ event: "finding", message, address, reason, repair: kind, waits, ...details });
    }
    if (!areAll) {
      this.#open = new Map([...this.#open, ...now]);
      return;
    }
    for (const [address] of this.#open)
      if (!now.has(address)) this.tell({ event: "resolved", message: `${address} is as the spec says`, address });
    this.#open = now;
  }

  /** Waits until everything is told. */
  async told(): Promise<void> {
    await this.#notifying;
  }
}

function sparesText(spares: readonly string[] | undefined): string {
  if (spares === undefined) return "";
  return spares.length === 0 ? "; the spec has none" : `; ${spares.join("; ")}`;
}

const waitingText: Readonly<Record<Waiting, string>> = {
  notARepair: "not a repair: haplan apply would change it",
  notAllowed: "repair: in the spec does not allow it",
  quorumAtStake: "the quorum is at stake: not repaired",
  settling: "not repaired yet: it may settle by itself",
  flapping: "repaired too often within an hour: not repaired",
  replacementLimit: "as many masters as replacementsPerDay allows were replaced: not replaced",
  noSpare: "no spare host is left: not replaced",
  queued: "after another repair",
};
