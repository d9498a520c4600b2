/**
 * A client that holds one lease after the other: it grants one, attaches a key, renews it for a while, reads its TTL,
 * through any member, and then lets it expire.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createRandom, type Random } from "../../src/base/random.ts";
import {
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
} from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
} from "../../src/raft-agent/api/lease-keep-alive.ts";
import { encodePutRequest } from "../../src/raft-agent/api/put.ts";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import { checkGone, type KnownLease } from "./checkers/lease-promises.ts";
import { ClientCall } from "./client-call.ts";
import type { Cluster } from "./cluster.ts";
import type { MemberProcess } from "./member-process.ts";
import { StreamCall } from "./stream-call.ts";

const lease = (name: string): string => `/etcdserverpb.Lease/${name}`;
const streamLifeMs = 2_000;

type Held = KnownLease & { readonly id: bigint; readonly ttlSeconds: number };

export class LeaseHolder {
  /** Every lease that it knows of. */
  readonly leases: KnownLease[] = [];
  readonly #cluster: Cluster;
  readonly #number: number;
  readonly #random: Random;
  #count = 0;

  constructor(cluster: Cluster, number: number) {
    this.#cluster = cluster;
    this.#number = number;
    this.#random = createRandom(cluster.random.below(2 ** 32));
    this.#later(500, () => this.#begin());
  }

  #begin(): void {
    if (this.#cluster.areClientsStopped) return;
    const process = this.#pickProcess();
    const ttlSeconds = 3 + this.#random.below(20);
    const id = BigInt(this.#number * 1_000 + ++this.#count);
    const beginMs = this.#cluster.time.nowMs;
    const request = create(LeaseGrantRequestSchema, { ID: id, TTL: BigInt(ttlSeconds) });
    if (process !== null) {
      this.#call("LeaseGrant", toBinary(LeaseGrantRequestSchema, request), process, (message) => {
        const told = Number(fromBinary(LeaseGrantResponseSchema, message).TTL);
        const held = { id, ttlSeconds: told, key: `lease/${id}`, promisedUntilMs: beginMs + told * 1_000 };
        this.leases.push(held);
        this.#cluster.statistics.leasesGranted++;
        this.#hang(held);
        this.#hold(held, 1 + this.#random.below(4));
      });
    }
    this.#later(ttlSeconds * 1_500, () => this.#begin());
  }

  #hang({ id, key }: Held): void {
    const put = { key: Buffer.from(key), value: Buffer.from("held"), lease: id };
    const request = encodePutRequest({ ...put, prevKv: false, ignoreValue: false, ignoreLease: false });
    const process = this.#pickProcess();
    process?.life.after(0, () => process.call(request, new ClientCall("/etcdserverpb.KV/Put", () => {})));
  }

  /** Renewals happen at about half of the TTL, which is when the leader checkpoints the remaining TTL. */
  #hold(held: Held, times: number): void {
    if (times === 0) return;
    const waitMs = held.ttlSeconds * 1_000 * (0.3 + 0.4 * this.#random.next());
    this.#cluster.time.after(waitMs, () => {
      const process = this.#pickProcess();
      if (process !== null) {
        if (this.#random.below(3) > 0) this.#renew(held, process);
        else this.#askForTime(held, process);
      }
      this.#hold(held, times - 1);
    });
  }

  #renew(held: Held, process: MemberProcess): void {
    const { time } = this.#cluster;
    const beginMs = time.nowMs;
    const stream = new StreamCall(
      { time, random: this.#random },
      {
        path: lease("LeaseKeepAlive"),
        process,
        onMessage: (message) => this.#told(held, beginMs, decodeLeaseKeepAliveResponse(message).ttl || -1),
        onEnd: () => {},
      },
    );
    stream.ask(encodeLeaseKeepAliveRequest({ id: held.id }));
    time.after(streamLifeMs, () => stream.leave());
  }

  #askForTime(held: Held, process: MemberProcess): void {
    const beginMs = this.#cluster.time.nowMs;
    const request = toBinary(LeaseTimeToLiveRequestSchema, create(LeaseTimeToLiveRequestSchema, { ID: held.id }));
    this.#call("LeaseTimeToLive", request, process, (message) => {
      this.#told(held, beginMs, Number(fromBinary(LeaseTimeToLiveResponseSchema, message).TTL));
    });
  }

  /** `take` receives the response, if there is one, a moment after the member has sent it. */
  #call(name: string, request: Uint8Array, process: MemberProcess, take: (message: Uint8Array) => void): void {
    const call = new ClientCall(lease(name), ({ code, message }) => {
      if (code === StatusCode.ok) this.#later(1, () => take(message));
    });
    process.life.after(0, () => process.call(request, call));
  }

  /** `seconds` -1: there is no such lease. */
  #told(held: Held, beginMs: number, seconds: number): void {
    if (seconds < 0) checkGone(held, this.#cluster.time.nowMs);
    else {
      held.promisedUntilMs = Math.max(held.promisedUntilMs, beginMs + seconds * 1_000);
      this.#cluster.statistics.leasesRenewed++;
    }
  }

  #pickProcess(): MemberProcess | null {
    const processes = this.#cluster.processes();
    return processes.length === 0 ? null : processes[this.#random.below(processes.length)]!;
  }

  #later(withinMs: number, run: () => void): void {
    this.#cluster.time.after(this.#random.next() * withinMs, run);
  }
}
