/**
 * What decides safety for each kind of command, in one total table: a new kind does not compile before it says who may
 * ask for it, whether it runs while data may be damaged, and what its caller gets back.
 */
import type { Applied } from "./apply-result.ts";
import type { AuthChangeKind } from "./auth-command.ts";
import { CommandKind } from "./command.ts";
import type { AccessRule } from "./command-access.ts";
import {
  checkedWhereAsked,
  deleteRangeAccess,
  leaseRevokeAccess,
  putAccess,
  rootOnly,
  txnAccess,
} from "./command-access.ts";

/** What a command of each kind gives back, unless it fails. */
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
  readonly [CommandKind.authenticate]: "login";
} & { readonly [Kind in AuthChangeKind]: "done" };

export type AppliedBy<Kind extends CommandKind> = Extract<Applied, { kind: ResultKinds[Kind] }>;

type CommandTraits<Kind extends CommandKind> = {
  /** Asked where the command is applied, while authentication is on. */
  readonly access: AccessRule;
  /** Refused while a CORRUPT alarm is on (etcd's `applierV3Corrupt`). */
  readonly touchesData: boolean;
  readonly result: ResultKinds[Kind];
};

const membersOwn = { access: checkedWhereAsked, touchesData: false, result: "done" } as const;
const authChange = { access: rootOnly, touchesData: false, result: "done" } as const;

export const commandTable: { readonly [Kind in CommandKind]: CommandTraits<Kind> } = {
  [CommandKind.noOp]: membersOwn,
  [CommandKind.put]: { access: putAccess, touchesData: true, result: "put" },
  [CommandKind.deleteRange]: { access: deleteRangeAccess, touchesData: true, result: "deleteRange" },
  [CommandKind.txn]: { access: txnAccess, touchesData: true, result: "txn" },
  [CommandKind.compact]: { access: checkedWhereAsked, touchesData: true, result: "compact" },
  [CommandKind.leaseGrant]: { access: checkedWhereAsked, touchesData: true, result: "leaseGrant" },
  [CommandKind.leaseRevoke]: { access: leaseRevokeAccess, touchesData: true, result: "done" },
  [CommandKind.leaseCheckpoint]: membersOwn,
  [CommandKind.alarm]: { access: checkedWhereAsked, touchesData: false, result: "alarm" },
  [CommandKind.memberAttributes]: membersOwn,
  [CommandKind.memberUpdate]: membersOwn,
  [CommandKind.clusterVersion]: membersOwn,
  [CommandKind.downgrade]: membersOwn,
  // Its password has been checked by the member that was asked.
  [CommandKind.authenticate]: { access: checkedWhereAsked, touchesData: false, result: "login" },
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
