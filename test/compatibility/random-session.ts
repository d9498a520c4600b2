/**
 * Random sessions with a cluster: calls of all services, watch streams that stay open, users that are added and
 * removed. A session is plain data, so that one that finds something can be printed, shrunk and repeated. Strings
 * stand for values that are known only while it runs: `now-2` for the revision before the last two, `id of added` for
 * the member's.
 */
import fc from "fast-check";
import type { Body } from "./conversation.ts";
import { keyRange, kvCall, leaseId, mixed, type RandomCall, seldom } from "./random-kv.ts";
import { b64 } from "./script-words.ts";

/** The caller, while authentication is on; `nobody` has an invalid token. */
export type Caller = "anonymous" | "root" | "alice" | "bob" | "nobody";

export type SessionStep = { readonly member?: number } & (
  | (RandomCall & { readonly kind: "call"; readonly as: Caller; readonly keep?: string })
  | { readonly kind: "keepAlive"; readonly ids: readonly string[] }
  | { readonly kind: "watch"; readonly stream: number; readonly as: Caller; readonly request: Body }
  | { readonly kind: "closeStream"; readonly stream: number }
);

export type Session = readonly SessionStep[];

/** Relative to the last revision in a response. */
const revision: fc.Arbitrary<string> = mixed(
  [8, fc.integer({ min: 0, max: 8 }).map((back) => `now-${back}`)],
  [2, fc.constantFrom("0", "1", "-1", "now+1", "now+2", "1000000")],
);

const callOf = (method: string, body: Body = {}, as: Caller = "root"): SessionStep => ({
  kind: "call",
  method,
  body,
  as,
});

const one = (method: string, body: fc.Arbitrary<Body>): fc.Arbitrary<RandomCall> =>
  body.map((chosen) => ({ method, body: chosen }));
const fixed = (method: string, ...bodies: Body[]): fc.Arbitrary<RandomCall> => one(method, fc.constantFrom(...bodies));

const ttl = mixed([8, fc.constantFrom("100", "600", "9000000000")], [1, fc.constant("9000000001")]);
const leaseCall: fc.Arbitrary<RandomCall> = mixed(
  [5, one("Lease/LeaseGrant", fc.record({ ID: leaseId, TTL: ttl }))],
  [3, one("Lease/LeaseRevoke", fc.record({ ID: leaseId }))],
  [2, one("Lease/LeaseTimeToLive", fc.record({ ID: leaseId, keys: seldom(fc.constant(true), 5) }))],
  [1, fixed("Lease/LeaseLeases", {})],
);

const user = mixed([12, fc.constantFrom("root", "alice", "bob")], [1, fc.constant("")]);
const role = mixed([12, fc.constantFrom("root", "some", "other")], [1, fc.constant("")]);
const password = fc.constantFrom("p", "q", "");
/**
 * A range has one end for each beginning: which one replaces which is one of the intended differences
 * (permission-replaced).
 */
const grantedRange = fc
  .constantFrom(["a", "b"], ["ab", ""], ["b", "d"], ["c", "\0"], ["\0", "\0"])
  .map(([key, end]) => ({ key: b64(key!), range_end: b64(end!) }));
const permType = fc.constantFrom("READ", "WRITE", "READWRITE");
const authCall: fc.Arbitrary<RandomCall> = mixed(
  [3, one("Auth/UserAdd", fc.record({ name: user, password, options: seldom(fc.constant({ no_password: true })) }))],
  [1, one("Auth/UserDelete", fc.record({ name: user }))],
  [2, fixed("Auth/UserGet", { name: "root" }, { name: "alice" }, { name: "bob" })],
  [1, one("Auth/UserChangePassword", fc.record({ name: user, password }))],
  [4, one("Auth/UserGrantRole", fc.record({ user, role }))],
  [1, one("Auth/UserRevokeRole", fc.record({ name: user, role }))],
  [2, one("Auth/RoleAdd", fc.record({ name: role }))],
  [1, one("Auth/RoleDelete", fc.record({ role }))],
  [2, fixed("Auth/RoleGet", { role: "some" }, { role: "other" }, {})],
  [
    5,
    one(
      "Auth/RoleGrantPermission",
      fc.record({
        name: role,
        perm: fc.tuple(grantedRange, permType).map(([range, type]) => ({ ...range, permType: type })),
      }),
    ),
  ],
  [
    2,
    one(
      "Auth/RoleRevokePermission",
      fc.tuple(role, grantedRange).map(([name, range]) => ({ role: name, ...range })),
    ),
  ],
  [4, one("Auth/Authenticate", fc.record({ name: user, password }))],
  [1, fixed("Auth/UserList", {})],
  [1, fixed("Auth/RoleList", {})],
  [1, fixed("Auth/AuthEnable", {})],
  [1, fixed("Auth/AuthDisable", {})],
);

