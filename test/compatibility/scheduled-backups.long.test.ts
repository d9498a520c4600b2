/** Backups that members take by themselves, with an interval far below what a spec allows. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listBackups } from "../../src/backup/backup-dir.ts";
import { verifyBackup } from "../../src/backup/open-backup.ts";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { startS3Server } from "../support/s3-server.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.59.1";
const keyText = "0123456789abcdef".repeat(4);

describe("backups that members take by themselves", { timeout: 60_000 }, () => {
  let directory: string;
  let cluster: ClusterProcesses | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-scheduled-"));
  });
  afterEach(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const backups = (): string => join(directory, "backups");
  const start = async (...flags: string[]): Promise<ClusterProcesses> => {
    const given = ["--backup-interval=1s", `--backup-dir=${backups()}`, "--backup-cluster=demo", ...flags];
    cluster = await startCluster("agent", host, { members: 3, flags: given });
    return cluster;
  };
  const metricsOf = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();
  const leaderOf = async ({ urls }: ClusterProcesses): Promise<number> => {
    const pages = await Promise.all(urls.map(metricsOf));
    return pages.findIndex((page) => page.includes("\netcd_server_is_leader 1\n"));
  };

  it("come from followers, are whole, are removed by count, and go on without one of the members", async () => {
    const members = await start("--backup-retention-count=3");
    const client = new EtcdClient(connect({ endpoints: [...members.urls] }));
    try {
      await client.put("/kept", "value");
      const withKey = (): number => listBackups(backups()).filter(({ manifest }) => manifest?.keys === 1).length;
      await until("three backups have the key", () => withKey() >= 3);
      const [newest] = listBackups(backups());
      expect(await verifyBackup(newest!.path, async () => null)).toMatchObject({ keys: 1, encrypted: false });
      expect(newest!.manifest).toMatchObject({ cluster: "demo", engine: "agent" });

      const leader = await leaderOf(members);
      const pages = await Promise.all(members.urls.map(metricsOf));
      expect(pages[leader]).not.toContain("haplan_backup_keys{");
      const taken = pages.filter((page) => page.includes('haplan_backup_keys{cluster="demo"} 1'));
      expect(taken.length).toBeGreaterThan(0);

      await members.kill((leader + 1) % 3);
      const at = Date.now();
      const since = (): number =>
        listBackups(backups()).filter(({ manifest }) => Date.parse(manifest?.createdAt ?? "") > at + 1_000).length;
      await until("the other follower takes all of them", () => since() >= 2);
      expect(readdirSync(backups()).filter((name) => name.endsWith(".db")).length).toBeLessThanOrEqual(4);
    } finally {
      await client.grpc.close();
    }
  });

  it("are encrypted with the key of a file", async () => {
    const keyFile = join(directory, "backup.key");
    writeFileSync(keyFile, `${keyText}\n`);
    await start(`--backup-key-file=${keyFile}`);
    await until("there is one", () => listBackups(backups()).length > 0);
    const [newest] = listBackups(backups());
    expect(newest!.path).toMatch(/\.db\.enc$/);
    const secret = { kind: "key", key: Buffer.from(keyText, "hex") } as const;
    expect(await verifyBackup(newest!.path, async () => secret)).toMatchObject({ encrypted: true });
  });

  it("are uploaded to a bucket, encrypted, by each member with the credentials of a file", async () => {
    await using store = await startS3Server();
    const [keyFile, credentials] = [join(directory, "backup.key"), join(directory, "credentials")];
    writeFileSync(keyFile, `${keyText}\n`);
    writeFileSync(credentials, "[default]\naws_access_key_id = id\naws_secret_access_key = secret\n");
    const access = [
      "--backup-s3-region=eu-central-1",
      `--backup-s3-endpoint=${store.endpoint}`,
      "--backup-s3-path-style",
    ];
    const flags = [
      "--backup-interval=2s",
      "--backup-cluster=demo",
      `--backup-key-file=${keyFile}`,
      "--backup-retention-count=2",
      "--backup-s3-bucket=kept",
      "--backup-s3-prefix=haplan",
      `--backup-s3-credentials-file=${credentials}`,
      ...access,
    ];
    const members = await startCluster("agent", host, { members: 3, flags });
    cluster = members;
    const uploaded = (): readonly string[] => [...store.objects.keys()].filter((key) => key.endsWith(".db.enc.json"));
    const removed = (): boolean => store.calls.some(({ action }) => action === "DeleteObject");
    await until("older ones were removed", () => uploaded().length >= 2 && removed());
    // The newest one: older ones are removed meanwhile.
    const key = uploaded().toSorted().at(-1) ?? "";
    expect(key).toMatch(/^haplan\/demo\/backups\/demo-.*\.db\.enc\.json$/);
    const path = join(directory, "fetched.db.enc");
    const bytes = store.objects.get(key.replace(/\.json$/, ""));
    writeFileSync(path, bytes!);
    const secret = { kind: "key", key: Buffer.from(keyText, "hex") } as const;
    expect(await verifyBackup(path, async () => secret)).toMatchObject({ encrypted: true });

    const ofMember = async (member: number): Promise<string> => metricsOf(members.urls[member]!);
    const taken = async (): Promise<number> =>
      (await Promise.all([0, 1, 2].map(ofMember))).findIndex((page) =>
        page.includes('haplan_backup_keys{cluster="demo"}'),
      );
    const member = await taken();
    expect(member).toBeGreaterThanOrEqual(0);
    // What it knows of its last one is there once it starts again; nothing but that is left on its disk.
    store.fault = ({ action }) =>
      action === "PutObject" ? { status: 403, code: "AccessDenied", message: "Access Denied" } : undefined;
    await members.kill(member);
    await members.restart(member);
    expect(await ofMember(member)).toContain('haplan_backup_timestamp_seconds{cluster="demo"}');
    const failed = async (): Promise<boolean> =>
      (await Promise.all([0, 1, 2].map(ofMember))).some((page) =>
        /haplan_backup_failures_total\{cluster="demo"\} [1-9]/.test(page),
      );
    await until("one has failed", failed);
    store.reset();
    await until("one came through again", () => uploaded().length > 0);
    await members.terminate(member);
    // One that it was writing is removed by its next backup.
    const left = readdirSync(join(members.dataDir(member), "backup-upload")).filter((name) => !name.endsWith(".tmp"));
    expect(left).toEqual(["last.json"]);
  });

  it("that fail are counted, and the members serve on", async () => {
    writeFileSync(backups(), "a file where the directory should be");
    const members = await start();
    const failures = async (): Promise<boolean> => {
      const pages = await Promise.all(members.urls.map(metricsOf));
      return pages.some((page) => /haplan_backup_failures_total\{cluster="demo"\} [1-9]/.test(page));
    };
    await until("one has failed", failures);
    const client = new EtcdClient(connect({ endpoints: [...members.urls] }));
    await client.put("/served", "value");
    await client.grpc.close();
  });
});
