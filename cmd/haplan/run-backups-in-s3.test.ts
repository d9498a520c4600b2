/** Backups in a bucket: whole command lines, against a world in memory and a store behind HTTP; the SDK is the real one. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { emulatedEnvironment, withEnvironment } from "../../test/providers/aws/emulator.ts";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";
import { type S3Call, type S3Fault, type S3Server, startS3Server } from "../../test/support/s3-server.ts";

let cli: CliFixture;
let server: S3Server;
let restoreEnvironment: () => void;
beforeAll(async () => {
  restoreEnvironment = withEnvironment(emulatedEnvironment);
  server = await startS3Server();
  cli = createCliFixture();
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  cli.world.destroying = true;
  writeFileSync(join(cli.cwd, "backup.key"), `${"0f".repeat(32)}\n`);
});
afterAll(async () => {
  restoreEnvironment();
  cli.remove();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  server.reset();
  cli.world.snapshotBytes = snapshotOfKeys(50);
  rmSync(join(cli.cwd, ".haplan/demo/snapshots"), { recursive: true, force: true });
});

const haplan = (line: string, answers: readonly string[] | null = null): Promise<CliRun> => cli.haplan(line, answers);
const json = async <Document>(line: string): Promise<Document> => JSON.parse((await haplan(line)).out);

/** Adds to the spec's `backup`, and to the spec. */
function specWith(backup = "", rest = ""): void {
  const plain = readFileSync(join(cli.cwd, "three.yaml"), "utf8").split("\n  backup:")[0]!;
  const s3 = `s3: { bucket: ${server.bucket}, region: eu-central-1, endpoint: "${server.endpoint}" }`;
  writeFileSync(join(cli.cwd, "three.yaml"), `${plain.trimEnd()}\n  backup: { ${s3}${backup} }\n${rest}`);
}

const encrypted = ", encryption: { keyFile: backup.key }";
const prefix = "haplan/demo/backups/";
const keys = (): readonly string[] => [...server.objects.keys()].sort();
/** Files of the cluster on this machine that are not there without backups. */
const here = (): readonly string[] => [
  ...readdirSync(join(cli.cwd, ".haplan/demo")).filter((name) => /^(download|restore)/.test(name)),
  ...(existsSync(join(cli.cwd, ".haplan/demo/snapshots")) ? readdirSync(join(cli.cwd, ".haplan/demo/snapshots")) : []),
];
const oneLine = (text: string): string => text.replaceAll(/[\s│╷╵]+/g, " ");

