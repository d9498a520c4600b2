import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startWatchdog } from "./systemd-watchdog.ts";

describe("the notices to systemd's watchdog", () => {
  let directory: string;
  let stop: () => void;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-watchdog-"));
    stop = () => {};
  });
  afterEach(() => {
    stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = (environment: Record<string, string>, script: string): string[] => {
    // Stands in for systemd's tool.
    writeFileSync(join(directory, "systemd-notify"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(directory, "systemd-notify"), 0o755);
    const problems: string[] = [];
    stop = startWatchdog({ PATH: `${directory}:/bin:/usr/bin`, ...environment }, (text) => problems.push(text));
    return problems;
  };
  const unit = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "90000" };
  const told = (): string[] =>
    existsSync(join(directory, "told")) ? readFileSync(join(directory, "told"), "utf8").trim().split("\n") : [];

  it("are sent again and again", async () => {
    const problems = start(unit, `echo "$NOTIFY_SOCKET $*" >> ${join(directory, "told")}`);
    await vi.waitFor(() => expect(told().length).toBeGreaterThan(2));
    expect(new Set(told())).toEqual(new Set(["/run/notify WATCHDOG=1"]));
    expect(problems).toEqual([]);
  });

  it("go on when the shell that sends them ends, which is told", async () => {
    const problems = start(unit, `echo sent >> ${join(directory, "told")}; kill -KILL $PPID`);
    await vi.waitFor(() => expect(told().length).toBeGreaterThan(1));
    expect(problems[0]).toBe("cannot tell systemd's watchdog that the member runs: the shell that tells it has ended");
  });

  it.each([{}, { NOTIFY_SOCKET: "/run/notify" }, { WATCHDOG_USEC: "90000" }])("are not sent in %j", async (given) => {
    start(given as Record<string, string>, `echo sent >> ${join(directory, "told")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(told()).toEqual([]);
  });
});
