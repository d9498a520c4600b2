import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { notifySystemd } from "./notify-systemd.ts";

describe("the notification of systemd", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-notify-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** A substitute for systemd's tool. */
  const tool = (script: string): void => {
    writeFileSync(join(directory, "systemd-notify"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(directory, "systemd-notify"), 0o755);
  };
  const notify = (environment: Record<string, string>): string[] => {
    const problems: string[] = [];
    notifySystemd({ PATH: `${directory}:/bin:/usr/bin`, ...environment }, (text) => problems.push(text));
    return problems;
  };
  const unit = { NOTIFY_SOCKET: "/run/notify" };

  it("names this process, and is sent only in units", async () => {
    tool(`echo "$NOTIFY_SOCKET $*" >> ${join(directory, "told")}`);
    notify({});
    const problems = notify(unit);
    await vi.waitFor(() => expect(readFileSync(join(directory, "told"), "utf8")).toMatch(/\n$/));
    expect(readFileSync(join(directory, "told"), "utf8")).toBe(`/run/notify --ready --pid=${process.pid}\n`);
    expect(problems).toEqual([]);
  });

  it.each([
    ["exit 3", "systemd-notify exited with code 3"],
    ["kill -KILL $$", "systemd-notify was killed by SIGKILL"],
  ])("is reported if it fails: %s", async (script, problem) => {
    tool(script);
    const problems = notify(unit);
    await vi.waitFor(() => expect(problems).toEqual([`cannot notify systemd that the member serves: ${problem}`]));
  });

  it("is reported if the tool is missing", async () => {
    const problems = notify({ ...unit, PATH: join(directory, "none") });
    await vi.waitFor(() => expect(problems).toHaveLength(1));
    expect(problems[0]).toMatch(/^cannot notify systemd that the member serves: .*ENOENT/);
  });
});
