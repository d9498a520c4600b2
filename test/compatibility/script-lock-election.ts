/** Lock and Election. Begins with any state: its names are its own. */
import type { ClusterFacts, Step } from "./conversation.ts";
import { b64, call, etcdctl, range, stream } from "./script-words.ts";

const lease = (ID: string): Step => call("Lease/LeaseGrant", { TTL: "600", ID });
const revoke = (ID: string): Step => call("Lease/LeaseRevoke", { ID });
const keptLeader = (name: string) => (facts: ClusterFacts) => ({
  leader: (facts.kept.get(name) as { leader?: object }).leader ?? {},
});

const locks: readonly Step[] = [
  lease("5001"),
  call("Lock/Lock", { name: b64("lock"), lease: "5001" }),
  call("Lock/Lock", { name: b64("lock"), lease: "5001" }),
  range("lock/", { range_end: b64("lock0") }),
  call("Lock/Lock", { name: b64("lock"), lease: "404" }),
  call("Lock/Unlock", { key: b64("lock/1389") }),
  call("Lock/Unlock", { key: b64("lock/1389") }),
  call("Lock/Unlock", {}),
  call("Lock/Lock", { name: b64("lock"), lease: "5001" }),
  revoke("5001"),
  range("lock/", { range_end: b64("lock0") }),
  etcdctl("lock named-lock echo held"),
];

const elections: readonly Step[] = [
  call("Election/Leader", { name: b64("vote") }),
  call("Election/Proclaim", {}),
  call("Election/Resign", {}),
  lease("5002"),
  call("Election/Campaign", { name: b64("vote"), lease: "5002", value: b64("first") }, { keep: "campaign" }),
  call("Election/Campaign", { name: b64("vote"), lease: "5002", value: b64("second") }),
  call("Election/Leader", { name: b64("vote") }),
  call("Election/Proclaim", (facts) => ({ ...keptLeader("campaign")(facts), value: b64("third") })),
  call("Election/Leader", { name: b64("vote") }),
  stream("Election/Observe", [{ send: { name: b64("vote") } }, { read: 1 }]),
  call("Election/Campaign", { name: b64("vote"), lease: "404", value: b64("nobody") }),
  call("Election/Resign", keptLeader("campaign")),
  call("Election/Resign", keptLeader("campaign")),
  call("Election/Proclaim", (facts) => ({ ...keptLeader("campaign")(facts), value: b64("late") })),
  call("Election/Leader", { name: b64("vote") }),
  revoke("5002"),
];

export const lockScript: readonly Step[] = [...locks, ...elections];
