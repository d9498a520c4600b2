/**
 * A real etcd with TLS on hosts is replaced by agents on the same hosts, at other ports, behind two load balancers with a virtual
 * address, and the way back, while clients write; also with one of these lost after the switch. All over ssh.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type ClusterEnd, openClusterEnd } from "../../src/migrate/cluster-end.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { type AcknowledgedWrite, AcknowledgingWriter, missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { ClusterOnHosts, contentsOf, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { network } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { powerOff, powerOn, type TestHost } from "./test-host.ts";

const vip = `10.97.${network}.100`;
const endpoint = `https://${vip}:2579`;
const certificates = "/etc/old-etcd";
const clientsCount = 4;
const pauseMs = 17;
/** Clients wait for up to ten seconds where haplan is killed. */
const clientTimeoutMs = 20_000;
const dieAtMoment = fileURLToPath(new URL("../e2e/die-at-moment.mjs", import.meta.url));
const types = ["embedded", "haproxy"] as const;
/** Of CI, which takes the types in turn. */
const part = process.env["HAPLAN_TEST_HOSTS_PART"];

describeHosts("a migration on hosts", () => {
  let set: HostSet;
  let masters: readonly TestHost[];
  let cluster: ClusterOnHosts;
  const ends: ClusterEnd[] = [];

  beforeAll(async () => {
    set = await bringUp(4, "complete");
    masters = set.hosts.slice(0, 3);
  }, 900_000);
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end.close()));
    await cluster?.teardown();
    const undo = `systemctl disable --now etcd; rm -rf /var/lib/etcd/default ${certificates} /etc/default/etcd`;
    await Promise.all(masters.map((host) => runOnTestHost(set, host, undo)));
  }, 120_000);
  afterAll(async () => {
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 120_000);

  const oldUrls = (): readonly string[] => masters.map(({ ipv4 }) => `https://${ipv4}:2379`);

  function specText(type: string, balancers: readonly string[]): string {
    const line = ({ ipv4, hostKey }: TestHost, at: number): string =>
      `      - { name: m${at + 1}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }\n`;
    return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: moved
spec:
  provider: { type: ssh, user: admin, identityFile: ${set.keyFile} }
  controlPlane:
    clientPort: 2479
    peerPort: 2480
    tls: { enabled: true, authority: { caFile: ca/ca.crt, keyFile: ca/ca.key } }
    migrateFrom:
      endpoints: ${JSON.stringify(oldUrls())}
      tls: { caFile: ca/ca.crt, certFile: ca/admin.crt, keyFile: ca/admin.key }
    masters:
${masters.map(line).join("")}  loadBalancer: { type: ${type}, vip: ${vip}, hosts: [${balancers.join()}], ports: [2579] }
`;
  }

  const pem = (name: string): string => readFileSync(join(cluster.directory, "ca", name), "utf8");

  function open(endpoints: readonly string[]): ClusterEnd {
    const tls = { caPem: pem("ca.crt"), certificatePem: pem("admin.crt"), keyPem: pem("admin.key") };
    const end = openClusterEnd({ endpoints, tls, user: null });
    ends.push(end);
    return end;
  }

  /** As the package's own unit is configured. */
  async function startOld(): Promise<void> {
    const directory = join(cluster.directory, "ca");
    mkdirSync(directory);
    const authority = openAuthority({ directory });
    await authority.createAuthority("old authority");
    const subjectAltNames = ["127.0.0.1", vip, ...masters.map(({ ipv4 }) => ipv4)];
    await authority.issue({ name: "old", profile: "member", commonName: "old", subjectAltNames });
    await authority.issue({ name: "admin", profile: "client", commonName: "admin", subjectAltNames: [] });
    const all = masters.map(({ name, ipv4 }) => `${name}=https://${ipv4}:2380`).join();
    const files = ["ca.crt", "old.crt", "old.key"].map(
      (name) => `cat > ${certificates}/${name} <<END\n${pem(name)}END`,
    );
    const tls = ["", "PEER_"].map(
      (use) =>
        `ETCD_${use}CERT_FILE=${certificates}/old.crt\nETCD_${use}KEY_FILE=${certificates}/old.key\nETCD_${use}TRUSTED_CA_FILE=${certificates}/ca.crt`,
    );
    await Promise.all(
      masters.map(({ name, ipv4 }, at) =>
        cluster.on(
          masters[at]!,
          `mkdir -p ${certificates}
${files.join("\n")}
chown -R etcd: ${certificates}
cat > /etc/default/etcd <<END
ETCD_NAME=${name}
ETCD_LISTEN_CLIENT_URLS=https://${ipv4}:2379
ETCD_ADVERTISE_CLIENT_URLS=https://${ipv4}:2379
ETCD_LISTEN_PEER_URLS=https://${ipv4}:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://${ipv4}:2380
ETCD_INITIAL_CLUSTER=${all}
${tls.join("\n")}
END
systemctl enable --now --no-block etcd`,
        ),
      ),
    );
    await until(
      "etcd takes writes",
      () =>
        open(oldUrls())
          .client.put("/before", "x")
          .then(() => true),
      60_000,
    );
  }

  /** Four clients that write fifty times a second each, while `work` is done. */
  async function whileWriting(
    name: string,
    work: () => Promise<string>,
    mayFail?: RegExp,
  ): Promise<readonly AcknowledgedWrite[]> {
    const writers = Array.from(
      { length: clientsCount },
      (_, n) => new AcknowledgingWriter(open([endpoint]).client.within(clientTimeoutMs), `/${name}/${n}/`, pauseMs),
    );
    let said: string;
    try {
      await until("writes are acknowledged", () => writers.every(({ acknowledged }) => acknowledged.length > 5));
      said = await work();
      await sleep(500);
    } finally {
      await Promise.all(writers.map((writer) => writer.stop()));
    }
    const written = writers.flatMap(({ acknowledged }) => acknowledged);
    const failures = writers
      .flatMap((writer) => writer.failures.map(({ error }) => String(error)))
      .filter((text) => mayFail?.test(text) !== true);
    const gapsMs = writers.map(({ acknowledged }) =>
      Math.max(...acknowledged.slice(1).map(({ atMs }, at) => atMs - acknowledged[at]!.atMs)),
    );
    console.log(
      `${name}: ${written.length} writes, longest gap ${Math.round(Math.max(...gapsMs))} ms\n${said
        .split("\n")
        .filter((line) => /^(Switched|Clients|The migration)/.test(line))
        .join("\n")}`,
    );
    // On a machine that is busy with other things, an answer may be so late that the connection looks idle.
    expect(failures.filter((text) => !text.includes("the connection was lost"))).toEqual([]);
    expect(failures.length).toBeLessThanOrEqual(clientsCount);
    return written;
  }

  /** haplan is killed once it has recorded this phase. */
  async function killOnce(args: readonly string[], phase: string): Promise<void> {
    const moment = { renamed: "migration/record\\.json$", holding: `"phase": "${phase}"` };
    const env = { HAPLAN_DIE_AT: JSON.stringify(moment) };
    const { signal } = await cluster.start(args, { env, nodeFlags: ["--import", dieAtMoment], timeoutMs: 300_000 }).end;
    expect(signal).toBe("SIGKILL");
  }

  it.each(part === undefined ? types : [types[Math.floor(Number(part) / 4) % types.length]!])(
    "14/4: from etcd to the agent and back behind two load balancers of type %s, without a failed write",
    async (type) => {
      const spare = set.hosts[3]!;
      const [first, second] = [
        `{ name: m1 }`,
        `{ name: lb2, address: ${spare.ipv4}, ssh: { hostKey: ${spare.hostKey} } }`,
      ];
      const both = specText(type, [first, second]);
      cluster = new ClusterOnHosts(set, both);
      await startOld();
      const contents = async (): Promise<readonly string[]> => {
        const all = await Promise.all(set.hosts.map((host) => contentsOf(set, host)));
        // Services of a host that was off have other directories of their own.
        return all.map((text) => text.replaceAll(/^.*\/systemd-private-.*\n/gm, ""));
      };
      const before = await contents();
      const migrate = (...flags: string[]): Promise<string> => cluster.run("migrate", ...flags, "-auto-approve");
      // The load balancers exist before their clients do.
      await migrate();
      await migrate("-rollback");
      const written = [...(await whileWriting("there", () => migrate()))];
      await expect(open(oldUrls()).client.put("/late", "x")).rejects.toThrow("corrupt cluster");
      written.push(...(await whileWriting("back", () => migrate("-rollback"))));
      for (const url of oldUrls()) expect(await missingWrites(open([url]).client, "/", written)).toEqual([]);
      // Clients wait for the run that was killed, or give up, and are refused by the frozen cluster then.
      const whileKilled = /corrupt cluster|deadline|no connection within/;
      const again = async (flags: readonly string[], phase: string): Promise<string> => {
        await killOnce(["migrate", ...flags, "-auto-approve"], phase);
        return await migrate(...flags);
      };
      written.push(...(await whileWriting("killed", () => again([], "switched"), whileKilled)));
      await expect(open(oldUrls()).client.put("/late", "x")).rejects.toThrow("corrupt cluster");
      written.push(...(await whileWriting("killed-back", () => again(["-rollback"], "returned"), whileKilled)));
      for (const url of oldUrls()) expect(await missingWrites(open([url]).client, "/", written)).toEqual([]);
      written.push(...(await whileWriting("again", () => migrate())));
      await powerOff(spare);
      const asked = await cluster.try("migrate", "-rollback", "-auto-approve");
      expect(asked).toMatchObject({ code: 1, stderr: expect.stringContaining("lb2") });
      // Its host is known to be lost: the spec does not have it any more.
      cluster.writeSpec(specText(type, [first]));
      written.push(...(await whileWriting("back-without-lb2", () => migrate("-rollback"))));
      for (const url of oldUrls()) expect(await missingWrites(open([url]).client, "/", written)).toEqual([]);
      await powerOn(spare);
      cluster.writeSpec(both);
      written.push(...(await whileWriting("with-lb2", () => migrate())));
      written.push(...(await whileWriting("the-end", () => migrate("-finish"))));
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
      expect(await missingWrites(open([endpoint]).client, "/", written)).toEqual([]);
      const units = await cluster.on(set.hosts[0]!, "systemctl list-units --plain --no-legend 'haplan-*.service'");
      expect(units).not.toContain("relay");
      expect((await cluster.teardown()).destroy).toMatchObject({ code: 0 });
      expect(await contents()).toEqual(before);
    },
    900_000,
  );
});
