/** A client that writes, or deletes, two keys in one revision: watchers are notified of both or of neither. */
import { encodeDeleteRangeRequest } from "../../src/raft-agent/api/delete-range.ts";
import type { PutRequest } from "../../src/raft-agent/api/put.ts";
import { encodeTxnRequest, type RequestOp } from "../../src/raft-agent/api/txn.ts";
import { ClientCall } from "./client-call.ts";
import type { Cluster } from "./cluster.ts";

const pair = ["pair/a", "pair/b"];
const deletePair: Uint8Array = encodeDeleteRangeRequest({
  key: Buffer.from("pair/"),
  rangeEnd: Buffer.from("pair0"),
  prevKv: false,
});

export class PairWriter {
  readonly #cluster: Cluster;
  #count = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#later();
  }

  #later(): void {
    const { time, random, profile } = this.#cluster;
    time.after(random.next() * 4 * profile.thinkMs + 20, () => {
      if (!this.#cluster.areClientsStopped) this.#run(() => this.#later());
    });
  }

  /** One at a time. Its outcome does not matter. */
  #run(next: () => void): void {
    const { time, random, profile } = this.#cluster;
    let isOver = false;
    const over = (): void => {
      if (!isOver) next();
      isOver = true;
    };
    const isDelete = random.below(4) === 0;
    const call = new ClientCall(`/etcdserverpb.KV/${isDelete ? "DeleteRange" : "Txn"}`, () => time.after(0, over));
    const request = isDelete ? deletePair : this.#write();
    const processes = this.#cluster.processes();
    const process = processes[random.below(Math.max(1, processes.length))];
    process?.life.after(0, () => process.call(request, call));
    time.after(profile.clientTimeoutMs, () => {
      call.open = false;
      over();
    });
  }

  #write(): Uint8Array {
    const value = Buffer.from(`pair ${++this.#count}`);
    const rest = { value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    const success = pair.map((key): RequestOp => {
      const request: PutRequest = { key: Buffer.from(key), ...rest };
      return { kind: "put", request };
    });
    return encodeTxnRequest({ compare: [], success, failure: [] });
  }
}
