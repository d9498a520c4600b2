/** Apply on a real terminal: its question, its live view, and Ctrl-C as the kernel delivers it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { buildDir, ClusterFixture } from "./cluster-fixture.ts";
import { ctrlC, PseudoTerminal } from "./pseudo-terminal.ts";

const missing = spawnSync("script", ["--version"]).status !== 0;
const cluster = new ClusterFixture({ network: 32, workers: 1, tls: false });
afterAll(() => cluster.teardown());

const open = (...args: string[]): PseudoTerminal =>
  new PseudoTerminal([process.execPath, join(buildDir, "cmd/haplan/main.js"), ...args], cluster.directory);

async function expectSoundState(): Promise<void> {
  const path = join(cluster.directory, ".haplan/e2e/state.json");
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ version: 1, clusterName: "e2e" });
  expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(2);
}

describe.skipIf(missing)(
  `apply at a terminal${missing ? " (skipped: script of util-linux is not installed)" : ""}`,
  () => {
    it("takes Ctrl-C at its question for a no", async () => {
      const terminal = open("apply");
      await terminal.shows("Enter a value:");
      terminal.type(ctrlC);
      expect(await terminal.end()).toBe(1);
      expect(terminal.screen).toContain("Apply cancelled.");
      expect(cluster.processes()).toEqual([]);
    });

    it("ends what is under way at the first Ctrl-C and says how to go on", async () => {
      const terminal = open("apply");
      await terminal.shows("Enter a value:");
      terminal.type("yes\n");
      await terminal.shows("start agent m1 ...");
      terminal.type(ctrlC);
      expect(await terminal.end()).toBe(1);
      expect(terminal.screen).toContain("Stopping after the running steps; repeat to stop at once.");
      expect(terminal.screen).toMatch(/Interrupted by the user[\s\S]*haplan apply\s/);
      await expectSoundState();
    });

    it("leaves at once at the second, says how to go on, and goes on when run again", async () => {
      const terminal = open("apply", "-auto-approve");
      await terminal.shows(/(start load balancer|start worker w1|are healthy) \.\.\./);
      // Both at once: the first alone may end it before a second one comes. The kernel may make one signal of two.
      terminal.type(ctrlC + ctrlC);
      expect(await terminal.end()).toBe(1);
      expect(terminal.screen).toMatch(
        /Stopped at once\. To resume, run the same command again\.|Interrupted by the user/,
      );
      await expectSoundState();
      const again = open("apply", "-auto-approve");
      expect(await again.end()).toBe(0);
      expect(again.screen).toContain("Apply complete!");
      expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
      // One process for each unit: nothing was started twice.
      expect(cluster.processes()).toHaveLength(3 + 1 + 1);
    });

    it("shows what is going on, and leaves the screen clean behind it", async () => {
      cluster.writeSpec({ network: 32, workers: 1, tls: false, masters: 5 });
      const terminal = open("apply", "-auto-approve");
      expect(await terminal.end()).toBe(0);
      const { screen } = terminal;
      expect(screen).toMatch(/█+.*░+/);
      expect(screen).toMatch(/\d+\/\d+ steps, \d+\.\ds/);
      expect(screen).toMatch(/●●●.* can lose 1/);
      // What was painted last was taken away, the cursor was never hidden, and colors were put back.
      const painted = screen.lastIndexOf("steps, ");
      expect(screen.slice(painted)).toContain("\x1b[2K");
      expect(screen).not.toContain("\x1b[?25l");
      expect(screen.endsWith("\n")).toBe(true);
      expect(screen.slice(screen.lastIndexOf("\x1b["))).not.toContain("\x1b[3");
    });
  },
);
