/**
 * Two real etcds, and two agents, in an operator's hands: imported one by one, planned by target and refresh-only, a
 * saved plan whose learner was taken away, a snapshot before the change, and one of them led out by its name.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { ClusterFixture, until } from "./cluster-fixture.ts";
import { adoptingSpec, ExistingPair, endpointOf, engines, hostOf, type PairPlace, youngPair } from "./existing-pair.ts";
import { runProgram } from "./run-program.ts";

/** The agents' turn comes when HAPLAN_TEST_EVERYTHING is set. */
const chosen = process.env["HAPLAN_TEST_EVERYTHING"] ? engines : engines.slice(0, 1);

for (const [at, { engine, missing }] of chosen.entries()) {
  describe.skipIf(missing)(`two members (${engine})${missing ? " (skipped: etcd is not installed)" : ""}`, () => {
    const place: PairPlace = { network: 31, first: 10 + 20 * at };
    let cluster: ClusterFixture;
    let pair: ExistingPair;
    let old: EtcdClient;
    const voters = async (): Promise<string> =>
      (await old.cluster.memberList()).members
        .map(({ name, learner }) => `${name || "nameless"}${learner ? " learner" : ""}`)
        .sort()
        .join(", ");
    const stateAddresses = async (): Promise<readonly string[]> =>
      (await cluster.haplan(["state", "list"])).stdout.trim().split("\n");

    beforeAll(async () => {
      const policy = ", backupBeforeMembershipChange: true";
      cluster = new ClusterFixture(adoptingSpec(`verbs-${engine}`, engine, place, policy));
      pair = await ExistingPair.start(engine, place, cluster.directory, youngPair);
      old = new EtcdClient(connect({ endpoints: [endpointOf(place, 0), endpointOf(place, 1)] }));
    }, 30_000);

    afterAll(async () => {
      await cluster?.teardown();
      await old?.grpc.close();
      await pair?.stop();
    });

    it("are imported by client URL, one at a time, and only once", async () => {
      const args = ["import", "haplan_raft_member.m1", endpointOf(place, 0)];
      const { stdout, code } = await cluster.haplan(args);
      expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("Import successful!") });
      expect((await cluster.haplan(args)).stderr).toContain("haplan_raft_member.m1 is already managed");
      expect((await cluster.haplan(["import", "haplan_raft_member.m2", endpointOf(place, 0)])).stderr).toContain(
        "is not http://",
      );
      expect(await stateAddresses()).toEqual(["haplan_raft_member.m1"]);
    });

    it("are imported by a refresh-only apply, which adds no third", async () => {
      const { stdout } = await cluster.haplan(["apply", "-refresh-only", "-auto-approve"]);
      expect(stdout).toContain("Plan: 1 to import, 0 to add, 0 to change, 0 to destroy.");
      expect(await stateAddresses()).toEqual(["haplan_raft_member.m1", "haplan_raft_member.m2"]);
      expect(await voters()).toBe("old-1, old-2");
    });

    it("make a saved plan stale when a learner that it counts on is taken away, which is said", async () => {
      const peer = `http://${hostOf(place, 2)}:2380`;
      const etcdctl = (...args: string[]) =>
        runProgram("etcdctl", [`--endpoints=${endpointOf(place, 0)}`, ...args], { env: { ETCDCTL_API: "3" } });
      await until("a learner is taken", async () => {
        const { code, stderr } = await etcdctl("member", "add", "m3", "--learner", `--peer-urls=${peer}`);
        if (code !== 0) throw new Error(stderr);
        return true;
      });
      const { members } = await old.cluster.memberList();
      const learner = members.find((member) => member.learner)!.id;
      expect((await cluster.haplan(["plan", "-out=later.plan"])).code).toBe(0);
      expect((await etcdctl("member", "remove", learner)).code).toBe(0);
      const { code, stderr } = await cluster.haplan(["apply", "later.plan"]);
      expect(code).toBe(1);
      expect(stderr).toContain("Saved plan is stale");
      expect(stderr).toMatch(new RegExp(`the membership: learner 0*${learner} is\\s`));
      expect(await voters()).toBe("old-1, old-2");
    });

    it("become three, with a snapshot that etcdctl reads taken first", async () => {
      const { stdout, code, stderr } = await cluster.haplan(["apply", "-auto-approve"]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(stdout.indexOf("take a snapshot: done")).toBeLessThan(stdout.indexOf("add m3 as learner ..."));
      expect(stdout).toContain("take a snapshot: done");
      const directory = join(cluster.directory, ".haplan", cluster.name, "snapshots");
      const [snapshot = ""] = readdirSync(directory);
      const status = await runProgram("etcdctl", ["snapshot", "status", join(directory, snapshot), "-w=json"], {
        env: { ETCDCTL_API: "3" },
      });
      expect(JSON.parse(status.stdout)).toMatchObject({ totalKey: expect.any(Number), hash: expect.any(Number) });
      expect(await voters()).toBe("m3, old-1, old-2");
    }, 30_000);

    it("leave the cluster only when they are named, and run on until they notice", async () => {
      const { stdout, stderr, code } = await cluster.haplan([
        "destroy",
        "-target=haplan_raft_member.m1",
        "-auto-approve",
      ]);
      expect({ code, stderr }).toMatchObject({
        code: 0,
        stderr: expect.stringContaining("m1 was adopted and will be"),
      });
      expect(stdout).toContain("Destroy complete! Resources: 2 destroyed.");
      await using grpc = connect({ endpoints: [endpointOf(place, 1)] });
      const names = (await new EtcdClient(grpc).cluster.memberList()).members.map(({ name }) => name).sort();
      expect(names).toEqual(["m3", "old-2"]);
      await new EtcdClient(grpc).put("/after", "haplan");
      expect(await stateAddresses()).toEqual(expect.arrayContaining(["haplan_raft_member.m2", "haplan_machine.m3"]));
      expect(pair.processes[1]!.exitCode).toBeNull();
    });
  });
}
