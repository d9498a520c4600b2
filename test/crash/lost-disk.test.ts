/**
 * An initial member that comes back without its disk, and a member that receives requests while it installs the
 * others' state.
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { memberFacts } from "../e2e/member-facts.ts";
import { AgentsInProcess } from "./agents-in-process.ts";

const shortLog = ["--snapshot-count=100", "--snapshot-catchup-entries=10"];

let members: AgentsInProcess;

beforeAll(async () => {
  members = await AgentsInProcess.start("127.77.25.200", shortLog);
});

afterAll(() => members.remove());

describe("an initial member whose disk was wiped", () => {
  it("neither bootstraps nor votes when it starts with the flags of its first start", async () => {
    const clusterId = members.agents[0]!.clusterId;
    const before = (await members.clients[0]!.cluster.memberList()).members.map(({ id }) => id);
    // As in etcd, the others know by its name that it has started; that arrives through the log, possibly after its
    // first write.
    await until("m3 is known", async () =>
      (await members.clients[0]!.cluster.memberList()).members.every(({ name }) => name !== ""),
    );
    await members.stop(2);
    renameSync(members.dataDirectory(2), `${members.dataDirectory(2)}.kept`);
    await members.writeThrough(0);

    await expect(members.start(2)).rejects.toThrow(/"m3".* has started before, but its log is gone/);
    await expect(members.clients[2]!.range("written")).rejects.toThrow(GrpcError);
    // Neither a file to which a vote would be written, nor directories that look like those of a member.
    expect(existsSync(join(members.dataDirectory(2), "member"))).toBe(false);
    await members.writeThrough(1);
    expect((await members.clients[0]!.cluster.memberList()).members.map(({ id }) => id)).toEqual(before);

    rmSync(members.dataDirectory(2), { recursive: true, force: true });
    renameSync(`${members.dataDirectory(2)}.kept`, members.dataDirectory(2));
    await members.start(2);
    await members.writeThrough(2);
    expect(members.agents[2]!.clusterId).toBe(clusterId);
  });
});

describe("a member that installs the others' state under requests", () => {
  it("serves serializable reads from the old or the new state, and puts as usual", async () => {
    await members.clients[0]!.put("state", "old");
    await until("all members have it", async () => (await valueAt(2, "state")) === "old");
    await members.stop(2);
    const large = "x".repeat(4_000);
    for (let i = 0; i < 600; i += 20)
      await Promise.all(Array.from({ length: 20 }, (_, j) => members.clients[0]!.put(`large/${i + j}`, large)));
    await members.clients[0]!.put("state", "new");
    const { revision } = await memberFacts(members.clients[0]!);

    const values: (string | undefined)[] = [];
    const written: string[] = [];
    const failures: unknown[] = [];
    let isOver = false;
    const repeat = async (act: (turn: number) => Promise<unknown>): Promise<void> => {
      for (let turn = 0; !isOver; turn++) await act(turn).catch((error: unknown) => failures.push(error));
    };
    await members.start(2);
    const asking = [
      ...[1, 2].map(() => repeat(async () => values.push(await valueAt(2, "state")))),
      ...[1, 2].map((writer) =>
        repeat(async (turn) => {
          const key = `meanwhile/${writer}/${turn}`;
          await members.clients[2]!.put(key, "put");
          written.push(key);
        }),
      ),
    ];
    await until("it has the others' state", async () => (await memberFacts(members.clients[2]!)).revision >= revision);
    await until("a put was acknowledged", () => written.length > 5);
    isOver = true;
    await Promise.all(asking);

    expect(members.logged.some((line) => line.startsWith("m3") && line.includes("installed the snapshot"))).toBe(true);
    expect({ failures, stopped: members.stopped }).toEqual({ failures: [], stopped: [] });
    const turns = values.filter((value, i) => value !== values[i - 1]);
    expect(["old,new", "new"]).toContain(turns.join());
    // A follower may learn of a committed entry a moment later than the member that received the request.
    for (const key of written) await until(`${key} is everywhere`, async () => (await valueAt(0, key)) === "put");
  });
});

async function valueAt(at: number, key: string): Promise<string | undefined> {
  const { kvs } = await members.clients[at]!.range(key, { serializable: true });
  return kvs[0] === undefined ? undefined : Buffer.from(decodeKeyValue(kvs[0]).value).toString();
}