describe("backups in a bucket", () => {
  it.each([
    ["plain", "", ".db"],
    ["encrypted", encrypted, ".db.enc"],
  ])("are taken, listed, verified and restored, by name or by URL: %s", async (_, settings, extension) => {
    specWith(settings);
    const taken = await haplan("backup three.yaml");
    expect(taken.err).toBe("Spec: three.yaml");
    expect(taken.code).toBe(0);
    const [key = ""] = keys();
    const name = key.slice(prefix.length);
    expect(keys()).toEqual([key, `${key}.json`, `${key}.sha256`]);
    expect(name).toMatch(new RegExp(`^demo-20.*Z\\${extension}$`));
    expect(taken.out).toContain(`Backup saved: s3://kept/${key}`);
    expect(server.objects.get(key)!.includes("key-49")).toBe(settings === "");
    expect(here()).toEqual([]);

    const listed = await haplan("backups three.yaml");
    expect(listed.out).toMatch(new RegExp(`${name} +51 +50 +\\d+ kB +.* ${settings === "" ? "no" : "yes"} +yes`));
    expect(listed.out).toContain("Bucket: s3://kept/haplan/demo/backups/");
    const { bucket, backups } = await json<{ bucket: string; backups: object }>("backups three.yaml -json -verify");
    expect(bucket).toBe("s3://kept/haplan/demo/backups/");
    expect(backups).toMatchObject([{ name, path: `s3://kept/${key}`, keys: 50, verified: true, problem: null }]);

    cli.world.snapshotBytes = snapshotOfKeys(60);
    const given = settings === "" ? name : `s3://kept/${key}`;
    const restored = await haplan(`restore ${given} three.yaml`, ["demo"]);
    expect(restored.err).toBe("Spec: three.yaml");
    expect(restored.out).toContain(`Restore of ${name} in place of the data of cluster demo`);
    expect(restored.out).toContain("revision 51, 50 keys");
    expect(restored.code).toBe(0);
    // What the restore replaced is in the bucket as well.
    const after = await json<{ backups: readonly { keys: number }[] }>("backups three.yaml -json");
    expect(after.backups.map((each) => each.keys)).toEqual([60, 50]);
    expect(here()).toEqual([]);
  });

  it("that are beyond the retention are removed, and nothing else", async () => {
    specWith(", retention: { count: 2 }");
    const other =
      '{"kind":"haplan.backup","version":1,"cluster":"other","createdAt":"2020-01-01T00:00:00Z","fileBytes":1,"revision":1}';
    const foreign = {
      [`${prefix}a.db`]: "x",
      [`${prefix}a.db.json`]: other,
      [`${prefix}b.db`]: "y",
      [`${prefix}c`]: "z",
    };
    for (const [key, text] of Object.entries({
      ...foreign,
      "haplan/demo/state.json": "{}",
      "haplan/demo2/backups/d.db": "",
    }))
      server.objects.set(key, Buffer.from(text));
    server.pageKeys = 3;
    const before = keys();
    for (let i = 0; i < 3; i++) expect((await haplan("backup three.yaml")).code).toBe(0);
    const own = keys().filter((key) => !before.includes(key));
    expect(own).toHaveLength(2 * 3);
    expect(keys()).toEqual([...before, ...own].sort());
    const shown = await json<{ removed: readonly string[] }>("backup three.yaml -json");
    expect(shown.removed).toEqual([`s3://kept/${own[0]}`]);
    // Another cluster's is not shown, and one that says nothing of itself is not taken for verified.
    expect((await haplan("backups three.yaml")).out).not.toContain(" a.db");
    expect((await haplan("backups three.yaml")).out).toMatch(/b\.db +- +- +1 kB +- +no +no/);
  });

  it("say that a backup was saved where older ones cannot be removed", async () => {
    specWith(", retention: { count: 1 }");
    await haplan("backup three.yaml");
    server.fault = ({ action }) =>
      action === "DeleteObject" ? { status: 403, code: "AccessDenied", message: "Access Denied" } : undefined;
    const { code, err } = await haplan("backup three.yaml");
    expect(code).toBe(1);
    expect(oneLine(err)).toMatch(
      /The backup was saved, but older ones were not removed Saved: s3:\/\/kept\/haplan.* AccessDenied/,
    );
    expect(keys()).toHaveLength(6);
  });

  it("of members are listed with the others, and their agents have the bucket and no directory", async () => {
    const taken = ", schedule: { everyMinutes: 60, credentialsFile: /etc/haplan/credentials }";
    specWith(taken);
    const plan = await haplan("plan three.yaml");
    expect(plan.out).toContain("haplan_agent.m1");
    expect(plan.code).toBe(0);
    const listed = await json<{ scheduled_elsewhere: object | null; bucket: string }>("backups three.yaml -json");
    expect(listed).toMatchObject({ scheduled_elsewhere: null, bucket: "s3://kept/haplan/demo/backups/" });
  });

  it("leave a file that -out names alone", async () => {
    specWith();
    expect((await haplan("backup three.yaml -out=one.db")).out).toContain(join(cli.cwd, "one.db"));
    expect(server.calls).toEqual([]);
  });

  it("F1: are written over a former one that -out names, and over no other file", async () => {
    specWith();
    for (let i = 0; i < 2; i++) expect((await haplan("backup three.yaml -out=one.db")).code).toBe(0);
    const before = readFileSync(join(cli.cwd, "three.yaml"), "utf8");
    for (const taken of ["three.yaml", "/dev/null"]) {
      const { code, err } = await haplan(`backup three.yaml -out=${taken}`);
      expect([code, err]).toEqual([1, expect.stringContaining(`${taken} exists, and is not a backup`)]);
    }
    expect(readFileSync(join(cli.cwd, "three.yaml"), "utf8")).toBe(before);
  });
});

