/**
 * `haplan ui` in a real Chromium: a script of clicks and keys on a running cluster that elects, grows and loses its quorum.
 * With HAPLAN_TEST_SCREENSHOTS=1 it writes the pictures of docs/images.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Chromium, chromiumProgram } from "../support/chromium.ts";
import { ClusterFixture, kill, killAndWait, specText, until } from "./cluster-fixture.ts";
import type { RunningProgram } from "./run-program.ts";

const network = 43;
const images = fileURLToPath(new URL("../../docs/images", import.meta.url));
const withScreenshots = process.env["HAPLAN_TEST_SCREENSHOTS"] !== undefined;

/** Members make the directory within it. */
const backups = mkdtempSync(join(tmpdir(), "haplan-backups-"));

let cluster: ClusterFixture;
let browser: Chromium;
let ui: RunningProgram;
let url: string;

async function picture(name: string): Promise<void> {
  if (!withScreenshots) return;
  mkdirSync(images, { recursive: true });
  await browser.screenshot(join(images, `${name}.png`));
}

/** Members take a backup each minute. */
function specOf(masters: number): string {
  const schedule = `{ everyMinutes: 1, directory: ${join(backups, "taken")} }`;
  return `${specText({ network, masters, workers: 1 })}  backup: { schedule: ${schedule} }\n`;
}

/** Scrolls to a part of the page as its link in the navigation does. */
async function show(part: string): Promise<void> {
  await browser.evaluate(`document.getElementById(${JSON.stringify(part)}).scrollIntoView()`);
}

function hasText(selector: string, text: string): string {
  return `document.querySelector(${JSON.stringify(selector)})?.textContent.includes(${JSON.stringify(text)})`;
}

if (chromiumProgram === null) console.warn("The page is not tested: there is no chromium (apt-get install chromium)");

/** A machine that does more than this waits longer. */
const timeout = 90_000;

