/** What apply must find out before it changes anything: ports that are taken, directories it cannot write to. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { addressOf, ClusterFixture } from "./cluster-fixture.ts";
import { boundAddresses } from "./dir-processes.ts";

const network = 22;
const cluster = new ClusterFixture({ network, workers: 1 });

afterAll(() => cluster.teardown());
beforeEach(() => rmSync(join(cluster.directory, ".haplan"), { recursive: true, force: true }));

async function listen(host: string, port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return server;
}

/** What haplan has made, its own notes about plans and locks left aside. */
function made(): readonly string[] {
  const directory = join(cluster.directory, ".haplan/e2e");
  return existsSync(directory)
    ? readdirSync(directory).filter((name) => name !== "lock" && name !== "newest-plan.json")
    : [];
}

describe("apply", () => {
  it("names every port that is taken, and who has it, before it has made anything", async () => {
    const servers = [await listen(addressOf(network, 2), 2379), await listen(addressOf(network, 100), 2379)];
    try {
      const run = await cluster.start(["apply", "-auto-approve"]).end;
      expect(run.code).toBe(1);
      expect(run.stderr).toContain(`2 addresses are in use by pid ${process.pid}`);
      for (const host of [2, 100]) expect(run.stderr).toContain(`  ${addressOf(network, host)}:2379\n`);
      expect(made()).toEqual([]);
      expect(cluster.processes()).toEqual([]);
      expect(boundAddresses(`127.77.${network}.`)).toHaveLength(2);
    } finally {
      for (const server of servers) server.close();
    }
  });

  it("says when a wildcard listener takes its port", async () => {
    const server = await listen("0.0.0.0", 0);
    const { port } = server.address() as { port: number };
    try {
      cluster.writeSpec(
        `${readFileSync(join(cluster.directory, "cluster.yaml"), "utf8").replace("[2379]", `[${port}]`)}`,
      );
      const run = await cluster.haplan(["apply", "-auto-approve"]);
      expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining(`:${port} is in use by`) });
      expect(made()).toEqual([]);
    } finally {
      server.close();
      cluster.writeSpec({ network, workers: 1 });
    }
  });

  it("says when its directory cannot be made, because a file stands in its place", async () => {
    writeFileSync(join(cluster.directory, ".haplan"), "mine");
    const run = await cluster.haplan(["apply", "-auto-approve"]);
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining(".haplan") });
    expect(run.stderr).toMatch(/Nothing was changed/);
    expect(readFileSync(join(cluster.directory, ".haplan"), "utf8")).toBe("mine");
    expect(boundAddresses(`127.77.${network}.`)).toEqual([]);
  });

  it("says when the directory of the machines is a file", async () => {
    mkdirSync(join(cluster.directory, ".haplan/e2e"), { recursive: true });
    writeFileSync(join(cluster.directory, ".haplan/e2e/machines"), "mine");
    const run = await cluster.haplan(["apply", "-auto-approve"]);
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("machines") });
    expect(made()).toEqual(["machines"]);
    expect(boundAddresses(`127.77.${network}.`)).toEqual([]);
  });

  it("asks before it does anything, and refuses without a terminal", async () => {
    const run = await cluster.start(["apply"], { input: "yes\n" }).end;
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("-auto-approve") });
    expect(existsSync(join(cluster.directory, ".haplan"))).toBe(false);
  });
});
