/**
 * Unary calls that only the leader can answer, asked at another member: the request travels to the leader, runs there
 * behind the same method table, and the answer goes to the client under the header of the member that was asked
 * (etcdctl waits until a member list comes from the member that answered its change). `consensus/peer-request.ts` has
 * the bytes.
 */
import { writeHeaderField } from "../api/response-header.ts";
import { StatusCode } from "../api/status-code.ts";
import { emptyBytes, WireWriter } from "../api/wire.ts";
import type { PeerAnswer, PeerRequest } from "../consensus/peer-request.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { ChangeId } from "../state-machine/change-id.ts";
import { EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { answerBytes, guarded } from "./answer.ts";
import type { UnaryMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

const retryMs = 100;

/** The method table by path, for requests of peers. */
export type PeerMethods = ReadonlyMap<string, UnaryMethod>;

/** Answers a peer's request: the other end of `ConsensusPort.askPeer`. */
export function answerPeerRequest(
  methods: PeerMethods,
  from: string,
  request: PeerRequest,
  done: (answer: PeerAnswer) => void,
): void {
  const method = methods.get(request.path);
  if (method === undefined) {
    done({ code: StatusCode.unimplemented, text: `unknown peer request ${request.path}`, message: emptyBytes });
    return;
  }
  method.handle(request.message, createPeerCall(request, from, done));
}

function createPeerCall(request: PeerRequest, from: string, done: (answer: PeerAnswer) => void): ServerCall {
  const { path, caller, changeId } = request;
  let message = emptyBytes;
  let open = true;
  return {
    path,
    header: () => undefined,
    clientCommonName: undefined,
    ...(caller === null ? {} : { forwardedCaller: caller }),
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
      done({ code, text, message: code === StatusCode.ok ? message : emptyBytes });
    },
  };
}

export type LeaderRequest = Pick<PeerRequest, "path" | "message"> & Partial<Pick<PeerRequest, "caller" | "changeId">>;

/**
 * Asks the leader, again when it moves or its answer is lost, until the request's time is over: also this member, when it
 * has become the leader meanwhile. `done` is called exactly once.
 */
export function askLeader(context: ServiceContext, request: LeaderRequest, done: (answer: PeerAnswer) => void): void {
  const { consensus, clock, proposer } = context;
  const { path, message, caller = null, changeId = null } = request;
  const deadlineMs = clock.monotonicMs() + proposer.limits.requestTimeoutMs;
  const attempt = (isFirst: boolean): void => {
    const leader = consensus.leader();
    // For what is no change, the caller saw that it does not lead; it may have become the leader a moment later.
    if (leader === null || (isFirst && changeId === null && leader === consensus.memberId)) {
      retry();
      return;
    }
    consensus.askPeer(leader, { path, caller, changeId, message }, (answer) => {
      if (answer === null || isRepeatable(answer, changeId)) retry();
      else done(answer);
    });
  };
  const retry = (): void => {
    if (clock.monotonicMs() + retryMs < deadlineMs) {
      void clock.sleep(retryMs).then(() => attempt(false));
      return;
    }
    const { code, text } = consensus.leader() === null ? EtcdErrors.noLeader : EtcdErrors.timeout;
    done({ code, text, message: emptyBytes });
  };
  attempt(true);
}

/** Answers that the next leader may give otherwise; with an id, also those that leave open what became of the change. */
function isRepeatable({ text }: PeerAnswer, changeId: ChangeId | null): boolean {
  if (text === EtcdErrors.notLeader.text) return true;
  return changeId !== null && (text === EtcdErrors.stopped.text || text === EtcdErrors.timeoutLeaderFailure.text);
}

/** Asks one member once; null when it cannot be reached. */
export function askMember(
  context: ServiceContext,
  member: string,
  path: string,
  message: Uint8Array,
): Promise<PeerAnswer | null> {
  return new Promise((resolve) => {
    context.consensus.askPeer(member, { path, caller: null, changeId: null, message }, resolve);
  });
}

export type ForwardOptions = {
  /** The answer for the client, made of the leader's; without it the leader's, under this member's response header. */
  readonly convertAnswer?: (message: Uint8Array) => Uint8Array;
  /** Given for changes: see `PeerRequest`. */
  readonly changeId?: ChangeId;
};

/** Forwards a client's unary call and answers it. */
export function forwardToLeader(
  context: ServiceContext,
  request: Uint8Array,
  call: ServerCall,
  { changeId, convertAnswer = (message) => withOwnHeader(context, message) }: ForwardOptions = {},
): void {
  const caller = context.access.callerOf(call);
  if (isEtcdError(caller)) {
    call.finish(caller.code, caller.text);
    return;
  }
  const answered = (answer: PeerAnswer): void => {
    if (!call.open) return;
    if (answer.code !== StatusCode.ok) {
      call.finish(answer.code, answer.text);
      return;
    }
    guarded(call, () => answerBytes(call, convertAnswer(answer.message)));
  };
  const forwarded = { path: call.path, message: request, caller, ...(changeId === undefined ? {} : { changeId }) };
  askLeader(context, forwarded, answered);
}

/** In protobuf a later field 1 overrides an earlier one, so that the leader's answer needs no decoding. */
function withOwnHeader(context: ServiceContext, message: Uint8Array): Uint8Array {
  const writer = new WireWriter(message.length + 48);
  writer.raw(message);
  writeHeaderField(writer, responseHeader(context, 0));
  return writer.copy();
}
