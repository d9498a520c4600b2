/**
 * The state machine (Raft §2): committed entries in, the same data on every member out. Nothing here reads a clock, a
 * random number or this member's own settings; what differs between members (waiting callers, lease timing) is handled
 * by callbacks that cannot change the data.
 */
import { assertNever } from "../../base/assert.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { decodeCompactionRequest } from "../api/compaction.ts";
import { decodeDeleteRangeRequest } from "../api/delete-range.ts";
import { decodePutRequest } from "../api/put.ts";
import { StatusCode } from "../api/status-code.ts";
import { decodeTxnRequest } from "../api/txn.ts";
import { emptyBytes, WireError } from "../api/wire.ts";
import { type ReadBudget, RevisionError, type Store } from "../mvcc/store.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId, Term } from "../raft/entry.ts";
import { AlarmStore } from "./alarm-store.ts";
import type { Alarm, Applied, ApplyResult } from "./apply-result.ts";
import { type AuthChangeKind, type AuthEvent, applyAuthChange, decodeLogin, type LoginBody } from "./auth-command.ts";
import { AuthStore } from "./auth-store.ts";
import { type Command, type CommandCodec, CommandKind, createCommandCodec } from "./command.ts";
import {
  AlarmAction,
  type DowngradeBody,
  decodeAlarm,
  decodeJson,
  decodeLeaseCheckpoint,
  decodeLeaseGrant,
  decodeLeaseRevoke,
  decodeProtocolVersion,
  type MemberAttributesBody,
  type MemberUpdateBody,
} from "./command-body.ts";
import { commandTable } from "./command-table.ts";
import { type EntryVersions, entryVersions, supportsKind } from "./entry-versions.ts";
import { type EtcdError, EtcdErrors, etcdError, isEtcdError } from "./etcd-error.ts";
import { type Lease, type LeaseId, LeaseTable } from "./lease-table.ts";
import type { Member, MembershipChange } from "./membership.ts";
import { MembershipStore } from "./membership-store.ts";
import {
  executeDeleteRange,
  executePut,
  executeTxn,
  mayPut,
  planTxn,
  responseBudget,
  revisionError,
  validatePut,
  writtenWithoutResponse,
} from "./txn.ts";

/** Called in the turn in which an entry is applied; none of them may change the store. */
export type StateMachineListener = {
  /** An entry proposed by this member was applied. */
  completed(requestNumber: number, result: ApplyResult): void;
  /** Whether a caller of this member still waits for the result; if absent, always true. */
  isAwaited?(requestNumber: number): boolean;
  leaseGranted?(lease: Lease): void;
  leaseRevoked?(id: LeaseId): void;
  /** Members were added, changed or removed; `configuration` is the one in force now. */
  membershipChanged?(change: MembershipChange, configuration: Configuration): void;
  alarmsChanged?(alarms: readonly Alarm[]): void;
  /** A login, or a change that invalidates logins. */
  authChanged?(event: AuthEvent): void;
};

export type StateMachineCounts = {
  leasesGranted: number;
  leasesRevoked: number;
  leasesExpired: number;
};

const silent: StateMachineListener = { completed: () => {} };

export class StateMachine {
  readonly store: Store;
  readonly leases: LeaseTable;
  readonly alarms: AlarmStore;
  readonly membership: MembershipStore;
  readonly auth: AuthStore;
  /** Since the member started; for the metrics page. */
  readonly counts: StateMachineCounts = {
    leasesGranted: 0,
    leasesRevoked: 0,
    leasesExpired: 0,
  };
  readonly #codec: CommandCodec;
  readonly versions: EntryVersions;
  #listener: StateMachineListener = silent;

  /**
   * @throws HaplanError `command/unknown` when the store's content requires a later version than this member supports.
   */
  constructor(options: { readonly self: MemberId; readonly store: Store; readonly versions?: EntryVersions }) {
    const { versions = entryVersions } = options;
    this.versions = versions;
    this.store = options.store;
    this.leases = new LeaseTable(options.store.metadata);
    this.alarms = new AlarmStore(options.store.metadata);
    this.membership = new MembershipStore(options.store.metadata);
    this.auth = new AuthStore(options.store.metadata);
    this.#codec = createCommandCodec(options.self, (kind) => supportsKind(versions, kind));
    this.load();
  }

  /** Notifies `listener` of what is applied from now on. */
  listen(listener: StateMachineListener): void {
    this.#listener = listener;
  }

  get appliedIndex(): LogIndex {
    return this.store.consistentIndex;
  }

  /** Reloads leases, alarms, members and users from the store, after a snapshot was installed. */
  load(): void {
    this.leases.load();
    this.alarms.load();
    this.membership.load();
    this.auth.load();
    this.#assertSpoken();
  }

  /**
   * Applies a committed `normal` entry. Entries that the store already contains (after a restart the log is replayed
   * from its last snapshot) are skipped. @throws HaplanError `command/unknown`: the member must stop.
   */
  apply(index: LogIndex, term: Term, payload: Uint8Array): void {
    if (index <= this.store.consistentIndex) return;
    const command = this.#codec.decode(payload);
    const result = this.#execute(command, index, term);
    this.store.setConsistentIndex(index, term);
    if (command.own) this.#listener.completed(command.requestNumber, result);
  }

