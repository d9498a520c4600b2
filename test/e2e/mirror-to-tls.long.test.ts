/** The way from a cluster without TLS to one with it, as docs/certificates.md tells it: its own lines are run here. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { findEtcdProgram } from "../compatibility/etcd-programs.ts";
import { ClusterFixture, until } from "./cluster-fixture.ts";
import { isInstalled, type RunningProgram, startProgram } from "./run-program.ts";

const page = readFileSync(new URL("../../docs/certificates.md", import.meta.url), "utf8");
const programs = ["3.4", "3.5", "3.6", "3.7"] as const;

/** The page's lines, with the addresses and the programs of here. */
function mirrorLines(from: string, destination: string, etcdctl: string): string {
  const [, block] = /```sh\n(\s+eval "\$\(haplan output new.yaml[^`]*)```/.exec(page) ?? [];
  expect(block, "the lines in docs/certificates.md").toContain("etcdctl make-mirror");
  return block!
    .replace("$(haplan output new.yaml -raw env)", "$HAPLAN_ENV")
    .replace("http://OLD:2379", from)
    .replace("NEW:2379", destination.replace("https://", ""))
    .replace("env -u", "exec env -u")
    .replace("etcdctl make-mirror", `${etcdctl} make-mirror`);
}

describe("from a cluster without TLS to one with it", () => {
  const from = new ClusterFixture({ network: 67, tls: false });
  const to = new ClusterFixture({ network: 68 });
  beforeAll(async () => {
    await Promise.all([from.apply(), to.apply()]);
  }, 120_000);
  afterAll(() => Promise.all([from.teardown(), to.teardown()]), 120_000);

  it.for(programs)(
    "T7: the mirror of etcdctl %s copies what is there and what comes",
    { timeout: 90_000 },
    async (version, { skip }) => {
      const [source, destination] = await Promise.all([from.output("endpoint"), to.output("endpoint")]);
      const built = version === "3.4" ? { path: "etcdctl" } : await findEtcdProgram(version, "etcdctl");
      if ("missing" in built) return skip(built.missing);
      if (!isInstalled(built.path, "version")) return skip("etcdctl is not installed");
      const [old, new_] = [from.client(source), to.client(destination)];
      for (let at = 0; at < 200; at += 1) await old.put(`${version}/${at}`, `value ${at}`);
      const running: RunningProgram = startProgram("bash", ["-c", mirrorLines(source, destination, built.path)], {
        cwd: to.directory,
        env: { HAPLAN_ENV: await to.output("env") },
        timeoutMs: 60_000,
      });
      let ended: unknown;
      void running.end.then((end) => (ended = end));
      const copied = async (): Promise<readonly string[]> => {
        if (ended !== undefined) throw new Error(`the mirror has ended: ${JSON.stringify(ended)}`);
        const { kvs } = await new_.range(`${version}/`, { rangeEnd: Buffer.from(`${version}0`) });
        return kvs.map(decodeKeyValue).map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`);
      };
      await until("the base is copied", async () => (await copied()).length === 200);
      await old.put(`${version}/late`, "later");
      await old.deleteRange(`${version}/0`);
      await until("the changes are copied", async () => {
        const keys = await copied();
        return keys.includes(`${version}/late=later`) && !keys.includes(`${version}/0=value 0`);
      });
      running.signal("SIGINT");
      await running.end;
    },
  );
});