describe.skipIf(chromiumProgram === null)("haplan ui in Chromium", { timeout }, () => {
  beforeAll(async () => {
    cluster = new ClusterFixture(specOf(3));
    const [started] = await Promise.all([Chromium.start(chromiumProgram!), cluster.apply()]);
    browser = started;
    await cluster.mustRun("backup");
    ui = cluster.start(["ui", "-interval=250ms"], { timeoutMs: 300_000 });
    url = await until("the page is served", () => /http:\S+/.exec(ui.printed())?.[0] ?? false);
    await browser.resize(1200, 900);
    await browser.preferColors("light");
    await browser.open(url);
    await browser.until(hasText("#quorum-sentence", "Survives 1 more failure."));
  }, timeout);
  afterAll(async () => {
    ui?.signal("SIGINT");
    await ui?.end;
    await cluster?.teardown();
    await browser?.close();
    rmSync(backups, { recursive: true, force: true });
  }, timeout);

  it("shows members, quorum, access and timeline, each with a heading and a name", async () => {
    const rows = await browser.evaluate<string[]>(
      "[...document.querySelectorAll('#member-rows tr')].map((row) => row.innerText)",
    );
    expect(rows).toHaveLength(3);
    expect(rows.filter((row) => /\bleader\b/.test(row))).toHaveLength(1);
    expect(rows[0]).toMatch(/^m1\s+(leader|follower)\s+\d+\s+\d+\s+0\s+\d+ kB\s+[\d.]+ ms\s+3\.6\.\d+/);
    await browser.until(hasText("#timeline-items", "is the leader in term"));
    await browser.until(hasText("#workers", "reporting"));
    expect(await browser.text("#certificates")).toMatch(/admin\s+valid\s+364 days/);
    expect(await browser.text("#backups")).toMatch(/verified/);
    const names = await browser.accessibleNames();
    expect(names).toEqual(
      expect.arrayContaining([
        "heading: haplan e2e",
        "heading: Quorum",
        "heading: Members",
        "navigation: Parts of the page",
        "columnheader: Latency",
        "rowheader: m2",
        "button: Compute the plan",
        expect.stringMatching(/^image: Voters: m1: (leader|follower), m2: (leader|follower), m3: /),
      ]),
    );
    await picture("ui-overview");
  });

  it("says unreachable of what runs on machines that are, and takes it back", async () => {
    const labels = ["w1", "load-balancer"].map((name) =>
      join(cluster.directory, ".haplan/e2e/machines", name, "machine.json"),
    );
    const before = labels.map((file) => readFileSync(file, "utf8"));
    for (const file of labels) writeFileSync(file, "{");
    await browser.until(hasText("#workers", "unreachable, reporting"));
    await browser.until(hasText("#balancer", "unreachable"));
    expect(await browser.text("#notices")).toMatch(/Machine w1 is unreachable: /);
    expect(await browser.text("#balancer")).not.toContain("not running");
    for (const [at, file] of labels.entries()) writeFileSync(file, before[at]!);
    await browser.until(`!${hasText("#balancer", "unreachable")}`);
    await browser.until(`!${hasText("#notices", "unreachable")}`);
  });

  it("answers what would be left, by the keyboard alone, and keeps the focus as it looks again", async () => {
    await browser.evaluate("document.querySelector('nav a:last-child').focus()");
    await browser.press("Tab");
    expect(await browser.evaluate("document.activeElement.dataset.member")).toBe("m1");
    await browser.press(" ");
    expect(await browser.text("#assume-result")).toBe(
      "Without m1: 2 of 3 voters, quorum 2: writes continue, and 0 more may fail.",
    );
    await browser.press("Tab");
    await browser.press("Enter");
    expect(await browser.text("#assume-result")).toBe("Without m1, m2: 1 of 3 voters, quorum 2: writes stop.");
    const seen = await browser.text("#connection-text");
    await browser.until(`document.getElementById("connection-text").innerText !== ${JSON.stringify(seen)}`);
    expect(await browser.evaluate("document.activeElement.dataset.member")).toBe("m2");
    await picture("ui-what-if");
    await browser.press(" ");
    await browser.click("#assume-buttons button[data-member=m1]");
    expect(await browser.text("#assume-result")).toBe("Choose voters to see what would be left.");
  });

  it("follows a failover, and announces it to screen readers", async () => {
    const leader = await cluster.leader();
    await killAndWait(leader.pid);
    await browser.until(hasText("#quorum-sentence", "no further voter may fail"));
    await browser.until(
      `[...document.querySelectorAll("#member-rows [data-role=leader]")].some((row) => row.dataset.member && row.dataset.member !== "${leader.name}")`,
    );
    // Its process may have run when it was looked at, and its member not have answered.
    await browser.until(
      `/${leader.name} is (stopped|unreachable)/.test(document.querySelector("#announcements").textContent)`,
    );
    await browser.until(hasText("#timeline-items", "can lose 0 (was 1)"));
    expect(
      await browser.evaluate(`getComputedStyle(document.querySelector("tr[data-member=${leader.name}] .role")).color`),
    ).toBe("rgb(179, 21, 31)");
    await picture("ui-failover");
    await cluster.apply();
    await browser.until(hasText("#quorum-sentence", "Survives 1 more failure."));
  });

  it("computes a plan on a click, beside its quorum timeline, and follows its apply from 3 to 5", async () => {
    cluster.writeSpec(specOf(5));
    await browser.click("#plan-compute");
    await browser.until(hasText("#plan-status", "to add"));
    expect(await browser.text("#plan-status")).toMatch(
      /^Computed at .*: \d+ to add, \d+ to change, 0 to destroy, in \d+ steps\./,
    );
    expect(await browser.text(".changes")).toContain("haplan_raft_member.m5");
    expect(await browser.text(".plan-quorum")).toMatch(/●●●●●\s+5/);
    await show("plan");
    await picture("ui-plan");
    const applied = cluster.apply();
    await browser.until("document.querySelectorAll('#member-rows tr[data-role=learner]').length > 0");
    await browser.until(hasText("#quorum-sentence", "Survives 2 more failures."));
    await applied;
    await browser.until(hasText("#plan-status", "The cluster has changed since: compute it again."));
    await browser.until(hasText("#timeline-items", "m5 became a voter"));
    await browser.until(hasText("#timeline-items", "is complete"));
    await show("quorum");
    await picture("ui-five");
    await show("timeline");
    await browser.click("#filters input[value=Elections]");
    expect(await browser.text("#timeline-items")).not.toContain("is the leader in term");
    await browser.click("#filters input[value=Elections]");
    await picture("ui-timeline");
  });

  it("shows how the last backup of the schedule ended", async () => {
    // The members take one a minute, and their logs are read twice.
    await browser.until(hasText("#timeline-items", "took a backup"), timeout);
    expect(await browser.text("#backups")).toMatch(/^schedule\s+taken\s+m\d, /);
  });

  it("follows a lost quorum, and its return", async () => {
    await show("quorum");
    const { members } = await cluster.status();
    for (const { pid } of members.slice(0, 3)) kill(pid!, "SIGKILL");
    await browser.until(hasText("#quorum-sentence", "Quorum lost"));
    expect(await browser.text("#failures")).toContain("There is no quorum.");
    expect(await browser.text("#summary")).toBe("no quorum");
    await browser.until(hasText("#timeline-items", "quorum lost: "));
    await picture("ui-quorum-lost");
    await cluster.apply();
    await browser.until(hasText("#quorum-sentence", "Survives 2 more failures."));
    await browser.preferColors("dark");
    await picture("ui-dark");
    await browser.preferColors("light");
  });

  it("has asked no server but its own, and nothing was blocked or failed", () => {
    const foreign = browser.requests.filter((each) => !each.startsWith(url) && each !== "about:blank");
    expect(foreign).toEqual([]);
    expect(browser.requests.length).toBeGreaterThan(8);
    expect(browser.complaints).toEqual([]);
  });

  it("says that haplan does not answer once that has ended", async () => {
    ui.signal("SIGINT");
    expect((await ui.end).code).toBe(0);
    await browser.until(hasText("#connection-text", "does not answer"));
  });
});
