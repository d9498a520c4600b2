/** A cluster that `haplan watch` watches, as processes of their own, and what its audit log says. */
import { writeFileSync } from "node:fs";
import { ClusterFixture, until } from "./cluster-fixture.ts";
import type { RunningProgram } from "./run-program.ts";
import { type AuditLine, auditFileOf, auditOf } from "./watch-audit.ts";

export class WatchedCluster extends ClusterFixture {
  readonly #watchers: RunningProgram[] = [];

  startWatch(): RunningProgram {
    const watcher = this.start(["watch", "-interval=500ms"], { timeoutMs: 300_000 });
    this.#watchers.push(watcher);
    return watcher;
  }

  async startActiveWatch(): Promise<RunningProgram> {
    const watcher = this.startWatch();
    await until("it is active", () => watcher.printed().includes("this watcher repairs the cluster"), 30_000);
    return watcher;
  }

  async stopWatchers(): Promise<void> {
    for (const watcher of this.#watchers.splice(0)) {
      watcher.signal("SIGINT");
      await watcher.end;
    }
  }

  /** Lines of the audit log: of one event, and of one resource or all. */
  events(event: string, address?: string): readonly AuditLine[] {
    return auditOf(this, event, address);
  }

  /** Replaces what the watchers before have repaired. */
  writeAudit(lines: readonly object[] = []): void {
    writeFileSync(auditFileOf(this), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  async pidOf(name: string): Promise<number> {
    const { members } = await this.status();
    return members.find((member) => member.name === name && member.healthy)!.pid!;
  }

  async isWhole(): Promise<boolean> {
    const { members } = await this.status();
    return members.length === 3 && members.every(({ healthy }) => healthy);
  }

  async planCode(): Promise<number | null> {
    return (await this.haplan(["plan", "-detailed-exitcode"])).code;
  }
}