const maintenanceCall: fc.Arbitrary<RandomCall> = mixed(
  [4, one("Maintenance/HashKV", fc.record({ revision }))],
  [1, fixed("Maintenance/Status", {})],
  [1, fixed("Maintenance/Alarm", {}, { memberID: "5" }, { action: "DEACTIVATE", memberID: "6", alarm: "NOSPACE" })],
  [1, fixed("Cluster/MemberList", {}, { linearizable: true })],
  [1, fixed("Cluster/MemberAdd", {}, { peerURLs: ["nonsense"] }, { peerURLs: ["http://127.0.0.1"], isLearner: true })],
  [1, fixed("Cluster/MemberRemove", { ID: "404" }, {})],
  [1, fixed("Cluster/MemberUpdate", { ID: "404", peerURLs: ["http://127.0.0.1:1"] })],
  [1, fixed("Cluster/MemberPromote", { ID: "404" })],
);

/** Each name belongs to one lease, so that no call has to wait. */
const lockName = fc.constantFrom(["lock/1", "11"], ["lock/2", "12"], ["lock/3", "404"]);
const leader = fc.record({
  name: fc.constant(b64("vote")),
  key: fc.constantFrom("vote/d", "vote/none").map(b64),
  rev: revision,
  lease: fc.constantFrom("13", "12"),
});
const lockCall: fc.Arbitrary<RandomCall> = mixed(
  [
    3,
    one(
      "Lock/Lock",
      lockName.map(([name, lease]) => ({ name: b64(name!), lease })),
    ),
  ],
  [2, fixed("Lock/Unlock", { key: b64("lock/1/b") }, { key: b64("lock/2/c") }, {})],
  [
    3,
    one(
      "Election/Campaign",
      fc.record({
        name: fc.constant(b64("vote")),
        lease: fc.constantFrom("13", "404"),
        value: fc.constantFrom("", b64("v"), b64("w")),
      }),
    ),
  ],
  [2, fixed("Election/Leader", { name: b64("vote") }, { name: b64("none") }, {})],
  [1, one("Election/Proclaim", fc.record({ leader: seldom(leader, 20), value: fc.constantFrom("", b64("x")) }))],
  [1, one("Election/Resign", fc.record({ leader: seldom(leader, 20) }))],
);

const watchId = fc.constantFrom("0", "1", "2", "7");
const watchRequest = mixed<Body>(
  [
    10,
    fc
      .tuple(
        keyRange,
        fc.record({
          start_revision: seldom(
            mixed(
              [6, fc.integer({ min: -8, max: 3 }).map((by) => (by < 0 ? `now${by}` : `now+${by}`))],
              [1, fc.constantFrom("1", "1000000")],
            ),
            4,
          ),
          filters: seldom(fc.constantFrom(["NOPUT"], ["NODELETE"], ["NOPUT", "NODELETE"], ["NOPUT", "NOPUT"])),
          prev_kv: seldom(fc.constant(true), 3),
          progress_notify: seldom(fc.constant(true)),
          fragment: seldom(fc.constant(true)),
          watch_id: seldom(watchId),
        }),
      )
      .map(([range, more]) => ({ create_request: { ...range, ...more } })),
  ],
  [3, mixed([6, watchId], [1, fc.constantFrom("404", "-1")]).map((watch_id) => ({ cancel_request: { watch_id } }))],
  [1, fc.constant({ progress_request: {} })],
);

const caller: fc.Arbitrary<Caller> = fc.constantFrom("root", "alice", "bob", "anonymous", "nobody", "root", "alice");
const member = fc.nat({ max: 2 });

