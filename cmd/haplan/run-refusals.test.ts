/**
 * Refusals of haplan: plans that are stale for any reason, a state or a journal that it cannot trust, a full disk. Each
 * reports what is wrong and what to do, changes nothing, and exits with 1. The texts are in testdata/refusals.txt, for
 * review.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
});
afterEach(() => cli.remove());

const stateFile = ".haplan/demo/state.json";
const journalFile = ".haplan/demo/journal.jsonl";
const readText = (name: string): string => readFileSync(join(cli.cwd, name), "utf8");
const edit = (name: string, change: (text: string) => string): void =>
  writeFileSync(join(cli.cwd, name), change(readText(name)));
const members = (): { id: string; learner: boolean }[] => cli.world.facts.members;

/** All files of haplan except the lock and the record of the newest plan, and the cluster. */
function everything(): string {
  const files = readdirSync(join(cli.cwd, ".haplan/demo"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith("lock") && entry.name !== "newest-plan.json")
    .map(({ parentPath, name }) => `${name} ${readFileSync(join(parentPath, name), "base64")}`);
  const { machines, members: known, certificates } = cli.world.facts;
  const world = JSON.stringify([[...machines.keys()], known, [...certificates]]);
  return createHash("sha256").update(files.sort().join("\n")).update(world).digest("hex");
}

/** By title: a retried test writes the same text again. */
const texts = new Map<string, string>();
/** Expects a refusal that changes nothing; keeps its text under the title. */
async function expectRefused(title: string | null, line: string): Promise<string> {
  const before = everything();
  const { code, out, err } = await cli.haplan(line);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(everything()).toBe(before);
  expect(err).not.toContain("bug");
  if (title !== null) keep(title, line, err);
  return err;
}

/** Joins lines that were wrapped because of the length of the directory's name. */
function keep(title: string, line: string, err: string): void {
  const steady = (err.includes(cli.cwd) ? joined(err) : err)
    .replaceAll(cli.cwd, "DIRECTORY")
    // The length of a plan changes with each attribute that plans show.
    .replace(/(the JSON ends at line) \d+, column \d+/g, "$1 N, column N")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID")
    // The position of a truncation depends on the length of the file.
    .replace(/ends at line \d+, column \d+/, "ends at line N, column N")
    .replace(/Plan: saved.plan \([0-9a-f]{12}\)/, "Plan: saved.plan (DIGEST)");
  texts.set(title, `# ${title}\n$ haplan ${line}\n${steady}\n`);
}

const joined = (text: string): string => text.replace(/(?<=^│ .*)\n│ (?=\S)/gm, " ");

async function savePlan(): Promise<void> {
  cli.world.facts.machines.delete("w1");
  expect((await cli.haplan("plan three.yaml -out saved.plan")).code).toBe(0);
}

describe("a saved plan", () => {
  beforeEach(savePlan);
  const pushed = (changes: (state: { serial: number; lineage: string }) => object) => async (): Promise<void> => {
    const state = JSON.parse(readText(stateFile)) as { serial: number; lineage: string };
    writeFileSync(join(cli.cwd, "pushed.json"), JSON.stringify({ ...state, ...changes(state) }));
    expect((await cli.haplan("state push -force pushed.json")).code).toBe(0);
  };
  const moves: readonly (readonly [string, () => Promise<void> | void])[] = [
    ["the spec was edited", () => edit("three.yaml", (text) => `${text}# a comment\n`)],
    ["the state has another lineage", pushed(({ serial }) => ({ serial, lineage: "another-life" }))],
    ["the state has another serial", pushed(({ serial }) => ({ serial: serial + 7 }))],
    ["haplan is another version", () => void (cli.version = "9.9.10")],
    ["another cluster answers", () => void (cli.world.clusterId = "cluster-2")],
    ["a member is another one", () => void (members()[2]!.id = "id-of-another")],
    ["a voter was made a learner", () => void (members()[2]!.learner = true)],
    ["the membership moved and moved back", () => void (cli.world.facts.configurationIndex += 4)],
    ["no member answers any more", () => void (cli.world.facts.members = [])],
  ];

  it.each(moves)("is stale if %s, reports that, and changes nothing", async (title, move) => {
    await move();
    await expectRefused(`A saved plan: ${title}`, "apply saved.plan");
  });

  it("is stale once it was applied", async () => {
    expect((await cli.haplan("apply saved.plan")).code).toBe(0);
    await expectRefused("A saved plan: it was applied already", "apply saved.plan");
  });

  it("is refused if it is truncated or edited", async () => {
    const whole = readText("saved.plan");
    edit("saved.plan", (text) => text.slice(0, text.length / 2));
    await expectRefused("A saved plan: its file is cut off", "apply saved.plan");
    edit("saved.plan", () => whole.replace("127.0.1.2", "127.0.1.4"));
    await expectRefused("A saved plan: its file was edited", "apply saved.plan");
    edit("saved.plan", () => whole.replace('"version": 1', '"version": 2'));
    await expectRefused("A saved plan: its file is of a newer format", "apply saved.plan");
  });
});

describe("an untrusted state", () => {
  const damages: readonly (readonly [string, (text: string) => string])[] = [
    ["it is empty", () => ""],
    ["it is truncated", (text) => text.slice(0, text.length / 2)],
    ["a value has the wrong type", (text) => text.replace(/"serial": \d+/, '"serial": "many"')],
    ["it is of a newer version", (text) => text.replace('"version": 1', '"version": 2')],
  ];

  it.each(damages)("is left unchanged by every command: %s", async (title, damage) => {
    await savePlan();
    edit(stateFile, damage);
    const said = await expectRefused(`The state: ${title}`, "plan three.yaml");
    for (const line of [
      "apply three.yaml -auto-approve",
      "apply saved.plan",
      "destroy three.yaml -auto-approve",
      "state list",
      "state rm haplan_worker.w1",
    ]) {
      // The same text, whatever the command.
      expect(await expectRefused(null, line)).toContain(said.slice(said.indexOf("╷")));
    }
    expect((await cli.haplan(`state push -force ${stateFile}.backup`)).code).toBe(0);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  });
});

describe("a journal", () => {
  /** An interrupted apply that has left its journal. */
  async function interrupt(): Promise<void> {
    cli.world.facts.machines.delete("w1");
    cli.world.failing = (act) => (act === "startUnit w1" ? "no memory left" : null);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(1);
    cli.world.failing = () => null;
  }

  it("resumes after a truncation of the last line, at any byte", async () => {
    await interrupt();
    const whole = readText(journalFile);
    const lastLine = whole.lastIndexOf("\n", whole.length - 2) + 1;
    for (const length of [lastLine, lastLine + 1, lastLine + 40, whole.length - 1]) {
      cli.world.facts.machines.delete("w1");
      writeFileSync(join(cli.cwd, journalFile), whole.slice(0, length));
      expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    }
    expect(cli.world.violations).toEqual([]);
  });

  it("is refused if damaged anywhere else, and nothing is lost", async () => {
    await interrupt();
    const whole = readText(journalFile);
    edit(journalFile, (text) => text.replace("intent", "INTENT"));
    await expectRefused("The journal: a line is damaged", "apply -auto-approve three.yaml");
    edit(journalFile, () => whole.slice(whole.indexOf("\n") + 1));
    await expectRefused("The journal: a line is missing", "apply -auto-approve three.yaml");
    edit(journalFile, () => whole);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  });
});

const small = mountSmallDisk();
afterAll(() => small?.remove());

/** A file system of 512 KiB; null if it cannot be created. */
function mountSmallDisk(): { readonly directory: string; remove(): void } | null {
  const directory = mkdtempSync(join(tmpdir(), "haplan-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", directory]).status === 0;
  const remove = (): void => {
    if (mounted) execFileSync("umount", ["-l", directory]);
    rmSync(directory, { recursive: true, force: true });
  };
  if (mounted) return { directory, remove };
  remove();
  return null;
}

describe.skipIf(small === null)(
  `a full disk${small === null ? " (skipped: only root can mount a small one)" : ""}`,
  () => {
    const { directory } = small ?? { directory: "" };
    const filler = join(directory, "filler");
    beforeEach(async () => {
      cli.remove();
      cli = createCliFixture(join(directory, "work"));
    });
    afterEach(() => rmSync(filler, { force: true }));

    /** Leaves space for this many pages. */
    function fill(pagesLeft: number): void {
      rmSync(filler, { force: true });
      const { bavail, bsize } = statfsSync(directory);
      writeFileSync(filler, Buffer.alloc(Math.max(0, (bavail - pagesLeft) * bsize)));
    }

    it("fails plan -out, which leaves no partial plan", async () => {
      fill(0);
      const { code, err } = await cli.haplan("plan three.yaml -out saved.plan");
      expect(code).toBe(1);
      expect(err).toContain("Cannot save the plan to saved.plan");
      expect(readdirSync(cli.cwd).filter((name) => name.includes("saved"))).toEqual([]);
      keep("A full disk: plan -out", "plan three.yaml -out saved.plan", err);
    });

    it("stops an apply wherever it fills up, and the next one resumes once there is space", async () => {
      const said = new Set<string>();
      let finished = false;
      for (let pages = 0; !finished; pages += 1) {
        fill(pages);
        const { code, err } = await cli.haplan("apply three.yaml -auto-approve");
        finished = code === 0;
        if (finished) break;
        expect(joined(err), `${pages} pages left`).toContain("no space left on device");
        expect(err).not.toMatch(/has a bug|damaged/);
        const kind = /Error: (.*)/.exec(err)?.[1] ?? "";
        // The step at which it stops depends on sizes of files.
        if (!said.has(kind) && !kind.startsWith("Step failed"))
          keep(`A full disk: ${kind}`, "apply three.yaml -auto-approve", err);
        said.add(kind);
        // Written files stay readable, and every second time the apply resumes from where it stopped.
        rmSync(filler, { force: true });
        expect((await cli.haplan("plan three.yaml")).code).toBe(0);
        if (pages % 2 === 0) continue;
        expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
        expect((await cli.haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
        expect(cli.world.violations).toEqual([]);
        cli.remove();
        cli = createCliFixture(join(directory, "work"));
      }
      expect(said.size).toBeGreaterThan(1);
    });
  },
);

it("the texts match testdata/refusals.txt", async () => {
  // Without the small disk, its texts are taken from the file.
  const path = join(import.meta.dirname, "testdata/refusals.txt");
  const known = existsSync(path) ? readFileSync(path, "utf8") : "";
  const disk = small === null ? [known.slice(known.indexOf("# A full disk"))] : [];
  await expect([...texts.values(), ...disk].join("\n")).toMatchFileSnapshot(path);
});