const denied: S3Fault = { status: 403, code: "AccessDenied", message: "Access Denied" };
const skewed: S3Fault = { status: 403, code: "RequestTimeTooSkewed", message: "The difference is too large" };
const during =
  (action: string, fault: S3Fault) =>
  (call: S3Call): S3Fault | undefined =>
    call.action === action ? fault : undefined;

describe("a command that the store does not serve says why, and touches nothing", () => {
  it.each<[string, string, S3Server["fault"], RegExp]>([
    [
      "backup: no permission",
      "backup three.yaml",
      during("PutObject", denied),
      /Cannot upload the backup to s3:\/\/kept\/haplan.* AccessDenied: Access Denied \(request id REQ1\) The credentials lack a permission/,
    ],
    [
      "backup: no permission to compare",
      "backup three.yaml",
      during("HeadObject", denied),
      /Cannot upload .* HTTP 403 \(request id REQ1\) The credentials lack a permission/,
    ],
    [
      "backup: clock",
      "backup three.yaml",
      during("PutObject", skewed),
      /RequestTimeTooSkewed: The difference is too large \(request id REQ1\) The clock of this machine is wrong/,
    ],
    [
      "backup: cut connection",
      "backup three.yaml",
      during("PutObject", "cut"),
      /Cannot upload .*(ECONNRESET|socket hang up).* The connection was refused or cut/,
    ],
    [
      "backup: lost answer",
      "backup three.yaml",
      during("PutObject", "lost"),
      /Cannot upload .*(ECONNRESET|socket hang up)/,
    ],
    [
      "backups: no permission",
      "backups three.yaml",
      during("ListObjectsV2", denied),
      /Cannot list the backups in s3:\/\/kept\/haplan\/demo\/backups\/ AccessDenied/,
    ],
    [
      "restore: no permission",
      "restore x.db three.yaml -auto-approve",
      during("GetObject", denied),
      /Cannot download the backup s3:\/\/kept\/haplan\/demo\/backups\/x\.db AccessDenied/,
    ],
  ])("%s", async (_, words, fault, said) => {
    specWith();
    server.fault = fault;
    const acts = cli.world.acts;
    const { code, err } = await haplan(words);
    expect(code).toBe(1);
    expect(oneLine(err)).toMatch(said);
    expect(oneLine(err)).toContain("Nothing was changed.");
    expect([keys(), here().filter((name) => name !== "demo"), cli.world.acts]).toEqual([[], [], acts]);
  });

  it.each<[string, string, RegExp]>([
    [
      "another bucket",
      "bucket: none",
      /NoSuchBucket: The specified bucket does not exist \(request id REQ1\) haplan creates no buckets/,
    ],
    [
      "no store",
      "port",
      /ECONNREFUSED.* The connection was refused or cut: check the network, `spec.backup.s3.region` and `spec.backup.s3.endpoint`/,
    ],
  ])("%s", async (_, changed, said) => {
    specWith();
    const path = join(cli.cwd, "three.yaml");
    const text = readFileSync(path, "utf8");
    const refused = text.replace(server.endpoint, "http://127.0.0.1:9");
    writeFileSync(path, changed === "port" ? refused : text.replace("bucket: kept", changed));
    for (const words of ["backup three.yaml", "backups three.yaml", "restore x.db three.yaml -auto-approve"]) {
      const { code, err } = await haplan(words);
      expect([words, code]).toEqual([words, 1]);
      expect(oneLine(err)).toMatch(said);
    }
    expect([keys(), here()]).toEqual([[], []]);
  });

  it("without credentials", async () => {
    specWith();
    const back = withEnvironment({ ...emulatedEnvironment, AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" });
    const { code, err } = await haplan("backups three.yaml");
    back();
    expect(code).toBe(1);
    expect(oneLine(err)).toMatch(/CredentialsProviderError: .* haplan uses the credentials that the AWS CLI uses/);
  });
});

describe("a restore from a bucket", () => {
  it.each<[string, () => void, RegExp]>([
    [
      "is damaged",
      () => change((bytes) => bytes.fill("x", 5000, 5001)),
      /The backup "s3:\/\/kept\/haplan\/demo\/backups\/demo-.*\.db" is damaged/,
    ],
    ["was cut", () => change((bytes) => bytes.subarray(0, -100)), /The backup "s3:.* is damaged/],
    ["is none", () => change(() => Buffer.from("PK archive")), /is neither a snapshot of etcd nor an encrypted backup/],
    [
      "is missing",
      () => server.objects.clear(),
      /There is no backup demo-.* Neither a file nor an object of s3:\/\/kept\/haplan\/demo\/backups\/ has this name/,
    ],
    [
      "is cut on its way",
      () => void (server.cutDownloadsAfter = 3000),
      /Cannot download the backup s3:.*(aborted|ECONNRESET|cut after 3000)/,
    ],
  ])("refuses an object that %s, and touches nothing", async (_, spoil, said) => {
    specWith();
    await haplan("backup three.yaml");
    const name = keys()[0]!.slice(prefix.length);
    spoil();
    const acts = cli.world.acts;
    const { code, err } = await haplan(`restore ${name} three.yaml -auto-approve`);
    expect(code).toBe(1);
    expect(oneLine(err)).toMatch(said);
    expect([cli.world.acts, here()]).toEqual([acts, []]);
  });

  it("that has begun is completed without the bucket", async () => {
    specWith();
    await haplan("backup three.yaml");
    const name = keys()[0]!.slice(prefix.length);
    const { world } = cli;
    world.killAt = world.acts + 6;
    await haplan(`restore ${name} three.yaml -auto-approve`).catch(() => undefined);
    world.killAt = Number.POSITIVE_INFINITY;
    server.objects.clear();
    server.calls.length = 0;
    expect((await haplan(`restore ${name} three.yaml -auto-approve`)).err).toContain("Resuming the restore");
    expect(server.calls.filter(({ action }) => action === "GetObject")).toEqual([]);
  });
});

function change(to: (bytes: Buffer) => Buffer): void {
  const [key = ""] = keys();
  server.objects.set(key, to(server.objects.get(key)!));
}

describe("the snapshot before a membership change", () => {
  const required = "  policy: { backupBeforeMembershipChange: true }\n";
  const replace = "apply three.yaml -auto-approve -replace=haplan_machine.m3";

  it("is in the bucket, encrypted", async () => {
    specWith(encrypted, required);
    const { code, err } = await haplan(replace);
    expect(err).toBe("Spec: three.yaml");
    expect(code).toBe(0);
    expect(keys().map((key) => key.split("Z").at(-1))).toEqual([".db.enc", ".db.enc.json", ".db.enc.sha256"]);
    expect(here()).toEqual([]);
  });

  it("that is required and cannot be uploaded stops the change, and stays here", async () => {
    specWith("", required);
    server.fault = during("PutObject", denied);
    const { code, err } = await haplan(replace);
    expect(code).toBe(1);
    expect(oneLine(err)).toMatch(
      /AccessDenied.*policy.backupBeforeMembershipChange requires one, so the membership is not changed/,
    );
    expect(here()).toHaveLength(3);
    server.fault = () => undefined;
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
  });

  it("that a restore takes stays here if it cannot be uploaded", async () => {
    specWith();
    await haplan("backup three.yaml");
    const name = keys()[0]!.slice(prefix.length);
    server.fault = during("PutObject", denied);
    const { code, out, err } = await haplan(`restore ${name} three.yaml -auto-approve`);
    expect(code).toBe(0);
    expect(oneLine(out + err)).toMatch(/The snapshot stays in .*\/snapshots\/.*\.db.* AccessDenied/);
    expect(here()).toHaveLength(3);
  });
});
