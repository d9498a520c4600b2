/** Acceptance 10 of bare metal, on this machine: no secret is where another user or a reader of logs could see it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { filesWithSecrets, keyLines, ProcessListSampler } from "../support/secret-search.ts";
import { ClusterFixture, specText } from "./cluster-fixture.ts";

const passphrase = "correct-horse-battery-staple-71";
const env = { HAPLAN_STATE_PASSPHRASE: passphrase, HAPLAN_LOG: "TRACE", HAPLAN_LOG_PATH: "haplan.log" };
let cluster: ClusterFixture;
const pki = (): string => join(cluster.directory, ".haplan", cluster.name, "pki");

async function haplan(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.start(args, { env, timeoutMs: 120_000 }).end;
  expect(code, stdout + stderr).toBe(0);
  return stdout + stderr;
}

beforeAll(() => {
  const text = specText({ network: 71, workers: 1, loadBalancer: "haproxy" });
  cluster = new ClusterFixture(
    text.replace(
      "  controlPlane:\n",
      "  state: { encryption: { passphraseEnv: HAPLAN_STATE_PASSPHRASE } }\n  controlPlane:\n",
    ),
  );
});
afterAll(async () => {
  await cluster.start(["destroy", "-auto-approve"], { env, timeoutMs: 60_000 }).end;
  await cluster.teardown();
}, 90_000);

it("no private key and no passphrase is in a process list, an output, a log, a plan, an event or a file of others", async () => {
  const sampler = new ProcessListSampler();
  const printed = [
    await haplan("plan", "-out=create.plan"),
    await haplan("apply", "-json-into=create.jsonl", "create.plan"),
  ];
  const secrets = new Set([passphrase, ...keyLines(pki())]);
  printed.push(await haplan("certs", "rotate", "-ca", "-out=rotate.plan"));
  printed.push(await haplan("apply", "-json-into=rotate.jsonl", "rotate.plan"));
  for (const line of keyLines(pki())) secrets.add(line);
  printed.push(await haplan("certs", "rotate", "-drop-old", "-auto-approve"));
  printed.push(
    await haplan("show", "-json", "rotate.plan"),
    await haplan("show", "-json"),
    await haplan("state", "pull"),
  );
  printed.push(await haplan("certs", "status", "-json"), await haplan("status"));
  await sampler.stop();

  const isSecret = (text: string): boolean =>
    text.includes("PRIVATE KEY") || [...secrets].some((each) => text.includes(each));
  // All keys before and after: of two authorities, three masters, load balancer, worker and admin.
  expect(secrets.size).toBe(1 + 2 * 7);
  expect(sampler.samples).toBeGreaterThan(20);
  expect([...sampler.seen].some((line) => line.includes("haplan-agent"))).toBe(true);
  expect([...sampler.seen].filter(isSecret)).toEqual([]);
  expect(printed.filter(isSecret)).toEqual([]);
  expect(readFileSync(join(cluster.directory, "haplan.log"), "utf8")).toContain("authority");
  const files = filesWithSecrets(cluster.directory, [...secrets]);
  const own =
    /^\.haplan\/e2e\/(?:pki\/[a-z0-9.-]+\.key|machines\/[a-z0-9-]+\/units\/[a-z-]+\/files\/tls\/tls\.(?:key|pem))$/;
  expect(files.filter(({ path, readableByOthers }) => readableByOthers || !own.test(path))).toEqual([]);
  expect(files.length).toBeGreaterThan(10);
}, 240_000);