/** Steps that belong together: none of them is left out when a session shrinks. */
function steps(members: number): fc.Arbitrary<Session> {
  const singly = (call: fc.Arbitrary<RandomCall>): fc.Arbitrary<Session> =>
    fc
      .record({ request: call, as: caller, member })
      .map(({ request, ...rest }) => [{ kind: "call", ...request, ...rest }]);
  const kvOptions = { revision, bigValue: fc.constant("20 kB"), revisionsInTxn: members === 1 };
  const kv = (txnDepth: number): fc.Arbitrary<RandomCall> => kvCall({ ...kvOptions, txnDepth });
  const stream = fc.nat({ max: 1 });
  return mixed<Session>(
    [30, singly(kv(4))],
    [6, singly(leaseCall)],
    [
      1,
      fc.record({ ids: fc.array(leaseId, { maxLength: 3 }), member }).map((rest) => [{ kind: "keepAlive", ...rest }]),
    ],
    [6, fc.record({ request: watchRequest, stream, as: caller, member }).map((rest) => [{ kind: "watch", ...rest }])],
    [1, fc.record({ stream }).map((rest) => [{ kind: "closeStream", ...rest }])],
    [5, singly(authCall)],
    [3, singly(maintenanceCall)],
    [2, singly(lockCall)],
    [
      1,
      fc
        .constantFrom("1", "0", "-5")
        .map((short) => [
          callOf("Lease/LeaseGrant", { ID: "14", TTL: short }),
          callOf("Lease/LeaseRevoke", { ID: "14" }),
        ]),
    ],
    // An etcd without space misses the puts of nested transactions (`nested-puts-take-space`).
    [1, alarmed(singly(kv(1)))],
    ...(members === 1 ? [[1, fc.constant(learnerComesAndGoes)] as const] : []),
  );
}

function alarmed(meanwhile: fc.Arbitrary<Session>): fc.Arbitrary<Session> {
  const alarm = fc.record({
    memberID: fc.constantFrom("5", "6"),
    alarm: fc.constantFrom("NOSPACE", "NOSPACE", "CORRUPT"),
  });
  return fc
    .tuple(alarm, fc.array(meanwhile, { maxLength: 4 }))
    .map(([body, inner]) => [
      callOf("Maintenance/Alarm", { ...body, action: "ACTIVATE" }),
      ...inner.flat(),
      callOf("Maintenance/Alarm", { ...body, action: "DEACTIVATE" }),
    ]);
}

const learnerComesAndGoes: Session = [
  {
    ...callOf("Cluster/MemberAdd", { peerURLs: ["a new url"], isLearner: true }),
    kind: "call",
    keep: "added",
  } as SessionStep,
  callOf("Cluster/MemberPromote", { ID: "id of added" }),
  callOf("Cluster/MemberRemove", { ID: "id of added" }),
];

/** Users with some rights, and tokens. */
const withUsers: Session = [
  ...["root", "alice", "bob"].map((name) => callOf("Auth/UserAdd", { name, password: "p" })),
  ...["root", "some", "other"].map((name) => callOf("Auth/RoleAdd", { name })),
  callOf("Auth/UserGrantRole", { user: "root", role: "root" }),
  callOf("Auth/UserGrantRole", { user: "alice", role: "some" }),
  callOf("Auth/UserGrantRole", { user: "bob", role: "other" }),
  callOf("Auth/RoleGrantPermission", {
    name: "some",
    perm: { permType: "READWRITE", key: b64("a"), range_end: b64("b") },
  }),
  callOf("Auth/RoleGrantPermission", { name: "other", perm: { permType: "READ", key: b64("b"), range_end: b64("d") } }),
  callOf("Auth/AuthEnable"),
  ...["root", "alice", "bob"].map((name) => callOf("Auth/Authenticate", { name, password: "p" })),
];

/** Sessions of `length` steps or more, a third of them with authentication from the beginning. */
export function session(members: number, length: number): fc.Arbitrary<Session> {
  const middle = fc.array(steps(members), { minLength: length, maxLength: length });
  const beginning = mixed([2, fc.constant<Session>([])], [1, fc.constant(withUsers)]);
  return fc.tuple(beginning, middle).map(([first, rest]) => [...first, ...rest.flat()]);
}
