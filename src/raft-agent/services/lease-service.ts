/**
 * etcdserverpb.Lease. Grants and revokes go through the log; renewals and remaining TTLs are known only to the leader
 * and served there, behind a read index, so that a member which lost its leadership without noticing renews nothing
 * (etcd issue 15247).
 */
import { randomBytes } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseLeasesResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseRevokeResponseSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import {
  decodeLeaseKeepAliveRequest,
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
  encodeLeaseKeepAliveResponse,
  writeLeaseKeepAliveResponse,
} from "../api/lease-keep-alive.ts";
import { StatusCode } from "../api/status-code.ts";
import { emptyBytes } from "../api/wire.ts";
import type { PeerResponse } from "../consensus/peer-request.ts";
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { CommandKind } from "../state-machine/command.ts";
import { encodeLeaseCheckpoint, encodeLeaseGrant, encodeLeaseRevoke } from "../state-machine/command-body.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { type Lease, leaseTtlMaxSeconds } from "../state-machine/lease-table.ts";
import { answer, answerBytes, checkLearner, checkMetadata, failCall, guarded, unary } from "./answer.ts";
import { generatedHeader } from "./generated-header.ts";
import { callLeader, forwardToLeader } from "./peer-requests.ts";
import { propose } from "./propose-for-call.ts";
import type { MethodDeclaration, ServedMethod, UnaryMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";
import { leaseBytes } from "./space-quota.ts";

/** Between members only: one renewal. */
const renewPath = "/haplan.Peer/LeaseRenew";

export function createLeaseMethods(context: ServiceContext): ServedMethod[] {
  const user = (name: string): MethodDeclaration => ({ path: `/etcdserverpb.Lease/${name}`, access: "user" });
  return [
    unary(context, user("LeaseGrant"), (request, call) => grant(context, request, call)),
    unary(context, user("LeaseRevoke"), (request, call) => revoke(context, request, call)),
    { kind: "stream", ...user("LeaseKeepAlive"), open: (call) => openKeepAlive(context, call) },
    unary(context, user("LeaseTimeToLive"), (request, call) => timeToLive(context, request, call)),
    unary(context, user("LeaseLeases"), (_request, call) => list(context, call)),
  ];
}

/** Requests of followers to their leader, in addition to clients' calls. */
export function createLeasePeerMethods(context: ServiceContext): UnaryMethod[] {
  return [
    unary(context, { path: renewPath, access: "member", learner: true }, (request, call) =>
      renewLocally(context, request, call),
    ),
  ];
}

/** etcd's floor: one and a half election timeouts, in whole seconds. */
function leaseTtlFloorSeconds(electionTimeoutMs: number): number {
  return Math.ceil((1.5 * electionTimeoutMs) / 1_000);
}

function grant(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const request = fromBinary(LeaseGrantRequestSchema, bytes);
  if (request.TTL > BigInt(leaseTtlMaxSeconds)) {
    failCall(call, EtcdErrors.leaseTtlTooLarge);
    return;
  }
  if (!context.quota.take(leaseBytes)) {
    failCall(call, EtcdErrors.noSpace);
    return;
  }
  const floor = leaseTtlFloorSeconds(context.consensus.electionTimeoutMs);
  const ttlSeconds = Math.max(Number(request.TTL), floor);
  const body = encodeLeaseGrant({ ttlSeconds, id: request.ID === 0n ? randomLeaseId() : request.ID });
  context.proposer.propose(CommandKind.leaseGrant, body, (result) => {
    if (!call.open) return;
    if (isEtcdError(result)) {
      failCall(call, result);
      return;
    }
    const header = generatedHeader(context, result.revision);
    const message = create(LeaseGrantResponseSchema, { header, ID: result.id, TTL: BigInt(result.ttlSeconds) });
    answerBytes(call, toBinary(LeaseGrantResponseSchema, message));
  });
}

function randomLeaseId(): bigint {
  const id = randomBytes(8).readBigUInt64BE() & 0x7fff_ffff_ffff_ffffn;
  return id === 0n ? 1n : id;
}

function revoke(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { ID } = fromBinary(LeaseRevokeRequestSchema, bytes);
  const body = encodeLeaseRevoke({ ids: [ID], leaderTerm: 0 });
  propose(context, call, CommandKind.leaseRevoke, body, ({ revision }) => {
    const message = create(LeaseRevokeResponseSchema, { header: generatedHeader(context, revision) });
    answerBytes(call, toBinary(LeaseRevokeResponseSchema, message));
  });
}

/** Renewals of one stream are answered in order of arrival. */
function openKeepAlive(context: ServiceContext, call: ServerCall): StreamHandler {
  const rejection = checkMetadata(context, call) ?? checkLearner(context);
  if (rejection !== null) failCall(call, rejection);
  let last: Promise<void> = Promise.resolve();
  return {
    onMessage: (message) => {
      guarded(call, () => {
        const { id } = decodeLeaseKeepAliveRequest(message);
        const header = responseHeader(context, context.machine.store.revision);
        const renewed = renew(context, call, id);
        last = last.then(async () => {
          const outcome = await renewed;
          if (!call.open) return;
          if (outcome.ttl === null) call.finish(outcome.code, outcome.text);
          else call.send(encodeLeaseKeepAliveResponse({ header, id, ttl: outcome.ttl }));
        });
      });
    },
    onHalfClose: () => void last.then(() => call.finish()),
    onClose: () => {},
    onDrain: () => {},
  };
}

type Renewed = { readonly ttl: number } | { readonly ttl: null; readonly code: StatusCode; readonly text: string };

/** `ttl` 0: there is no such lease. */
function renew(context: ServiceContext, call: ServerCall, id: bigint): Promise<Renewed> {
  const caller = context.access.callerOf(call);
  if (isEtcdError(caller)) return Promise.resolve({ ttl: null, ...caller });
  return new Promise((resolve) => {
    const ask = (): void => {
      const answered = ({ code, text, message }: PeerResponse): void => {
        if (code === StatusCode.ok) resolve({ ttl: decodeLeaseKeepAliveResponse(message).ttl });
        else resolve({ ttl: null, code, text });
      };
      const message = encodeLeaseKeepAliveRequest({ id });
      callLeader(context, { path: renewPath, message, caller }, answered);
    };
    if (!context.lessor.primary) {
      ask();
      return;
    }
    renewAsPrimary(context, call, id, (renewed) => {
      if (renewed === null) ask();
      else resolve(renewed);
    });
  });
}

/** `done` gets null when this member turns out not to be the leader. */
function renewAsPrimary(
  context: ServiceContext,
  call: ServerCall,
  id: bigint,
  done: (renewed: Renewed | null) => void,
): void {
  context.reads.request((error) => {
    const denied = error === null ? checkRenewal(context, call, id) : null;
    if (error !== null) done(null);
    else if (denied !== null) done({ ttl: null, code: denied.code, text: denied.text });
    else renewOnceCleared(context, id, done);
  });
}

/** A lease may be renewed by users that may write the keys attached to it, as in etcd 3.6. */
function checkRenewal({ access, machine }: ServiceContext, call: ServerCall, id: bigint): EtcdError | null {
  if (!access.enabled) return null;
  const caller = access.callerOf(call);
  if (isEtcdError(caller)) return caller;
  // A member of an older version forwards renewals without the user, which it has authorized itself.
  if (caller === null) return call.path === renewPath ? null : EtcdErrors.userEmpty;
  if (machine.auth.checkAdmin(caller) === null) return null;
  for (const key of machine.store.keysOfLease(id)) {
    const error = machine.auth.checkKeyAccess(caller, "write", key, emptyBytes);
    if (error !== null) return error;
  }
  return null;
}

/**
 * Promises nothing that a new leader would not honor: a response waits until the log contains no shorter TTL any more.
 */
function renewOnceCleared(context: ServiceContext, id: bigint, done: (renewed: Renewed | null) => void): void {
  const { lessor, proposer, consensus } = context;
  if (!lessor.primary) {
    done(null);
    return;
  }
  const outcome = lessor.renew(id);
  if (outcome?.kind !== "clearFirst") {
    done({ ttl: outcome?.ttlSeconds ?? 0 });
    return;
  }
  const body = encodeLeaseCheckpoint({ checkpoints: [{ id, remainingSeconds: 0 }], leaderTerm: consensus.term() });
  proposer.propose(CommandKind.leaseCheckpoint, body, (result) => {
    if (!lessor.primary) done(null);
    else if (isEtcdError(result)) done({ ttl: null, code: result.code, text: result.text });
    else {
      lessor.cleared(id, outcome.checkpoints);
      renewOnceCleared(context, id, done);
    }
  });
}

function renewLocally(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { id } = decodeLeaseKeepAliveRequest(bytes);
  if (!context.lessor.primary) {
    failCall(call, EtcdErrors.notLeader);
    return;
  }
  renewAsPrimary(context, call, id, (renewed) => {
    if (renewed === null) failCall(call, EtcdErrors.notLeader);
    else if (renewed.ttl === null) call.finish(renewed.code, renewed.text);
    else answer(context, call, writeLeaseKeepAliveResponse, { header: undefined, id, ttl: renewed.ttl });
  });
}

function timeToLive(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  if (!context.lessor.primary) {
    forwardToLeader(context, bytes.slice(), call);
    return;
  }
  const request = bytes.slice();
  const { ID, keys } = fromBinary(LeaseTimeToLiveRequestSchema, request);
  context.reads.request((error) => {
    if (!call.open) return;
    if (error !== null) {
      failCall(call, error);
      return;
    }
    const { machine, lessor } = context;
    // It was the leader when the request arrived. Now it tracks no TTLs, which must not look like an expired lease.
    if (!lessor.primary) {
      timeToLive(context, request, call);
      return;
    }
    const lease = machine.leases.get(ID);
    // Only the keys are secret, as in etcd: without them any user may ask.
    const denied = lease === undefined || !keys ? null : checkLeaseRead(context, call, [lease]);
    if (denied !== null) {
      failCall(call, denied);
      return;
    }
    const remainingMs = lessor.remainingMs(ID);
    const message = create(LeaseTimeToLiveResponseSchema, {
      header: generatedHeader(context, machine.store.revision),
      ID,
      TTL: lease === undefined || remainingMs === null ? -1n : BigInt(Math.floor(remainingMs / 1_000)),
      grantedTTL: BigInt(lease?.ttlSeconds ?? 0),
      keys: keys && lease !== undefined ? machine.store.keysOfLease(ID) : [],
    });
    answerBytes(call, toBinary(LeaseTimeToLiveResponseSchema, message));
  });
}

/** The caller must be allowed to read the keys attached to the leases. */
function checkLeaseRead(context: ServiceContext, call: ServerCall, leases: Iterable<Lease>): EtcdError | null {
  const { access, machine } = context;
  return access.authorizeRead(call, (caller) => {
    if (machine.auth.checkAdmin(caller) === null) return null;
    for (const { id } of leases) {
      for (const key of machine.store.keysOfLease(id)) {
        const error = machine.auth.checkKeyAccess(caller, "read", key, emptyBytes);
        if (error !== null) return error;
      }
    }
    return null;
  });
}

function list(context: ServiceContext, call: ServerCall): void {
  const { machine, lessor } = context;
  const denied = checkLeaseRead(context, call, machine.leases.all());
  if (denied !== null) {
    failCall(call, denied);
    return;
  }
  const endOf = (lease: { id: bigint; ttlSeconds: number }): number =>
    lessor.remainingMs(lease.id) ?? lease.ttlSeconds * 1_000;
  const leases = [...machine.leases.all()]
    .map((lease) => ({ ID: lease.id, endMs: endOf(lease) }))
    .sort((a, b) => a.endMs - b.endMs)
    .map(({ ID }) => ({ $typeName: "etcdserverpb.LeaseStatus" as const, ID }));
  const header = generatedHeader(context, machine.store.revision);
  answerBytes(call, toBinary(LeaseLeasesResponseSchema, create(LeaseLeasesResponseSchema, { header, leases })));
}
