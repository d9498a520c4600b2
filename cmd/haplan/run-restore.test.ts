/** `haplan restore` and `haplan backups`: whole command lines, against a world in memory. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inPieces, snapshotBytes, snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { writeBackup } from "../../src/backup/write-backup.ts";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const haplan = (line: string, answers: readonly string[] | null = null): Promise<CliRun> => cli.haplan(line, answers);
const backup = snapshotOfKeys(40);

/** A cluster that was applied, with a backup of it in the working directory. */
async function prepare(fixture: CliFixture = cli): Promise<void> {
  expect((await fixture.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  fixture.world.snapshotBytes = snapshotOfKeys(50);
  fixture.world.destroying = true;
  await writeBackup(inPieces(backup, 4096), {
    path: join(fixture.cwd, "demo.db"),
    secret: null,
    createdAtMs: Date.now() - 3 * 3_600_000,
    origin: () => ({ cluster: "demo", engine: "agent" }),
  });
}

describe("restore", () => {
  it("shows what is lost, and takes only the cluster's name for an answer", async () => {
    await prepare();
    const declined = await haplan("restore demo.db three.yaml", ["yes"]);
    expect(declined.code).toBe(1);
    expect(declined.err).toContain("Restore cancelled.");
    expect(cli.world.acts).toBe(await actsOfApply());
    const { code, out } = await haplan("restore demo.db three.yaml", ["demo"]);
    expect(out).toContain("Restore of demo.db in place of the data of cluster demo");
    expect(out).toContain("revision 41, 40 keys, 0 leases, 0 users; taken 3 hours ago");
    expect(out).toContain("everything written since the backup: 59 revisions, 42 to 100");
    expect(code).toBe(0);
    expect(existsSync(join(cli.cwd, ".haplan/demo/restore"))).toBe(false);
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
    // What it replaced was kept, and can be restored in turn.
    const listed = JSON.parse((await haplan("backups three.yaml -json")).out);
    expect(listed.backups).toMatchObject([{ revision: 51, keys: 50, verified: true }]);
  });

  it.each<[string, () => Buffer | null, RegExp]>([
    ["missing", () => null, /There is no backup bad.db/],
    ["cut", () => backup.subarray(0, -100), /The backup ".*bad.db" is damaged/],
    ["cut by its digest", () => backup.subarray(0, -32), /has no SHA-256 at its end/],
    ["damaged", () => Buffer.concat([backup.subarray(0, 5000), Buffer.from("x"), backup.subarray(5001)]), /is damaged/],
    ["foreign", () => Buffer.from("PK archive"), /is neither a snapshot of etcd nor an encrypted backup/],
    ["too new", () => snapshotBytes({ changes: [], storageVersion: "3.9.0" }), /It was written by etcd 3.9/],
  ])("refuses a file that is %s, and touches nothing", async (_, bytes, said) => {
    await prepare();
    const content = bytes();
    if (content !== null) writeFileSync(join(cli.cwd, "bad.db"), content);
    const before = [cli.world.acts, readdirSync(join(cli.cwd, ".haplan/demo"))];
    const { code, err } = await haplan("restore bad.db three.yaml -auto-approve");
    expect(code).toBe(1);
    expect(err.replaceAll("\n", " ").replaceAll(/\s+│?\s*/g, " ")).toMatch(said);
    expect([cli.world.acts, readdirSync(join(cli.cwd, ".haplan/demo"))]).toEqual(before);
  });

  it("into a new cluster needs no cluster before", async () => {
    await prepare();
    const other = createCliFixture();
    try {
      cpSync(join(cli.cwd, "demo.db"), join(other.cwd, "demo.db"));
      expect((await other.haplan("restore demo.db three.yaml", ["yes"])).code).toBe(0);
      expect((await other.haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
      expect(other.world.violations).toEqual([]);
    } finally {
      other.remove();
    }
  });

  it("that was killed at any moment is completed by the same command, and no other change is made before", async () => {
    await prepare();
    const first = cli.world.acts;
    expect((await haplan("restore demo.db three.yaml -auto-approve")).code).toBe(0);
    const count = cli.world.acts - first;
    expect(count).toBeGreaterThan(10);
    for (let at = 1; at <= count; at++) await killedAt(at);
  }, 60_000);
});

/** A restore dies before act number `at`; then the same command runs again. */
async function killedAt(at: number): Promise<void> {
  const fixture = createCliFixture();
  try {
    await prepare(fixture);
    const { world } = fixture;
    world.killAt = world.acts + at;
    const killed = await fixture.haplan("restore demo.db three.yaml -auto-approve").catch((error: unknown) => error);
    world.killAt = Number.POSITIVE_INFINITY;
    const begun = world.facts.journal.length > 0 || existsSync(join(fixture.cwd, ".haplan/demo/restore/plan.json"));
    const journal = existsSync(join(fixture.cwd, ".haplan/demo/journal.jsonl"));
    if (begun && journal) {
      const other = await fixture.haplan("apply three.yaml -auto-approve");
      if (other.code !== 0) expect(`${at} ${other.err}`).toContain("is not complete");
    }
    const again = await fixture.haplan("restore demo.db three.yaml -auto-approve");
    expect({ at, killed: String(killed), code: again.code, err: again.err }).toMatchObject({ at, code: 0 });
    expect({ at, left: existsSync(join(fixture.cwd, ".haplan/demo/restore")) }).toEqual({ at, left: false });
    expect({ at, violations: world.violations }).toEqual({ at, violations: [] });
    expect({ at, code: (await fixture.haplan("plan three.yaml -detailed-exitcode")).code }).toEqual({ at, code: 0 });
  } finally {
    fixture.remove();
  }
}

async function actsOfApply(): Promise<number> {
  const fixture = createCliFixture();
  try {
    await fixture.haplan("apply three.yaml -auto-approve");
    return fixture.world.acts;
  } finally {
    fixture.remove();
  }
}

describe("backups", () => {
  it("lists what was verified and what was not, and verifies on request", async () => {
    await prepare();
    const directory = join(cli.cwd, ".haplan/demo/snapshots");
    mkdirSync(directory, { recursive: true });
    for (const suffix of ["", ".json", ".sha256"])
      cpSync(join(cli.cwd, `demo.db${suffix}`), join(directory, `demo.db${suffix}`));
    writeFileSync(join(directory, "etcdctl.db"), snapshotOfKeys(3));
    const { code, out } = await haplan("backups three.yaml");
    expect(code).toBe(0);
    expect(out).toMatch(/demo\.db +41 +40 +\d+ kB +3 hours +no +yes/);
    expect(out).toMatch(/etcdctl\.db +- +- +\d+ kB +- +no +no/);
    writeFileSync(join(directory, "cut.db"), backup.subarray(0, -1));
    const checked = await haplan("backups three.yaml -verify -json");
    expect(checked.code).toBe(1);
    const list = JSON.parse(checked.out).backups as {
      name: string;
      keys: number;
      verified: boolean;
      problem: string;
    }[];
    const of = (name: string): object | undefined => list.find((each) => each.name === name);
    expect(of("demo.db")).toMatchObject({ keys: 40, verified: true, problem: null });
    expect(of("etcdctl.db")).toMatchObject({ keys: 3, verified: true, problem: null });
    expect(of("cut.db")).toMatchObject({ verified: false, problem: expect.stringContaining("has no SHA-256") });
  });

  const scheduled = (): string => {
    const text = readFileSync(join(cli.cwd, "three.yaml"), "utf8").trimEnd();
    const schedule = `{ everyMinutes: 60, directory: ${cli.cwd}/of-members }`;
    return `${text}\n  backup: { schedule: ${schedule} }\n`;
  };

  it("lists those that the members take where these are on this machine", async () => {
    await prepare();
    writeFileSync(join(cli.cwd, "three.yaml"), scheduled());
    mkdirSync(join(cli.cwd, "of-members"));
    for (const suffix of ["", ".json", ".sha256"])
      cpSync(join(cli.cwd, `demo.db${suffix}`), join(cli.cwd, `of-members/taken.db${suffix}`));
    const { out } = await haplan("backups three.yaml");
    expect(out).toMatch(/taken\.db +41 +40/);
    expect(out).toContain(`Directory: ${cli.cwd}/of-members`);
    expect((await haplan("restore taken.db three.yaml -auto-approve")).code).toBe(0);
  });

  it("says where those are that the members take on hosts, and how to list them", async () => {
    writeFileSync(join(cli.cwd, "three.yaml"), scheduled());
    cli.openProvider = (_, inMemory) => {
      const { sharesFiles: __, ...model } = inMemory.model;
      return { ...inMemory, model };
    };
    const { out } = await haplan("backups three.yaml");
    expect(out).toContain(`Not looked at: ${cli.cwd}/of-members on m1, m2, m3`);
    expect(out).toContain(`haplan exec -spec=three.yaml -T m2 -- sudo ls -l ${cli.cwd}/of-members`);
    const { scheduled_elsewhere: elsewhere } = JSON.parse((await haplan("backups three.yaml -json")).out);
    expect(elsewhere).toEqual({ directory: `${cli.cwd}/of-members`, masters: ["m1", "m2", "m3"] });
  });

  it("says so when there are none", async () => {
    await haplan("apply three.yaml -auto-approve");
    expect((await haplan("backups three.yaml")).out).toContain('There are no backups of cluster "demo".');
  });
});

describe("backup", () => {
  it("keeps a verified backup, lists it, and removes what the retention no longer keeps", async () => {
    await prepare();
    const spec = "\n  backup: { directory: kept, retention: { count: 2 }, metricsFile: metrics/haplan.prom }\n";
    writeFileSync(join(cli.cwd, "three.yaml"), readFileSync(join(cli.cwd, "three.yaml"), "utf8").trimEnd() + spec);
    for (let i = 0; i < 3; i++) {
      const { code, out } = await haplan("backup three.yaml");
      expect(code).toBe(0);
      expect(out).toContain("revision 51, 50 keys");
    }
    expect(readdirSync(join(cli.cwd, "kept")).filter((name) => name.endsWith(".db"))).toHaveLength(2);
    const metrics = readFileSync(join(cli.cwd, "metrics/haplan.prom"), "utf8");
    expect(metrics).toMatch(/^haplan_backup_keys\{cluster="demo"\} 50$/m);
    const one = JSON.parse((await haplan("backup three.yaml -json -out=one.db")).out);
    expect(one).toMatchObject({ path: join(cli.cwd, "one.db"), revision: 51, keys: 50, verified: true, removed: [] });
  });

  it("needs a cluster", async () => {
    const { code, err } = await haplan("backup three.yaml");
    expect(code).toBe(1);
    expect(err).toContain("The cluster has not been applied yet");
  });
});
