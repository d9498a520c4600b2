import { describe, expect, it } from "vitest";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { MemberChannel } from "./member-calls.ts";
import { MemberPool } from "./member-pool.ts";

/** `answers`: what the member at each endpoint says; an error is thrown. */
function poolOf(answers: Readonly<Record<string, string | GrpcError>>): {
  readonly pool: MemberPool;
  readonly asked: readonly string[];
} {
  const asked: string[] = [];
  const pool = new MemberPool(
    Object.keys(answers),
    (endpoint): MemberChannel => ({
      unary: async () => {
        asked.push(endpoint);
        const answer = answers[endpoint];
        if (answer instanceof GrpcError) throw answer;
        return Buffer.from(answer ?? "");
      },
      // biome-ignore lint/correctness/useYield: no test takes a snapshot of it
      snapshot: async function* () {
        throw new Error("no snapshot");
      },
      close: () => undefined,
    }),
  );
  return { pool, asked };
}

const ask = async (channel: MemberChannel): Promise<string> =>
  Buffer.from(await channel.unary("/some/call", new Uint8Array(), 100)).toString();
const learner = new GrpcError(StatusCode.failedPrecondition, "etcdserver: rpc not supported for learner");
const taken = new GrpcError(StatusCode.failedPrecondition, "etcdserver: Peer URLs already exists");

describe("a pool of members", () => {
  it("T3: asks another one when a member answers that it is a learner", async () => {
    const { pool, asked } = poolOf({ "http://a": learner, "http://b": "yes" });
    expect(await pool.firstAnswer(ask, 1000)).toBe("yes");
    expect(asked).toEqual(["http://a", "http://b"]);
  });

  it("T10: leaves a member all the time that is told", async () => {
    const { pool } = poolOf({ "http://a": "yes" });
    const given: number[] = [];
    const note = async (_: MemberChannel, timeoutMs: number): Promise<void> => void given.push(timeoutMs);
    await pool.firstAnswer(note, 5_000, { attemptTimeoutMs: 5_000 });
    await pool.firstAnswer(note, 5_000);
    expect(given[0]).toBeGreaterThan(4_900);
    expect(given[1]).toBe(3_000);
  });

  it("takes no for an answer", async () => {
    const { pool, asked } = poolOf({ "http://a": taken, "http://b": "yes" });
    await expect(pool.firstAnswer(ask, 1000)).rejects.toThrow("Peer URLs already exists");
    expect(asked).toEqual(["http://a"]);
  });
});
