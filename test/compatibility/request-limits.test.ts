/** How large a request may be, byte for byte, beside a real etcd: over gRPC and through the gateway, puts and transactions. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { encodePutRequest } from "../../src/raft-agent/api/put.ts";
import { type ClusterProcesses, type Engine, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.34.3";
const requestBytes = 1_572_864;
/** etcd's `grpcOverheadBytes`: how much a message may be larger than a request. */
const messageBytesMax = requestBytes + 512 * 1024;

const put = (valueBytes: number): Uint8Array => {
  const value = Buffer.alloc(valueBytes, 0x78);
  const rest = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return encodePutRequest({ key: Buffer.from("k"), value, ...rest });
};
/** etcd counts what it proposes, 17 or 18 bytes more: the number of the request has 9 or 10. */
const largest = requestBytes - 18;
const tooLarge = requestBytes - 16;
/** The value of a put whose encoded request has this many bytes. */
const valueFor = (messageBytes: number): number => 2 * messageBytes - put(messageBytes).length;

describe.skipIf(!isEtcdInstalled()).each<Engine>(["etcd", "agent"])("the limits of a request to an %s", (engine) => {
  let cluster: ClusterProcesses;
  let grpc: GrpcClient;
  beforeAll(async () => {
    cluster = await startCluster(engine, host, { members: 1 });
    grpc = connect({ endpoints: cluster.urls });
  });
  afterAll(async () => {
    await grpc?.close();
    await cluster?.stop();
  });

  const call = async (method: string, message: Uint8Array): Promise<string> => {
    try {
      await grpc.unary(`/etcdserverpb.KV/${method}`, message, { timeoutMs: 10_000 });
      return "ok";
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      return `${error.code} ${error.message}`;
    }
  };

  const ask = async (path: string, body: unknown): Promise<string> => {
    const answer = await fetch(cluster.urls[0] + path, { method: "POST", body: JSON.stringify(body) });
    const { error } = (await answer.json()) as { error?: string };
    return answer.ok ? "ok" : `${answer.status} ${error}`;
  };
  const key = Buffer.from("k").toString("base64");

  it("accepts a put whose proposal has 1.5 MiB, and not a byte more", async () => {
    expect(await call("Put", put(valueFor(largest)))).toBe("ok");
    expect(await call("Put", put(valueFor(tooLarge)))).toBe("3 etcdserver: request is too large");
  });

  it("accepts the same through the gateway", async () => {
    const value = (bytes: number): string => Buffer.alloc(valueFor(bytes), 0x78).toString("base64");
    expect(await ask("/v3/kv/put", { key, value: value(largest) })).toBe("ok");
    const refused = await ask("/v3/kv/put", { key, value: value(tooLarge) });
    expect(refused).toBe("400 etcdserver: request is too large");
  });

  it("accepts a message half a MiB larger than a request, to respond that it is too large", async () => {
    expect(await call("Put", put(messageBytesMax - 20))).toBe("3 etcdserver: request is too large");
    expect(await call("Put", put(messageBytesMax))).toMatch(
      /^8 grpc: received message larger than max \(\d+ vs\. 2097152\)$/,
    );
  });

  it("accepts 128 operations, and not 129", async () => {
    const operations = (count: number): object[] =>
      Array.from({ length: count }, (_, at) => ({ request_put: { key: Buffer.from(`k${at}`).toString("base64") } }));
    const refused = "400 etcdserver: too many operations in txn request";
    for (const branch of ["success", "failure"]) {
      expect(await ask("/v3/kv/txn", { [branch]: operations(128) })).toBe("ok");
      expect(await ask("/v3/kv/txn", { [branch]: operations(129) })).toBe(refused);
    }
    const compare = (count: number): object[] =>
      operations(count).map(() => ({ key, target: "VERSION", version: "0" }));
    expect(await ask("/v3/kv/txn", { compare: compare(128) })).toBe("ok");
    expect(await ask("/v3/kv/txn", { compare: compare(129) })).toBe(refused);
  });
});