  /** Applies a committed `configuration` entry. `context` comes from `encodeMembershipContext`. */
  applyConfiguration(index: LogIndex, term: Term, configuration: Configuration, context: Uint8Array): void {
    if (index <= this.store.consistentIndex) return;
    const change = this.membership.applyConfiguration(index, configuration, context);
    for (const member of change.removed) {
      for (const alarm of this.alarms.list(0)) if (alarm.member === member) this.alarms.deactivate(alarm);
    }
    this.store.setConsistentIndex(index, term);
    this.#listener.membershipChanged?.(change, configuration);
  }

  /**
   * A member of an older release must not continue from what later entries have written: it would misread some of it.
   */
  #assertSpoken(): void {
    const { supported } = this.versions;
    const { protocolVersion } = this.membership;
    if (protocolVersion <= supported) return;
    throw new HaplanError(
      "command/unknown",
      `Cannot read this member's data: the cluster has agreed on protocol version ${protocolVersion}, but this ` +
        `haplan-agent supports only ${supported}; start the release that the other members run`,
    );
  }

  #execute(command: Command, index: LogIndex, term: Term): ApplyResult {
    try {
      const { access, touchesData } = commandTable[command.kind];
      if (this.alarms.corrupt && touchesData) return EtcdErrors.corrupt;
      const denied = this.auth.enabled ? access(this, command.caller, command.body) : null;
      return denied ?? this.#executeKind(command, index, term);
    } catch (error) {
      // Deterministic errors of the entry itself; anything else is a bug or a failing disk and must stop the member.
      if (error instanceof WireError) return etcdError(StatusCode.invalidArgument, errorText(error));
      if (error instanceof RevisionError) return revisionError(error.reason)!;
      throw error;
    }
  }

  #executeKind(command: Command, index: LogIndex, term: Term): ApplyResult {
    switch (command.kind) {
      case CommandKind.noOp:
        return this.#done();
      case CommandKind.put:
        return this.#put(command.body);
      case CommandKind.deleteRange:
        return this.#deleteRange(command);
      case CommandKind.txn:
        return this.#txn(command);
      case CommandKind.compact: {
        const scrubbed = this.store.compact(decodeCompactionRequest(command.body).revision);
        return { kind: "compact", revision: this.store.revision, scrubbed };
      }
      case CommandKind.leaseGrant:
        return this.#leaseGrant(command.body);
      case CommandKind.leaseRevoke:
        return this.#leaseRevoke(command.body, term);
      case CommandKind.leaseCheckpoint:
        return this.#leaseCheckpoint(command.body, term);
      case CommandKind.alarm:
        return this.#alarm(command.body);
      case CommandKind.memberAttributes: {
        const { id, name, clientUrls } = decodeJson<MemberAttributesBody>(command.body);
        return this.#memberChanged(this.membership.update(id, { name, clientUrls }));
      }
      case CommandKind.memberUpdate: {
        const { id, changeId, ...fields } = decodeJson<MemberUpdateBody>(command.body);
        return this.#memberChanged(this.membership.updateOnce(index, changeId, id, fields));
      }
      case CommandKind.clusterVersion:
        this.membership.setClusterVersion(Buffer.from(command.body).toString("utf8"));
        return this.#done();
      case CommandKind.downgrade:
        this.membership.setDowngradeTarget(decodeJson<DowngradeBody>(command.body).target);
        return this.#done();
      case CommandKind.protocolVersion:
        this.membership.raiseProtocolVersion(decodeProtocolVersion(command.body).version);
        this.#assertSpoken();
        return this.#done();
      case CommandKind.authenticate:
        return this.#login(decodeLogin(command.body), index);
      case CommandKind.authEnable:
      case CommandKind.authDisable:
      case CommandKind.authUserAdd:
      case CommandKind.authUserDelete:
      case CommandKind.authUserChangePassword:
      case CommandKind.authUserGrantRole:
      case CommandKind.authUserRevokeRole:
      case CommandKind.authRoleAdd:
      case CommandKind.authRoleDelete:
      case CommandKind.authRoleGrantPermission:
      case CommandKind.authRoleRevokePermission:
        return this.#changeAuth(command.kind, command.body);
      default:
        return assertNever(command.kind);
    }
  }

  #done(): Applied {
    return { kind: "done", revision: this.store.revision };
  }

  #put(body: Uint8Array): ApplyResult {
    const request = decodePutRequest(body);
    const problem = this.alarms.noSpace ? EtcdErrors.noSpace : validatePut(this.store, this.leases, request);
    if (problem !== null) return problem;
    const txn = this.store.beginWrite();
    const prevKv = executePut(txn, request);
    return { kind: "put", revision: txn.end(), prevKv };
  }

  #deleteRange(command: Command): ApplyResult {
    const request = decodeDeleteRangeRequest(command.body);
    const txn = this.store.beginWrite();
    const budget = this.#budgetOf(command);
    const { deleted, prevKvs } = executeDeleteRange(txn, request, budget);
    const revision = txn.end();
    if (budget.leftBytes < 0) return writtenWithoutResponse;
    return { kind: "deleteRange", revision, deleted, prevKvs };
  }

  /**
   * Nothing is read for a response without a waiting caller: of another member, from before a restart, or abandoned.
   */
  #budgetOf({ own, requestNumber }: Command): ReadBudget {
    const isAwaited = own && (this.#listener.isAwaited?.(requestNumber) ?? true);
    return isAwaited ? responseBudget() : { leftBytes: -1 };
  }

  #txn(command: Command): ApplyResult {
    const request = decodeTxnRequest(command.body);
    if (this.alarms.noSpace && mayPut(request)) return EtcdErrors.noSpace;
    const path = planTxn(this.store, this.leases, request);
    if (isEtcdError(path)) return path;
    const txn = this.store.beginWrite();
    const budget = this.#budgetOf(command);
    const outcome = executeTxn(txn, path, budget);
    const revision = txn.end();
    if (budget.leftBytes < 0) return writtenWithoutResponse;
    return { kind: "txn", revision, ...outcome };
  }

  #leaseGrant(body: Uint8Array): ApplyResult {
    const { id, ttlSeconds } = decodeLeaseGrant(body);
    const problem = this.#validateGrant(id);
    if (problem !== null) return problem;
    const lease = this.leases.grant(id, ttlSeconds);
    this.counts.leasesGranted++;
    this.#listener.leaseGranted?.(lease);
    return { kind: "leaseGrant", revision: this.store.revision, id, ttlSeconds };
  }

  #validateGrant(id: LeaseId): EtcdError | null {
    if (this.alarms.noSpace) return EtcdErrors.noSpace;
    return this.leases.has(id) ? EtcdErrors.leaseExists : null;
  }

  /** Each lease is one write transaction: all its keys are deleted at one revision. */
  #leaseRevoke(body: Uint8Array, term: Term): ApplyResult {
    const { ids, leaderTerm } = decodeLeaseRevoke(body);
    if (leaderTerm !== 0 && leaderTerm !== term) return this.#done();
    let missing = 0;
    for (const id of ids) {
      if (!this.leases.has(id)) {
        missing++;
        continue;
      }
      const keys = this.store.keysOfLease(id);
      const txn = this.store.beginWrite();
      for (const key of keys) txn.deleteRange(key, emptyBytes);
      txn.end();
      this.leases.revoke(id);
      this.counts.leasesRevoked++;
      if (leaderTerm !== 0) this.counts.leasesExpired++;
      this.#listener.leaseRevoked?.(id);
    }
    return missing > 0 && missing === ids.length ? EtcdErrors.leaseNotFound : this.#done();
  }

  #leaseCheckpoint(body: Uint8Array, term: Term): ApplyResult {
    const { checkpoints, leaderTerm } = decodeLeaseCheckpoint(body);
    if (leaderTerm !== 0 && leaderTerm !== term) return this.#done();
    for (const { id, remainingSeconds } of checkpoints) this.leases.checkpoint(id, remainingSeconds);
    return this.#done();
  }

  #alarm(body: Uint8Array): ApplyResult {
    const { action, alarm } = decodeAlarm(body);
    const revision = this.store.revision;
    if (action === AlarmAction.get) {
      // etcd considers only the type: the member in the request does not matter.
      return { kind: "alarm", revision, alarms: this.alarms.list(alarm.type) };
    }
    if (action === AlarmAction.activate) this.alarms.activate(alarm);
    else if (action !== AlarmAction.deactivate || !this.alarms.deactivate(alarm)) {
      return { kind: "alarm", revision, alarms: [] };
    }
    this.#listener.alarmsChanged?.(this.alarms.list(0));
    return { kind: "alarm", revision, alarms: [alarm] };
  }

  /** The entry's index makes the token unique, and tells members from which entry on they know it. */
  #login({ user: name, tokenPrefix }: LoginBody, index: LogIndex): ApplyResult {
    if (!this.auth.enabled) return EtcdErrors.authNotEnabled;
    const user = this.auth.user(name);
    if (user === undefined || user.options?.noPassword) return EtcdErrors.authFailed;
    const simpleToken = `${tokenPrefix}.${index}`;
    this.#listener.authChanged?.({ kind: "login", user: name, token: simpleToken });
    const { revision: authRevision } = this.auth;
    return { kind: "login", revision: this.store.revision, user: name, simpleToken, authRevision };
  }

  #changeAuth(kind: AuthChangeKind, body: Uint8Array): ApplyResult {
    const outcome = applyAuthChange(this.auth, kind, body);
    if (isEtcdError(outcome)) return outcome;
    if (outcome.event !== null) this.#listener.authChanged?.(outcome.event);
    return this.#done();
  }

  #memberChanged(member: Member | null): ApplyResult {
    if (member === null) return EtcdErrors.memberNotFound;
    this.#listener.membershipChanged?.({ changed: [member], removed: [] }, this.membership.configuration);
    return this.#done();
  }
}
