/**
 * Every error that the agent returns over gRPC, with etcd's exact code and text: clients match both, clientv3 the text
 * alone. Two codes are those actually sent over the wire, not those that etcd declares (`unhealthyMembers`,
 * `tooManyRequests`). Source: etcd api/v3rpc/rpctypes/error.go and server/etcdserver/api/v3rpc/util.go.
 */
import { StatusCode } from "../api/status-code.ts";

export type EtcdError = {
  readonly kind: "etcdError";
  readonly code: StatusCode;
  /** The whole text as seen by clients, including the prefix. */
  readonly text: string;
};

/** An error outside the table, for errors that etcd does not have. The text gets etcd's prefix. */
export function etcdError(code: StatusCode, text: string): EtcdError {
  return { kind: "etcdError", code, text: `etcdserver: ${text}` };
}

/** True for values of the table, so that results may be unions with it. */
export function isEtcdError(value: unknown): value is EtcdError {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "etcdError";
}

/** Names and texts by gRPC code, without the prefix. */
const texts = {
  invalidArgument: {
    emptyKey: "key is not provided",
    keyNotFound: "key not found",
    valueProvided: "value is provided",
    leaseProvided: "lease is provided",
    tooManyOps: "too many operations in txn request",
    duplicateKey: "duplicate key given in txn request",
    invalidClientApiVersion: "invalid client api version",
    invalidSortOption: "invalid sort option",
    badMemberUrls: "given member URLs are invalid",
    requestTooLarge: "request is too large",
    userEmpty: "user name is empty",
    roleEmpty: "role name is empty",
    authFailed: "authentication failed, invalid user ID or password",
    permissionNotGiven: "permission not given",
    invalidAuthManagement: "invalid auth management",
    authOldRevision: "revision of auth store is old",
    wrongDowngradeVersionFormat: "wrong downgrade target version format",
    invalidDowngradeTarget: "invalid downgrade target version",
  },
  outOfRange: {
    compacted: "mvcc: required revision has been compacted",
    futureRevision: "mvcc: required revision is a future revision",
    leaseTtlTooLarge: "too large lease TTL",
  },
  resourceExhausted: {
    noSpace: "mvcc: database space exceeded",
  },
  notFound: {
    leaseNotFound: "requested lease not found",
    memberNotFound: "member not found",
  },
  failedPrecondition: {
    leaseExists: "lease already exists",
    memberIdExists: "member ID already exist",
    peerUrlExists: "Peer URLs already exists",
    memberNotLearner: "can only promote a learner member",
    learnerNotReady: "can only promote a learner member which is in sync with leader",
    tooManyLearners: "too many learner members in cluster",
    clusterIdMismatch: "cluster ID mismatch",
    rootUserNotExist: "root user does not exist",
    rootRoleNotExist: "root user does not have root role",
    userAlreadyExists: "user name already exists",
    userNotFound: "user name not found",
    roleAlreadyExists: "role name already exists",
    roleNotFound: "role name not found",
    roleNotGranted: "role is not granted to the user",
    permissionNotGranted: "permission is not granted to the role",
    authNotEnabled: "authentication is not enabled",
    notLeader: "not leader",
    notCapable: "not capable",
    notSupportedForLearner: "rpc not supported for learner",
    badLeaderTransferee: "bad leader transferee",
    clusterVersionUnavailable: "cluster version not found during downgrade",
    downgradeInProgress: "cluster has a downgrade job in progress",
    noInflightDowngrade: "no inflight downgrade job",
  },
  permissionDenied: {
    permissionDenied: "permission denied",
  },
  unauthenticated: {
    invalidAuthToken: "invalid auth token",
  },
  unavailable: {
    noLeader: "no leader",
    leaderChanged: "leader changed",
    stopped: "server stopped",
    timeout: "request timed out",
    timeoutLeaderFailure: "request timed out, possibly due to previous leader failure",
    timeoutConnectionLost: "request timed out, possibly due to connection lost",
    timeoutWaitingAppliedIndex: "request timed out, waiting for the applied index took too long",
    unhealthy: "unhealthy cluster",
  },
  dataLoss: {
    corrupt: "corrupt cluster",
  },
  cancelled: {
    watchCanceled: "watch canceled",
  },
  unknown: {
    notEnoughStarted: "re-configuration failed due to not enough started members",
    tooManyRequests: "too many requests",
    timeoutLeaderTransfer: "request timed out, leader transfer took too long",
  },
} as const;

type NamesIn<Group> = Group extends unknown ? keyof Group : never;
export type EtcdErrorName = NamesIn<(typeof texts)[keyof typeof texts]>;

export const EtcdErrors: Readonly<Record<EtcdErrorName, EtcdError>> = Object.freeze(
  Object.fromEntries(
    Object.entries(texts).flatMap(([code, group]) =>
      Object.entries(group).map(([name, text]) => [name, etcdError(StatusCode[code as keyof typeof StatusCode], text)]),
    ),
  ) as Record<EtcdErrorName, EtcdError>,
);
