import { describe, expect, it } from "vitest";
import type { CallChannel } from "../etcd-client/call-channel.ts";
import type { EtcdClient } from "../etcd-client/etcd-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { MemberPool } from "./member-pool.ts";

/** `answers`: what the member at each endpoint says; an error is thrown. */
function poolOf(answers: Readonly<Record<string, string | GrpcError>>): {
  readonly pool: MemberPool;
  readonly asked: readonly string[];
  /** The deadline of each call. */
  readonly given: readonly (number | undefined)[];
} {
  const asked: string[] = [];
  const given: (number | undefined)[] = [];
  const pool = new MemberPool(
    Object.keys(answers),
    (endpoint): CallChannel => ({
      unary: async (_path, _request, options) => {
        asked.push(endpoint);
        given.push(options?.timeoutMs);
        const answer = answers[endpoint];
        if (answer instanceof GrpcError) throw answer;
        return Buffer.from(answer ?? "");
      },
      stream: () => Promise.reject(new Error("no streams here")),
      close: () => Promise.resolve(),
    }),
  );
  return { pool, asked, given };
}

const ask = async (client: EtcdClient): Promise<string> =>
  Buffer.from(await client.unary("/some/call", new Uint8Array())).toString();
const learner = new GrpcError(StatusCode.failedPrecondition, "etcdserver: rpc not supported for learner");
const taken = new GrpcError(StatusCode.failedPrecondition, "etcdserver: Peer URLs already exists");

describe("a pool of members", () => {
  it("T3: asks another one when a member answers that it is a learner", async () => {
    const { pool, asked } = poolOf({ "http://a": learner, "http://b": "yes" });
    expect(await pool.tryEach(ask, 1000)).toBe("yes");
    expect(asked).toEqual(["http://a", "http://b"]);
  });

  it("T10: leaves a member all the time that is told", async () => {
    const { pool, given } = poolOf({ "http://a": "yes" });
    await pool.tryEach(ask, 5_000, { attemptTimeoutMs: 5_000 });
    await pool.tryEach(ask, 5_000);
    expect(given[0]).toBeGreaterThan(4_900);
    expect(given[1]).toBe(3_000);
  });

  it("takes no for an answer", async () => {
    const { pool, asked } = poolOf({ "http://a": taken, "http://b": "yes" });
    await expect(pool.tryEach(ask, 1000)).rejects.toThrow("Peer URLs already exists");
    expect(asked).toEqual(["http://a"]);
  });
});
