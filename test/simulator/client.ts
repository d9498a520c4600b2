/**
 * A client: puts, gets and compare-and-sets through random members, one operation at a time, recording what it
 * observes.
 */
import { CompareResult, CompareTarget } from "../../src/raft-agent/api/compare.ts";
import { decodeDeleteRangeResponse, encodeDeleteRangeRequest } from "../../src/raft-agent/api/delete-range.ts";
import { decodeKeyValue, type EncodedKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { decodePutResponse, encodePutRequest, type PutRequest } from "../../src/raft-agent/api/put.ts";
import { decodeRangeResponse, encodeRangeRequest, rangeRequest } from "../../src/raft-agent/api/range.ts";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import { decodeTxnResponse, encodeTxnRequest, type RequestOp } from "../../src/raft-agent/api/txn.ts";
import { type CallOutcome, ClientCall } from "./client-call.ts";
import type { Cluster } from "./cluster.ts";
import type { Operation } from "./history.ts";
import type { MemberProcess } from "./member-process.ts";
import { textNumber } from "./trace.ts";

const textDecoder = new TextDecoder();

export class Client {
  readonly #cluster: Cluster;
  readonly #number: number;
  #count = 0;
  /** The last value seen of each key: a good guess for a compare-and-set. */
  readonly #seen = new Map<string, string | null>();

  constructor(cluster: Cluster, number: number) {
    this.#cluster = cluster;
    this.#number = number;
    cluster.time.after(cluster.random.next() * 100, () => this.#next());
  }

  #next(): void {
    const { time, random, profile, areClientsStopped } = this.#cluster;
    if (areClientsStopped) return;
    const process = this.#pickProcess();
    if (process === null) {
      time.after(50, () => this.#next());
      return;
    }
    this.#run(this.#draw(), process, () => time.after(random.next() * 2 * profile.thinkMs, () => this.#next()));
  }

  /** Mostly members that are up; sometimes one that is partitioned, or about to stop. */
  #pickProcess(): MemberProcess | null {
    const processes = this.#cluster.processes();
    return processes.length === 0 ? null : processes[this.#cluster.random.below(processes.length)]!;
  }

  #draw(): Operation {
    const { random, profile, history } = this.#cluster;
    const key = `key-${random.below(profile.keys)}`;
    const lot = random.below(10);
    const kind = lot < 4 ? "put" : lot < 7 ? "get" : "cas";
    const isDelete = kind === "put" && random.below(5) === 0;
    const value = kind === "get" || isDelete ? null : this.#newValue();
    const expected = kind === "cas" ? (this.#seen.get(key) ?? null) : null;
    return history.begin({ client: this.#number, key, kind, value, expected });
  }

  #newValue(): string {
    const { random, profile } = this.#cluster;
    const name = `${this.#number}.${++this.#count}`;
    return name.padEnd(random.below(profile.valueBytesMax + 1), "x");
  }

  #run(operation: Operation, process: MemberProcess, next: () => void): void {
    const { time, random, profile, statistics } = this.#cluster;
    statistics.clientOperations++;
    let isOver = false;
    const over = (finish: () => void): void => {
      if (isOver) return;
      isOver = true;
      finish();
      this.#note(operation);
      next();
    };
    const call = new ClientCall(pathOf(operation), (outcome) => {
      if (random.next() < this.#cluster.network.answerLossChance) return;
      time.after(random.next(), () => over(() => this.#take(operation, outcome)));
    });
    time.after(random.next(), () => {
      if (process.life.alive) process.life.after(0, () => process.call(requestOf(operation), call));
      else over(() => this.#cluster.history.drop(operation));
    });
    time.after(profile.clientTimeoutMs * (0.5 + random.next()), () => {
      call.open = false;
      over(() => this.#giveUp(operation));
    });
  }

  #giveUp(operation: Operation): void {
    if (operation.kind === "get") this.#cluster.history.drop(operation);
    else this.#cluster.statistics.unknownOutcomes++;
  }

  #take(operation: Operation, { code, message }: CallOutcome): void {
    if (code !== StatusCode.ok) {
      this.#giveUp(operation);
      return;
    }
    takeAnswer(operation, message);
    this.#cluster.history.end(operation);
    const isWritten = operation.kind === "put" || operation.succeeded;
    this.#seen.set(operation.key, isWritten ? operation.value : operation.found);
    if (isWritten) this.#cluster.statistics.acknowledgedWrites++;
  }

  #note(operation: Operation): void {
    const { trace, time } = this.#cluster;
    const found = textNumber(operation.found ?? "");
    const end = Number.isFinite(operation.end) ? operation.end : 0;
    trace.note(time.nowMs, [this.#number, end, operation.revision, found], () => describeOperation(operation));
  }
}

function pathOf(operation: Operation): string {
  const { kind } = operation;
  if (isDelete(operation)) return "/etcdserverpb.KV/DeleteRange";
  return `/etcdserverpb.KV/${kind === "put" ? "Put" : kind === "get" ? "Range" : "Txn"}`;
}

function requestOf(operation: Operation): Uint8Array {
  const key = Buffer.from(operation.key);
  if (operation.kind === "get") return encodeRangeRequest(rangeRequest(key));
  if (isDelete(operation)) {
    return encodeDeleteRangeRequest({ key, rangeEnd: new Uint8Array(0), prevKv: false });
  }
  const put: PutRequest = {
    key,
    value: Buffer.from(operation.value ?? ""),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
  if (operation.kind === "put") return encodePutRequest(put);
  const rangeEnd = new Uint8Array(0);
  const success: RequestOp[] = [{ kind: "put", request: put }];
  const failure: RequestOp[] = [{ kind: "range", request: rangeRequest(key) }];
  const { equal: result } = CompareResult;
  const compare =
    operation.expected === null
      ? { result, target: CompareTarget.version, key, rangeEnd, operand: { kind: "version", number: 0 } as const }
      : {
          result,
          target: CompareTarget.value,
          key,
          rangeEnd,
          operand: { kind: "value", bytes: Buffer.from(operation.expected) } as const,
        };
  return encodeTxnRequest({ compare: [compare], success, failure });
}

function isDelete({ kind, value }: Operation): boolean {
  return kind === "put" && value === null;
}

function takeAnswer(operation: Operation, message: Uint8Array): void {
  if (isDelete(operation)) {
    const { header, deleted } = decodeDeleteRangeResponse(message);
    operation.revision = deleted > 0 ? (header?.revision ?? 0) : 0;
  } else if (operation.kind === "put") operation.revision = decodePutResponse(message).header?.revision ?? 0;
  else if (operation.kind === "get") operation.found = valueIn(decodeRangeResponse(message).kvs[0]);
  else {
    const { header, succeeded, responses } = decodeTxnResponse(message);
    operation.succeeded = succeeded;
    if (succeeded) operation.revision = header?.revision ?? 0;
    else operation.found = responses[0]?.kind === "range" ? valueIn(responses[0].response.kvs[0]) : null;
  }
}

function valueIn(kv: EncodedKeyValue | undefined): string | null {
  return kv === undefined ? null : textDecoder.decode(decodeKeyValue(kv).value);
}

export function describeOperation({
  client,
  key,
  kind,
  value,
  expected,
  found,
  succeeded,
  end,
  revision,
}: Operation): string {
  const short = (text: string | null): string => (text === null ? "nothing" : text.replace(/x+$/, ""));
  const asked = kind === "get" ? "" : kind === "put" ? ` ${short(value)}` : ` ${short(expected)} -> ${short(value)}`;
  let outcome = "outcome unknown";
  if (end !== Number.POSITIVE_INFINITY) {
    if (kind === "get") outcome = `found ${short(found)}`;
    else if (kind === "put" || succeeded) outcome = `done at revision ${revision}`;
    else outcome = `refused, found ${short(found)}`;
  }
  return `client ${client}: ${kind} ${key}${asked}: ${outcome}`;
}
