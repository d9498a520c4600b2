/**
 * Members with auth enabled are adopted with a permitted user: no user, a wrong password and another user are refused with
 * the reason before anything is made, and the password stays in the environment.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture } from "./cluster-fixture.ts";
import { adoptingSpec, ExistingPair, endpointOf, engines, hostOf, type PairPlace, youngPair } from "./existing-pair.ts";
import { type ProgramRun, runProgram } from "./run-program.ts";

/** The agents' turn comes when HAPLAN_TEST_EVERYTHING is set. */
const chosen = process.env["HAPLAN_TEST_EVERYTHING"] ? engines : engines.slice(0, 1);
const password = "correct horse";

for (const [at, { engine, missing }] of chosen.entries()) {
  describe.skipIf(missing)(
    `two members with users (${engine})${missing ? " (skipped: etcd is not installed)" : ""}`,
    () => {
      const place: PairPlace = { network: 31, first: 110 + 20 * at };
      let cluster: ClusterFixture;
      let pair: ExistingPair;
      const etcdctl = (endpoint: string, ...args: string[]): Promise<ProgramRun> =>
        runProgram("etcdctl", [`--endpoints=${endpoint}`, ...args], { env: { ETCDCTL_API: "3" } });
      const as = (user: string, secret: string): Record<string, string> => ({
        HAPLAN_ETCD_USER: user,
        HAPLAN_ETCD_PASSWORD: secret,
      });
      /** Exit code and what was said, without the frame around it. */
      const plan = async (env: Record<string, string>): Promise<string> => {
        const { code, stderr } = await cluster.haplan(["plan"], { env });
        return `${code} ${stderr.replaceAll(/\s*\n[│\s]*/g, " ")}`;
      };

      beforeAll(async () => {
        const policy = ", backupBeforeMembershipChange: true";
        cluster = new ClusterFixture(adoptingSpec(`users-${engine}`, engine, place, policy));
        pair = await ExistingPair.start(engine, place, cluster.directory, youngPair);
        for (const args of [
          ["user", "add", `root:${password}`],
          ["user", "add", `reader:${password}`],
          ["role", "add", "reads"],
          ["role", "grant-permission", "reads", "read", "", "--prefix=true"],
          ["user", "grant-role", "reader", "reads"],
          ["user", "grant-role", "root", "root"],
          ["auth", "enable"],
        ]) {
          const { code, stderr } = await etcdctl(endpointOf(place, 0), ...args);
          if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
        }
      }, 30_000);

      afterAll(async () => {
        const env = as("root", password);
        await cluster?.haplan(["destroy", "-auto-approve"], { env });
        await cluster?.teardown();
        await pair?.stop();
      });

      it("reject users that may not change members, with an error before anything is created", async () => {
        expect(await plan({})).toMatch(/^1 .*This cluster has users, but haplan has no credentials/);
        expect(await plan(as("root", "wrong"))).toMatch(/^1 .*reject user "root"/);
        expect(await plan({ HAPLAN_ETCD_USER: "root" })).toMatch(/^1 .*names a user without a password/);
        expect(await plan(as("reader", password))).toMatch(/^1 .*User "reader" may not add members/);
        expect(existsSync(join(cluster.directory, ".haplan", cluster.name, "machines"))).toBe(false);
      });

      it("become three by one who may, with a snapshot, while users are asked for everywhere", async () => {
        const env = { HAPLAN_ETCD_USER: `root:${password}` };
        const { code, stderr, stdout } = await cluster.haplan(["apply", "-auto-approve"], { env });
        expect({ code, stderr }).toMatchObject({ code: 0 });
        expect(stdout).toContain("take a snapshot: done");
        expect(stdout).toContain("Writes were available all the time");
        const third = `http://${hostOf(place, 2)}:2379`;
        expect((await etcdctl(third, "put", "a", "1")).stderr).toContain("user name is empty");
        expect((await etcdctl(third, `--user=root:${password}`, "put", "a", "1")).code).toBe(0);
        expect((await cluster.haplan(["plan", "-detailed-exitcode", "-out=p"], { env })).code).toBe(0);
      }, 40_000);

      it("leave no password behind", () => {
        const files = readdirSync(cluster.directory, { recursive: true, withFileTypes: true })
          .filter(
            (entry) => entry.isFile() && !entry.parentPath.includes("/data") && !entry.parentPath.includes("/old-"),
          )
          .map(({ parentPath, name }) => join(parentPath, name));
        expect(files.length).toBeGreaterThan(5);
        expect(files.filter((file) => readFileSync(file).includes(password))).toEqual([]);
      });
    },
  );
}
