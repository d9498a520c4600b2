/**
 * The safety properties of each kind of command, in one total table: a new kind does not compile before it declares
 * its authorization, whether it runs while data may be corrupt, its result, and the protocol version that introduced
 * it.
 */
import type { Applied } from "./apply-result.ts";
import type { AuthChangeKind } from "./auth-command.ts";
import { CommandKind } from "./command.ts";
import type { AccessRule } from "./command-access.ts";
import {
  checkedByReceiver,
  deleteRangeAccess,
  leaseRevokeAccess,
  putAccess,
  rootOnly,
  txnAccess,
} from "./command-access.ts";

/** The result of a command of each kind, unless it fails. */
type ResultKinds = {
  readonly [CommandKind.noOp]: "done";
  readonly [CommandKind.put]: "put";
  readonly [CommandKind.deleteRange]: "deleteRange";
  readonly [CommandKind.txn]: "txn";
  readonly [CommandKind.compact]: "compact";
  readonly [CommandKind.leaseGrant]: "leaseGrant";
  readonly [CommandKind.leaseRevoke]: "done";
  readonly [CommandKind.leaseCheckpoint]: "done";
  readonly [CommandKind.alarm]: "alarm";
  readonly [CommandKind.memberAttributes]: "done";
  readonly [CommandKind.memberUpdate]: "done";
  readonly [CommandKind.clusterVersion]: "done";
  readonly [CommandKind.downgrade]: "done";
  readonly [CommandKind.protocolVersion]: "done";
  readonly [CommandKind.authenticate]: "login";
} & { readonly [Kind in AuthChangeKind]: "done" };

export type AppliedBy<Kind extends CommandKind> = Extract<Applied, { kind: ResultKinds[Kind] }>;

type CommandTraits<Kind extends CommandKind> = {
  /** The protocol version between members that introduced this kind: see `EntryVersions`. */
  readonly since: number;
  /** Evaluated where the command is applied, while authentication is enabled. */
  readonly access: AccessRule;
  /** Rejected while a CORRUPT alarm is active (etcd's `applierV3Corrupt`). */
  readonly touchesData: boolean;
  readonly result: ResultKinds[Kind];
};

const membersOwn = { since: 1, access: checkedByReceiver, touchesData: false, result: "done" } as const;
const authChange = { since: 1, access: rootOnly, touchesData: false, result: "done" } as const;

export const commandTable: { readonly [Kind in CommandKind]: CommandTraits<Kind> } = {
  [CommandKind.noOp]: membersOwn,
  [CommandKind.put]: { since: 1, access: putAccess, touchesData: true, result: "put" },
  [CommandKind.deleteRange]: { since: 1, access: deleteRangeAccess, touchesData: true, result: "deleteRange" },
  [CommandKind.txn]: { since: 1, access: txnAccess, touchesData: true, result: "txn" },
  [CommandKind.compact]: { since: 1, access: checkedByReceiver, touchesData: true, result: "compact" },
  [CommandKind.leaseGrant]: { since: 1, access: checkedByReceiver, touchesData: true, result: "leaseGrant" },
  [CommandKind.leaseRevoke]: { since: 1, access: leaseRevokeAccess, touchesData: true, result: "done" },
  [CommandKind.leaseCheckpoint]: membersOwn,
  [CommandKind.alarm]: { since: 1, access: checkedByReceiver, touchesData: false, result: "alarm" },
  [CommandKind.memberAttributes]: membersOwn,
  [CommandKind.memberUpdate]: membersOwn,
  [CommandKind.clusterVersion]: membersOwn,
  [CommandKind.downgrade]: membersOwn,
  [CommandKind.protocolVersion]: { ...membersOwn, since: 2 },
  // The receiving member has verified the password.
  [CommandKind.authenticate]: { since: 1, access: checkedByReceiver, touchesData: false, result: "login" },
  [CommandKind.authEnable]: authChange,
  [CommandKind.authDisable]: authChange,
  [CommandKind.authUserAdd]: authChange,
  [CommandKind.authUserDelete]: authChange,
  [CommandKind.authUserChangePassword]: authChange,
  [CommandKind.authUserGrantRole]: authChange,
  [CommandKind.authUserRevokeRole]: authChange,
  [CommandKind.authRoleAdd]: authChange,
  [CommandKind.authRoleDelete]: authChange,
  [CommandKind.authRoleGrantPermission]: authChange,
  [CommandKind.authRoleRevokePermission]: authChange,
};
