/** The rows of the comparison: calls, concurrency, connections, targets. */
import { rangeRequest, writeRangeRequest } from "../src/raft-agent/api/range.ts";
import { WireWriter } from "../src/raft-agent/api/wire.ts";
import type { LoadCall } from "./load-connection.ts";

export type Workload = {
  readonly name: string;
  readonly calls: readonly LoadCall[];
  /** Calls in flight, over all connections. */
  readonly clients: number;
  readonly connections: number;
  readonly target: "leader" | "all";
  /** Watchers of everything, one stream each, while the calls run; the row then counts their events. */
  readonly watchers?: number;
  /** Measured on freshly started members: etcd 3.4 copies its buffer of recent writes for every read. */
  readonly afterRestart: boolean;
};

export const keyCount = 100_000;
const keyBytes = 8;
const valueBytes = 256;
/** gRPC clients share a connection among many calls. */
const sharedConnections = 12;

export const putCall: LoadCall = { path: "/etcdserverpb.KV/Put", nextMessage: putMessages() };
export const linearizableGetCall: LoadCall = { path: "/etcdserverpb.KV/Range", nextMessage: rangeMessages(false) };
const serializable: LoadCall = { path: "/etcdserverpb.KV/Range", nextMessage: rangeMessages(true) };
const tenPercentPuts = [putCall, ...Array<LoadCall>(9).fill(linearizableGetCall)];

export const workloads: readonly Workload[] = [
  row("put", [putCall], 1, "leader"),
  row("put", [putCall], 100, "leader"),
  row("put", [putCall], 1_000, "leader"),
  row("put", [putCall], 100, "all"),
  row("put", [putCall], 1_000, "all"),
  row("put, one per connection", [putCall], 100, "all", { connections: 100 }),
  row("linearizable get", [linearizableGetCall], 1, "leader", { afterRestart: true }),
  row("linearizable get", [linearizableGetCall], 100, "leader", { afterRestart: true }),
  row("linearizable get", [linearizableGetCall], 100, "all", { afterRestart: true }),
  row("linearizable get, one per connection", [linearizableGetCall], 100, "all", {
    afterRestart: true,
    connections: 100,
  }),
  row("serializable get", [serializable], 1, "leader", { afterRestart: true }),
  row("serializable get", [serializable], 100, "all", { afterRestart: true }),
  row("10 % puts, 90 % linearizable gets", tenPercentPuts, 100, "all", { afterRestart: true }),
  row("watch events, 100 watchers, puts", [putCall], 20, "leader", { afterRestart: true, watchers: 100 }),
];

function row(
  name: string,
  calls: readonly LoadCall[],
  clients: number,
  target: Workload["target"],
  others: Partial<Workload> = {},
): Workload {
  const connections = Math.min(clients, sharedConnections);
  return { name, calls, clients, connections, target, afterRestart: false, ...others };
}

/** Random keys; the value ends with the time of the call, from which watchers compute the age of their event. */
function putMessages(): LoadCall["nextMessage"] {
  const writer = new WireWriter(512);
  const key = Buffer.alloc(keyBytes);
  writer.bytesField(0x0a, key);
  writer.bytesField(0x12, Buffer.alloc(valueBytes, "v"));
  const message = Buffer.from(writer.copy());
  return () => {
    message.write(randomKey(), 2, "latin1");
    message.writeDoubleBE(performance.now(), message.length - 8);
    return message;
  };
}

function rangeMessages(isSerializable: boolean): LoadCall["nextMessage"] {
  const writer = new WireWriter(64);
  writeRangeRequest(writer, rangeRequest(Buffer.alloc(keyBytes), { serializable: isSerializable }));
  const message = Buffer.from(writer.copy());
  return () => {
    message.write(randomKey(), 2, "latin1");
    return message;
  };
}

function randomKey(): string {
  return String(Math.floor(Math.random() * keyCount)).padStart(keyBytes, "k");
}
