/** examples/bare-metal-3-masters.yaml on hosts: from nothing, through its virtual address, to nothing. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { ClusterOnHosts, contentsOf } from "./cluster-on-hosts.ts";
import { CountedSsh } from "./counted-ssh.ts";
import { describeHosts } from "./describe-hosts.ts";
import { addressesOf } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { testedEngine } from "./tested-engine.ts";

const example = fileURLToPath(new URL("../../examples/bare-metal-3-masters.yaml", import.meta.url));
const virtualAddress = addressesOf(240).ipv4;

type Host = { address: string; ssh: { hostKey: string } };
type Example = {
  spec: {
    provider: { identityFile: string };
    controlPlane: { engine?: string; masters: Host[] };
    workers: Host[];
    loadBalancer: { vip: string; hosts: Host[] };
  };
};

/** The example with the addresses of test hosts in place of its own. */
function onHosts({ hosts, keyFile }: HostSet): string {
  const document = parse(readFileSync(example, "utf8")) as Example;
  const { provider, controlPlane, workers, loadBalancer } = document.spec;
  provider.identityFile = keyFile;
  if (testedEngine.engine === "etcd") controlPlane.engine = "etcd";
  loadBalancer.vip = virtualAddress;
  [...controlPlane.masters, ...loadBalancer.hosts, ...workers].forEach((host, at) => {
    const { ipv4, hostKey } = hosts[at]!;
    Object.assign(host, { address: ipv4, ssh: { hostKey } });
  });
  return stringify(document);
}

describeHosts(
  "the example on hosts",
  () => {
    let set: HostSet;
    let cluster: ClusterOnHosts;

    beforeAll(async () => {
      await takeDown();
      set = await bringUp(7, "complete");
      cluster = new ClusterOnHosts(set, onHosts(set));
    }, 900_000);
    afterAll(async () => {
      await cluster?.teardown();
      await takeDown();
    }, 120_000);

    const contents = (): Promise<readonly string[]> => Promise.all(set.hosts.map((host) => contentsOf(set, host)));

    it("is checked, planned, applied, used through the virtual address, and removed without a trace", async () => {
      const before = await contents();
      await cluster.run("check");
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(2);
      expect(await contents()).toEqual(before);

      await cluster.run("apply", "-auto-approve");
      expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
      expect((await cluster.run("output", "-raw", "endpoint")).trim()).toBe(`https://${virtualAddress}:2379`);
      expect(await cluster.etcdctl(["put", "key", "value"])).toMatchObject({ code: 0, stdout: "OK\n" });

      const applied = await contents();
      const settled = await cluster.try("plan", "-detailed-exitcode");
      expect([settled.code, settled.stdout]).toEqual([0, expect.stringContaining("No changes.")]);
      expect(await contents()).toEqual(applied);

      await planWithFewRoundTrips();

      await cluster.run("destroy", "-auto-approve");
      expect(await contents()).toEqual(before);
    }, 600_000);

    /** One ssh per host, and few requests through each. */
    async function planWithFewRoundTrips(): Promise<void> {
      using ssh = new CountedSsh();
      const started = performance.now();
      const { code } = await cluster.start(["plan", "-detailed-exitcode"], { env: { PATH: ssh.path } }).end;
      const tookMs = Math.round(performance.now() - started);
      const requests = ssh.requests();
      console.log(`a plan without changes of ${set.hosts.length} hosts: ${tookMs} ms, requests per host: ${requests}`);
      expect(code).toBe(0);
      expect(requests).toHaveLength(set.hosts.length);
      expect(Math.max(...requests)).toBeLessThanOrEqual(3);
    }
  },
  { programs: { etcdctl: "version" } },
);
