/** Backups of a cluster of real processes in a bucket that moto keeps: encrypted, in parts, and through a restore. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { emulatedRegion, findEmulator, useEmulator } from "../providers/aws/emulator.ts";
import { startS3Server } from "../support/s3-server.ts";
import { addressOf, buildDir, ClusterFixture, specText, until } from "./cluster-fixture.ts";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);
const without = "missing" in environment ? ` (skipped: ${environment.missing})` : "";
const network = 131;
const bucket = "kept-backups";

describe.skipIf("missing" in environment)(`backups in a bucket${without}`, () => {
  const emulated = useEmulator(environment);
  const plain = specText({ network, tls: false });
  const cluster = new ClusterFixture(plain);
  const endpoint = `http://${addressOf(network, 100)}:2379`;
  let store: S3Client;

  beforeAll(async () => {
    store = new S3Client({ region: emulatedRegion, endpoint: emulated.aws.endpoint, forcePathStyle: true });
    const where = { CreateBucketConfiguration: { LocationConstraint: emulatedRegion } } as const;
    await store.send(new CreateBucketCommand({ Bucket: bucket, ...where }));
    writeFileSync(join(cluster.directory, "backup.key"), "0f".repeat(32));
    const s3 = `s3: { bucket: ${bucket}, region: ${emulatedRegion}, endpoint: "${emulated.aws.endpoint}" }`;
    const rest = "encryption: { keyFile: backup.key }, retention: { count: 2 }";
    cluster.writeSpec(`${plain}  backup: { ${s3}, ${rest} }\n`);
    await cluster.apply();
  }, 300_000);

  afterAll(async () => {
    store?.destroy();
    await cluster.teardown();
  }, 120_000);

  const must = async (...args: string[]): Promise<string> => {
    const run = await cluster.haplan(args);
    if (run.code !== 0) throw new Error(`haplan ${args.join(" ")}: ${run.stdout}\n${run.stderr}`);
    return run.stdout;
  };
  const keys = async (): Promise<readonly string[]> => {
    const { Contents = [] } = await store.send(new ListObjectsV2Command({ Bucket: bucket }));
    return Contents.map(({ Key = "" }) => Key);
  };

  it("come back as they were: more than one part, encrypted, by name", async () => {
    const client = cluster.client(endpoint);
    // Larger than one part of an upload.
    for (let i = 0; i < 12; i++) await client.put(`/large/${i}`, Buffer.alloc(1 << 20, i + 1));
    await client.put("/key", "before");
    const taken = JSON.parse(await must("backup", "-json")) as { path: string; file_bytes: number; encrypted: boolean };
    expect(taken).toMatchObject({ encrypted: true });
    expect(taken.file_bytes).toBeGreaterThan(12 << 20);
    expect(taken.path).toMatch(/^s3:\/\/kept-backups\/haplan\/e2e\/backups\/e2e-.*\.db\.enc$/);
    const uploads = await store.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(uploads.Uploads ?? []).toEqual([]);

    await client.put("/key", "after");
    const name = taken.path.split("/").at(-1)!;
    const listed = JSON.parse(await must("backups", "-json", "-verify")) as { backups: readonly object[] };
    expect(listed.backups).toMatchObject([{ name, path: taken.path, encrypted: true, verified: true, problem: null }]);
    await must("restore", name, "-auto-approve");
    const [kv] = (await cluster.client(endpoint).range("/key")).kvs;
    expect(Buffer.from(decodeKeyValue(kv!).value).toString()).toBe("before");
    // The snapshot of the data that it replaced is there as well.
    expect((await keys()).filter((key) => key.endsWith(".db.enc"))).toHaveLength(2);
  }, 300_000);

  it("are removed beyond the retention, the oldest first", async () => {
    const before = (await keys()).filter((key) => key.endsWith(".db.enc"));
    const { removed } = JSON.parse(await must("backup", "-json")) as { removed: readonly string[] };
    expect(removed).toHaveLength(1);
    expect(before.map((key) => `s3://${bucket}/${key}`)).toContain(removed[0]);
    expect(await keys()).toHaveLength(2 * 3);
  }, 120_000);

  it("are uploaded by the members themselves, and status says so", async () => {
    const credentials = join(cluster.directory, "credentials");
    const keyFile = join(cluster.directory, "backup.key");
    writeFileSync(credentials, "[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n");
    const s3 = `s3: { bucket: ${bucket}, prefix: by-members, region: ${emulatedRegion}, endpoint: "${emulated.aws.endpoint}" }`;
    const schedule = `schedule: { everyMinutes: 1, credentialsFile: ${credentials}, keyFile: ${keyFile} }`;
    cluster.writeSpec(`${plain}  backup: { ${s3}, encryption: { keyFile: backup.key }, ${schedule} }\n`);
    await cluster.apply();
    const listed = async (): Promise<readonly { name: string; created_at: string }[]> =>
      JSON.parse(await must("backups", "-json")).backups.filter(({ path }: { path: string }) => path.startsWith("s3:"));
    await until("a member has uploaded one", async () => (await listed()).length > 0, 150_000);
    const [newest] = await listed();
    expect(newest?.name).toMatch(/^e2e-.*\.db\.enc$/);
    expect(await must("backups", "-verify")).toContain("s3://kept-backups/by-members/e2e/backups/");
    expect(await must("status")).toMatch(/Scheduled backups: m\d took the last one/);
    await must("restore", newest!.name, "-auto-approve");
  }, 300_000);

  it("are not taken into a bucket that there is not", async () => {
    const spec = `${plain}  backup: { s3: { bucket: no-such-bucket, region: ${emulatedRegion}, endpoint: "${emulated.aws.endpoint}" } }\n`;
    cluster.writeSpec(spec);
    const { code, stderr } = await cluster.haplan(["backup"]);
    expect(code).toBe(1);
    expect(stderr.replaceAll(/[\s│]+/g, " ")).toMatch(
      /NoSuchBucket: The specified bucket does not exist \(request id \w+\)/,
    );
  }, 120_000);
});

it("a host uploads backups without a package of the SDK", async () => {
  const directory = mkdtempSync(join(tmpdir(), "haplan-artifact-s3-"));
  await using server = await startS3Server();
  try {
    // As on a host: the programs, and the packages with native code.
    const isCode = (path: string): boolean => !path.endsWith(".map");
    cpSync(join(buildDir, "cmd"), join(directory, "cmd"), { recursive: true, filter: isCode });
    mkdirSync(join(directory, "node_modules"));
    const packages = fileURLToPath(new URL("../../node_modules", import.meta.url));
    for (const name of readdirSync(packages).filter((each) => !/^(\.|@aws-sdk|@smithy|@aws-crypto)/.test(each)))
      symlinkSync(join(packages, name), join(directory, "node_modules", name));
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    writeFileSync(join(directory, "credentials"), "[default]\naws_access_key_id = a\naws_secret_access_key = b\n");
    const words = [
      join(directory, "cmd/haplan-agent/main.js"),
      "backup",
      `--dir=${join(directory, "upload")}`,
      "--cluster=demo",
      "--s3-bucket=kept",
      "--s3-region=eu-central-1",
      `--s3-endpoint=${server.endpoint}`,
      "--s3-path-style",
      `--s3-credentials-file=${join(directory, "credentials")}`,
    ];
    const env = { PATH: process.env["PATH"] ?? "", HOME: directory, AWS_EC2_METADATA_DISABLED: "true" };
    const running = spawn(process.execPath, words, { env, stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    for (const stream of [running.stdout, running.stderr])
      stream.setEncoding("utf8").on("data", (text) => (said += text));
    running.stdin.end(snapshotOfKeys(20));
    const [code] = await once(running, "close");
    expect([code, said]).toEqual([0, expect.stringContaining('"path":"s3://kept/demo/backups/demo-')]);
    expect(server.objects.size).toBe(3);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 60_000);
