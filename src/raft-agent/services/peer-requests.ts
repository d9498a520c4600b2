/**
 * Unary calls that only the leader can answer, asked at another member: the request travels to the leader, runs there
 * behind the same method table, and the answer goes to the client under the header of the member that was asked
 * (etcdctl waits until a member list comes from the member that answered its change).
 *
 * ```
 * request:  | path length u16 | path | caller (`encodeCaller`; empty user = none) | message ... |
 * change:   | path length u16 | "/haplan.Peer/Change" | caller | id (16 bytes) | path length u16 | path | message ... |
 * answer:   | status code u8 | message or, when the code is not 0, status text |
 * ```
 */
import { writeHeaderField } from "../api/response-header.ts";
import { StatusCode } from "../api/status-code.ts";
import { WireWriter } from "../api/wire.ts";
import type { ServerCall } from "../grpc/call.ts";
import { type Caller, decodeCaller, encodeCaller } from "../state-machine/caller.ts";
import type { ChangeId } from "../state-machine/change-id.ts";
import { EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import type { UnaryMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

export type LeaderAnswer = { readonly code: StatusCode; readonly text: string; readonly message: Uint8Array };

const retryMs = 100;
const changePath = "/haplan.Peer/Change";
const changeIdBytes = 16;
const noBytes = new Uint8Array(0);
const nobody: Caller = { user: "", authRevision: 0 };

/** The method table by path, for requests of peers. */
export type PeerMethods = ReadonlyMap<string, UnaryMethod>;

/** Answers a peer's request: what the transport hands to `ConsensusPort.askPeer` on the other side. */
export function answerPeerRequest(
  methods: PeerMethods,
  from: string,
  bytes: Uint8Array,
  done: (answer: Uint8Array) => void,
): void {
  const request = decodeRequest(bytes);
  const method = methods.get(request?.path ?? "");
  if (request === null || method === undefined) {
    done(encodeAnswer(StatusCode.unimplemented, `unknown peer request ${request?.path ?? ""}`, noBytes));
    return;
  }
  method.handle(request.message, createPeerCall(request, from, done));
}

function createPeerCall(request: PeerRequest, from: string, done: (answer: Uint8Array) => void): ServerCall {
  const { path, caller, changeId } = request;
  let message: Uint8Array = noBytes;
  let open = true;
  return {
    path,
    header: () => undefined,
    clientCommonName: undefined,
    ...(caller.user === "" ? {} : { forwardedCaller: caller }),
    ...(changeId === null ? {} : { changeId }),
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

export type LeaderRequest = {
  readonly path: string;
  readonly message: Uint8Array;
  readonly caller?: Caller;
  /** For changes: the leader carries the change out once, however often it is asked (`MemberChanges`). */
  readonly changeId?: ChangeId;
};

/**
 * Asks the leader, again when it moves or its answer is lost, until the request's time is over: also this member, when it
 * has become the leader meanwhile. `done` is called exactly once.
 */
export function askLeader(context: ServiceContext, request: LeaderRequest, done: (answer: LeaderAnswer) => void): void {
  const { consensus, clock, proposer } = context;
  const { path, message, caller = nobody, changeId = null } = request;
  const deadlineMs = clock.monotonicMs() + proposer.limits.requestTimeoutMs;
  const answered = (bytes: Uint8Array | null): void => {
    const answer = bytes === null ? null : decodeAnswer(bytes);
    if (answer === null || isRepeatable(answer, changeId)) retry();
    else done(answer);
  };
  const attempt = (isFirst: boolean): void => {
    const leader = consensus.leader();
    // For what is no change, the caller saw that it does not lead; it may have become the leader a moment later.
    if (leader === null || (isFirst && changeId === null && leader === consensus.memberId)) {
      retry();
      return;
    }
    const plain = encodeRequest({ path, caller, message, changeId: null });
    if (changeId === null) consensus.askPeer(leader, plain, answered);
    else {
      consensus.askPeer(leader, encodeRequest({ path, caller, message, changeId }), (bytes) => {
        // A leader of an older version knows no ids of changes.
        if (bytes?.[0] === StatusCode.unimplemented) consensus.askPeer(leader, plain, answered);
        else answered(bytes);
      });
    }
  };
  const retry = (): void => {
    if (clock.monotonicMs() + retryMs < deadlineMs) {
      void clock.sleep(retryMs).then(() => attempt(false));
      return;
    }
    const { code, text } = consensus.leader() === null ? EtcdErrors.noLeader : EtcdErrors.timeout;
    done({ code, text, message: noBytes });
  };
  attempt(true);
}

/** Answers that the next leader may give otherwise; with an id, also those that leave open what became of the change. */
function isRepeatable({ text }: LeaderAnswer, changeId: ChangeId | null): boolean {
  if (text === EtcdErrors.notLeader.text) return true;
  return changeId !== null && (text === EtcdErrors.stopped.text || text === EtcdErrors.timeoutLeaderFailure.text);
}

/** Asks one member once; null when it cannot be reached. */
export function askMember(
  context: ServiceContext,
  member: string,
  path: string,
  message: Uint8Array,
): Promise<LeaderAnswer | null> {
  return new Promise((resolve) => {
    const request = encodeRequest({ path, caller: nobody, message, changeId: null });
    context.consensus.askPeer(member, request, (bytes) => {
      resolve(bytes === null ? null : decodeAnswer(bytes));
    });
  });
}

export type ForwardOptions = {
  /** False for messages that do not begin with etcd's response header. */
  readonly header?: boolean;
  /** Given for changes: see `LeaderRequest`. */
  readonly changeId?: ChangeId;
};

/** Forwards a client's unary call and answers it. */
export function forwardToLeader(
  context: ServiceContext,
  request: Uint8Array,
  call: ServerCall,
  options: ForwardOptions = {},
): void {
  const caller = context.access.callerOf(call) ?? nobody;
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
  const { changeId } = options;
  askLeader(
    context,
    { path: call.path, message: request, caller, ...(changeId === undefined ? {} : { changeId }) },
    answered,
  );
}

/** In protobuf a later field 1 overrides an earlier one, so that the leader's answer needs no decoding. */
function withOwnHeader(context: ServiceContext, message: Uint8Array): Uint8Array {
  const writer = new WireWriter(message.length + 48);
  writer.raw(message);
  writeHeaderField(writer, responseHeader(context, 0));
  return writer.copy();
}

type PeerRequest = {
  readonly path: string;
  readonly caller: Caller;
  readonly message: Uint8Array;
  readonly changeId: ChangeId | null;
};

function encodeRequest({ path, caller, message, changeId }: PeerRequest): Uint8Array {
  if (changeId === null) return Buffer.concat([encodePath(path), encodeCaller(caller), message]);
  const id = Buffer.from(changeId, "hex");
  return Buffer.concat([encodePath(changePath), encodeCaller(caller), id, encodePath(path), message]);
}

/** Null when the bytes are cut short. */
function decodeRequest(bytes: Uint8Array): PeerRequest | null {
  const outer = decodePath(bytes, 0);
  const caller = outer === null ? null : decodeCaller(bytes, outer.end);
  if (outer === null || caller === null) return null;
  const message = bytes.subarray(caller.end);
  if (outer.path !== changePath) return { path: outer.path, caller: caller.caller, message, changeId: null };
  const inner = decodePath(message, changeIdBytes);
  if (inner === null) return null;
  const changeId = Buffer.from(message.subarray(0, changeIdBytes)).toString("hex");
  return { path: inner.path, caller: caller.caller, message: message.subarray(inner.end), changeId };
}

function encodePath(path: string): Uint8Array {
  const bytes = Buffer.alloc(2 + path.length);
  bytes.writeUInt16BE(path.length, 0);
  bytes.write(path, 2, "latin1");
  return bytes;
}

function decodePath(bytes: Uint8Array, start: number): { readonly path: string; readonly end: number } | null {
  if (bytes.length < start + 2) return null;
  const end = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!);
  return bytes.length < end ? null : { path: Buffer.from(bytes.subarray(start + 2, end)).toString("latin1"), end };
}

function encodeAnswer(code: StatusCode, text: string, message: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(code), code === StatusCode.ok ? message : Buffer.from(text)]);
}

function decodeAnswer(bytes: Uint8Array): LeaderAnswer {
  const code = (bytes[0] ?? StatusCode.internal) as StatusCode;
  const rest = bytes.subarray(1);
  if (code === StatusCode.ok) return { code, text: "", message: rest };
  return { code, text: Buffer.from(rest).toString("utf8"), message: noBytes };
}
