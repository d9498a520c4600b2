/**
 * Unary calls that only the leader can answer, asked at another member: the request travels to the leader, runs there
 * behind the same method table, and the answer goes to the client under the header of the member that was asked
 * (etcdctl waits until a member list comes from the member that answered its change).
 *
 * ```
 * request:  | path length u16 | path | caller (`encodeCaller`; empty user = none) | message ... |
 * answer:   | status code u8 | message or, when the code is not 0, status text |
 * ```
 */
import { writeHeaderField } from "../api/response-header.ts";
import { WireWriter } from "../api/wire.ts";
import { type ServerCall, StatusCode } from "../grpc/call.ts";
import { type Caller, decodeCaller, encodeCaller } from "../state-machine/caller.ts";
import { EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import type { UnaryMethod } from "./answer.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

export type LeaderAnswer = { readonly code: StatusCode; readonly text: string; readonly message: Uint8Array };

const RETRY_MS = 100;
const NO_BYTES = new Uint8Array(0);
const NOBODY: Caller = { user: "", authRevision: 0 };

/** The method table by path, for requests of peers. */
export type PeerMethods = ReadonlyMap<string, UnaryMethod>;

/** Answers a peer's request: what the transport hands to `ConsensusPort.askPeer` on the other side. */
export function answerPeerRequest(
  methods: PeerMethods,
  from: string,
  request: Uint8Array,
  done: (answer: Uint8Array) => void,
): void {
  const pathLength = request.length < 2 ? 0 : (request[0]! << 8) | request[1]!;
  const path = Buffer.from(request.subarray(2, 2 + pathLength)).toString("latin1");
  const method = methods.get(path);
  const caller = decodeCaller(request, 2 + pathLength);
  if (method === undefined || caller === null) {
    done(encodeAnswer(StatusCode.unimplemented, `unknown peer request ${path}`, NO_BYTES));
    return;
  }
  method.handle(request.subarray(caller.end), createPeerCall(path, from, caller.caller, done));
}

function createPeerCall(path: string, from: string, caller: Caller, done: (answer: Uint8Array) => void): ServerCall {
  let message: Uint8Array = NO_BYTES;
  let open = true;
  return {
    path,
    header: () => undefined,
    clientCommonName: undefined,
    ...(caller.user === "" ? {} : { forwardedCaller: caller }),
    remoteAddress: from,
    get open() {
      return open;
    },
    send: (bytes) => {
      message = bytes.slice();
      return true;
    },
    finish: (code = StatusCode.ok, text = "") => {
      if (!open) return;
      open = false;
      done(encodeAnswer(code, text, message));
    },
  };
}

/**
 * Asks the leader, again when it moves, until the request's time is over: also this member, when it has become the leader
 * meanwhile. `done` is called exactly once.
 */
export function askLeader(
  context: ServiceContext,
  path: string,
  message: Uint8Array,
  done: (answer: LeaderAnswer) => void,
  caller: Caller = NOBODY,
): void {
  const request = encodeRequest(path, caller, message);
  const { consensus, clock, proposer } = context;
  const deadlineMs = clock.monotonicMs() + proposer.limits.requestTimeoutMs;
  const attempt = (isFirst: boolean): void => {
    const leader = consensus.leader();
    // Who asks saw that it does not lead; it may have learned of it, or have become the leader, a moment later.
    if (leader === null || (isFirst && leader === consensus.memberId)) {
      retry();
      return;
    }
    consensus.askPeer(leader, request, (bytes) => {
      const answer = bytes === null ? null : decodeAnswer(bytes);
      if (answer === null || answer.text === EtcdErrors.notLeader.text) retry();
      else done(answer);
    });
  };
  const retry = (): void => {
    if (clock.monotonicMs() + RETRY_MS < deadlineMs) {
      void clock.sleep(RETRY_MS).then(() => attempt(false));
      return;
    }
    const { code, text } = consensus.leader() === null ? EtcdErrors.noLeader : EtcdErrors.timeout;
    done({ code, text, message: NO_BYTES });
  };
  attempt(true);
}

/** Asks one member once; null when it cannot be reached. */
export function askMember(
  context: ServiceContext,
  member: string,
  path: string,
  message: Uint8Array,
): Promise<LeaderAnswer | null> {
  return new Promise((resolve) => {
    context.consensus.askPeer(member, encodeRequest(path, NOBODY, message), (bytes) => {
      resolve(bytes === null ? null : decodeAnswer(bytes));
    });
  });
}

export type ForwardOptions = {
  /** False for messages that do not begin with etcd's response header. */
  readonly header?: boolean;
};

/** Forwards a client's unary call and answers it. */
export function forwardToLeader(
  context: ServiceContext,
  request: Uint8Array,
  call: ServerCall,
  options: ForwardOptions = {},
): void {
  const caller = context.access.callerOf(call) ?? NOBODY;
  if (isEtcdError(caller)) {
    call.finish(caller.code, caller.text);
    return;
  }
  const answered = (answer: LeaderAnswer): void => {
    if (!call.open) return;
    if (answer.code !== StatusCode.ok) {
      call.finish(answer.code, answer.text);
      return;
    }
    call.send(options.header === false ? answer.message : withOwnHeader(context, answer.message));
    call.finish();
  };
  askLeader(context, call.path, request, answered, caller);
}

/** In protobuf a later field 1 overrides an earlier one, so that the leader's answer needs no decoding. */
function withOwnHeader(context: ServiceContext, message: Uint8Array): Uint8Array {
  const writer = new WireWriter(message.length + 48);
  writer.raw(message);
  writeHeaderField(writer, responseHeader(context, 0));
  return writer.copy();
}

function encodeRequest(path: string, caller: Caller, message: Uint8Array): Uint8Array {
  const head = Buffer.alloc(2 + path.length);
  head.writeUInt16BE(path.length, 0);
  head.write(path, 2, "latin1");
  return Buffer.concat([head, encodeCaller(caller), message]);
}

function encodeAnswer(code: StatusCode, text: string, message: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(code), code === StatusCode.ok ? message : Buffer.from(text)]);
}

function decodeAnswer(bytes: Uint8Array): LeaderAnswer {
  const code = (bytes[0] ?? StatusCode.internal) as StatusCode;
  const rest = bytes.subarray(1);
  if (code === StatusCode.ok) return { code, text: "", message: rest };
  return { code, text: Buffer.from(rest).toString("utf8"), message: NO_BYTES };
}
