/**
 * Clients that write one key after the other while members are stopped: how many writes succeeded, and which failed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { Etcd3 } from "etcd3";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { type ClusterProcesses, leadingMember } from "./member-processes.ts";

export type SteadyResult = { readonly written: number; readonly failures: readonly string[] };

/** A put of its own for each key, tried once. */
export type Put = (key: string) => Promise<unknown>;

export class SteadyWriters {
  readonly #running: Promise<SteadyResult>[];
  #stopped = false;

  constructor(puts: readonly Put[]) {
    this.#running = puts.map((put, at) => this.#write(put, at));
  }

  /** One result for each writer. */
  async stop(): Promise<readonly SteadyResult[]> {
    this.#stopped = true;
    return Promise.all(this.#running);
  }

  async #write(put: Put, at: number): Promise<SteadyResult> {
    let written = 0;
    const failures: string[] = [];
    for (let i = 0; !this.#stopped; i += 1) {
      try {
        await put(`/steady/${at}/${i}`);
        written += 1;
      } catch (error) {
        failures.push(inspect(error));
        await sleep(20);
      }
    }
    return { written, failures };
  }
}

export type Disposable<Value> = { readonly value: Value; close(): Promise<void> };

/** haplan's own client. */
export function ownPut(urls: readonly string[]): Disposable<Put> {
  const client = new EtcdClient(connect({ endpoints: urls }), { timeoutMs: 8_000 });
  return { value: (key) => client.put(key, "value"), close: () => client.grpc.close() };
}

/** The npm client. Its default policy avoids a member for 5 s after three refused connections. */
export function npmPut(urls: readonly string[]): Disposable<Put> {
  const client = new Etcd3({ hosts: [...urls] });
  return {
    value: async (key) => await client.put(key).value("value").exec(),
    close: async () => client.close(),
  };
}

/** A script over the JSON gateway that knows all members: it tries the next one when the first does not listen. */
export function gatewayPut(urls: readonly string[]): Put {
  return async (key) => {
    const body = JSON.stringify({ key: Buffer.from(key).toString("base64"), value: "dmFsdWU=" });
    for (const url of urls) {
      try {
        const answer = await fetch(`${url}/v3/kv/put`, { method: "POST", body });
        if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
        return await answer.text();
      } catch (error) {
        const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
        if (cause?.code !== "ECONNREFUSED" || url === urls.at(-1)) throw error;
      }
    }
    return null;
  };
}

/** Stops (SIGTERM) and starts each member in the order in which an apply does it: followers first, the leader last. */
export async function restartEach(members: ClusterProcesses): Promise<void> {
  const leader = await leadingMember(members);
  const others = [...members.urls.keys()].filter((member) => member !== leader);
  for (const member of [...others, leader]) {
    await sleep(200);
    await members.terminate(member);
    await sleep(100);
    await members.restart(member);
  }
}
