/**
 * Forwards unary calls that only the leader can serve: the request is sent to the leader, runs there with the same
 * method table, and the response goes to the client under the header of the receiving member (etcdctl waits until a
 * member list comes from the member that answered its change). `consensus/peer-request.ts` has the encoding.
 */
import { writeHeaderField } from "../api/response-header.ts";
import { StatusCode } from "../api/status-code.ts";
import { emptyBytes, WireWriter } from "../api/wire.ts";
import type { PeerRequest, PeerResponse } from "../consensus/peer-request.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { ChangeId } from "../state-machine/change-id.ts";
import { EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { answerBytes, guarded } from "./answer.ts";
import type { UnaryMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

const retryMs = 100;

/** The method table by path, for requests of peers. */
export type PeerMethods = ReadonlyMap<string, UnaryMethod>;

/** Serves a peer's request: the other end of `ConsensusPort.callPeer`. */
export function servePeerRequest(
  methods: PeerMethods,
  from: string,
  request: PeerRequest,
  done: (answer: PeerResponse) => void,
): void {
  const method = methods.get(request.path);
  if (method === undefined) {
    done({ code: StatusCode.unimplemented, text: `unknown peer request ${request.path}`, message: emptyBytes });
    return;
  }
  method.handle(request.message, createPeerCall(request, from, done));
}

function createPeerCall(request: PeerRequest, from: string, done: (answer: PeerResponse) => void): ServerCall {
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
 * Calls the leader, and retries when it moves or its response is lost, until the request times out: possibly this
 * member itself, if it has become the leader meanwhile. `done` is called exactly once.
 */
export function callLeader(
  context: ServiceContext,
  request: LeaderRequest,
  done: (answer: PeerResponse) => void,
): void {
  const { consensus, clock, proposer } = context;
  const { path, message, caller = null, changeId = null } = request;
  const deadlineMs = clock.monotonicMs() + proposer.limits.requestTimeoutMs;
  const attempt = (isFirst: boolean): void => {
    const leader = consensus.leader();
    // For other requests the caller saw that it is not the leader; it may have become the leader a moment later.
    if (leader === null || (isFirst && changeId === null && leader === consensus.memberId)) {
      retry();
      return;
    }
    consensus.callPeer(leader, { path, caller, changeId, message }, (answer) => {
      if (answer === null || isRetryable(answer, changeId)) retry();
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

/** Responses that may differ at the next leader; with an id, also those that leave the outcome of the change open. */
function isRetryable({ text }: PeerResponse, changeId: ChangeId | null): boolean {
  if (text === EtcdErrors.notLeader.text) return true;
  return changeId !== null && (text === EtcdErrors.stopped.text || text === EtcdErrors.timeoutLeaderFailure.text);
}

/** Calls one member once; null when it cannot be reached. */
export function callMember(
  context: ServiceContext,
  member: string,
  path: string,
  message: Uint8Array,
): Promise<PeerResponse | null> {
  return new Promise((resolve) => {
    context.consensus.callPeer(member, { path, caller: null, changeId: null, message }, resolve);
  });
}

export type ForwardOptions = {
  /**
   * Converts the leader's response for the client; if absent, the leader's response is sent under this member's
   * response header.
   */
  readonly convertAnswer?: (message: Uint8Array) => Uint8Array;
  /** Set for changes: see `PeerRequest`. */
  readonly changeId?: ChangeId;
};

/** Forwards a client's unary call and responds to it. */
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
  const answered = (answer: PeerResponse): void => {
    if (!call.open) return;
    if (answer.code !== StatusCode.ok) {
      call.finish(answer.code, answer.text);
      return;
    }
    guarded(call, () => answerBytes(call, convertAnswer(answer.message)));
  };
  const forwarded = { path: call.path, message: request, caller, ...(changeId === undefined ? {} : { changeId }) };
  callLeader(context, forwarded, answered);
}

/** In protobuf a later field 1 overrides an earlier one, so the leader's response need not be decoded. */
function withOwnHeader(context: ServiceContext, message: Uint8Array): Uint8Array {
  const writer = new WireWriter(message.length + 48);
  writer.raw(message);
  writeHeaderField(writer, responseHeader(context, 0));
  return writer.copy();
}
