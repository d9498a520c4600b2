/**
 * Certificates on hosts: the authority is replaced while a client writes, and no secret is where another user of a host
 * or a reader of its journal could see it.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { filesWithSecrets, keyLines, ProcessListSampler } from "../support/secret-search.ts";
import { ClusterOnHosts } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

/** As another user: command lines, and the environments that it may read, into a file that only root reads later. */
const sample = `mkdir -p /root/seen; cd /root/seen
nohup sh -c 'while [ ! -e stop ]; do
  su daemon -s /bin/sh -c "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null" | tr "\\\\0" " " >> samples; echo >> samples; sleep 0.05
done' > /dev/null 2>&1 &`;

describeHosts("certificates on hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;

  beforeAll(async () => {
    set = await bringUp(5, "complete");
    const [h1, h2, h3, h4, h5] = set.hosts as [TestHost, TestHost, TestHost, TestHost, TestHost];
    cluster = new ClusterOnHosts(set, {
      name: "secret",
      engine: "agent",
      masters: [
        ["m1", h1],
        ["m2", h2],
        ["m3", h3],
      ],
      workers: [["w1", h5]],
      balancer: h4,
      balancerType: "haproxy",
    });
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 120_000);

  const onAll = (script: string): Promise<readonly string[]> =>
    Promise.all(set.hosts.map((host) => cluster.on(host, script)));

  it("replaces the authority without a failed write, and shows no secret to any user of a host", async () => {
    await onAll("rm -rf /root/seen");
    await onAll(sample);
    const here = new ProcessListSampler();
    const printed = [await cluster.run("apply", "-auto-approve", "-json-into=create.jsonl")];
    const pki = join(cluster.directory, ".haplan/secret/pki");
    const secrets = new Set(keyLines(pki));
    const endpoint = await cluster.output("endpoint");
    const pids = (await cluster.status()).members.map(({ pid }) => pid);

    const writer = new PacedWriter(cluster.client(endpoint), "/replaced/", 100);
    printed.push(await cluster.run("certs", "rotate", "-ca", "-out=rotate.plan"));
    printed.push(await cluster.run("apply", "-json-into=rotate.jsonl", "rotate.plan"));
    await writer.stop();
    console.log(`rotate -ca: ${writer.summary()}`);
    expect(writer.failures).toEqual([]);
    for (const line of keyLines(pki)) secrets.add(line);
    printed.push(await cluster.run("certs", "rotate", "-drop-old", "-auto-approve"));
    console.log(printed.at(-1)?.trim().split("\n").slice(-2).join("\n"));
    expect((await cluster.status()).members.map(({ pid }) => pid)).toEqual(pids);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    await here.stop();
    await onAll("touch /root/seen/stop");
    await sleep(500);

    const isSecret = (text: string): boolean =>
      text.includes("PRIVATE KEY") || [...secrets].some((each) => text.includes(each));
    expect(secrets.size).toBe(2 * 7);
    expect([...here.seen].filter(isSecret)).toEqual([]);
    expect(printed.filter(isSecret)).toEqual([]);
    const samples = await onAll("cat /root/seen/samples");
    for (const sampled of samples) expect(sampled).toContain("systemd");
    expect(samples.filter(isSecret)).toEqual([]);
    expect((await onAll("journalctl --no-pager -o cat; cat /var/log/* 2>/dev/null")).filter(isSecret)).toEqual([]);

    // What any user of the host may read.
    const patterns = [...secrets].map((line) => `-e '${line}'`).join(" ");
    const readable = await onAll(
      `cd /; su daemon -s /bin/sh -c "grep -rlsF --devices=skip ${patterns} /etc /opt /var /home /srv /tmp /run /usr/local"`,
    );
    expect(readable.join("")).toBe("");
    const held = await onAll(`grep -rlsF --devices=skip ${patterns} /etc /opt /var /run || true`);
    expect(held.join("\n")).toMatch(/tls\.key/);
    const local = filesWithSecrets(cluster.directory, [...secrets]);
    expect(
      local.filter(
        ({ path, readableByOthers }) => readableByOthers || !/^\.haplan\/secret\/pki\/[a-z0-9.-]+\.key$/.test(path),
      ),
    ).toEqual([]);
  }, 600_000);
});
