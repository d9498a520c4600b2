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
