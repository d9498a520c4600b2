/**
 * Who haplan is to the members of a cluster that has users: HAPLAN_ETCD_USER and HAPLAN_ETCD_PASSWORD, or both in the
 * first as `name:password`, as etcdctl takes them. From the environment only: a spec is shared, and arguments are seen
 * by everybody on the computer.
 */
import type { EtcdUser } from "../../src/control-plane/control-plane.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./refusal.ts";

/** Null when there is none. @throws RefusalError for half of one */
export function readEtcdUser(environment: Environment): EtcdUser | null {
  const user = environment["HAPLAN_ETCD_USER"] ?? "";
  const given = environment["HAPLAN_ETCD_PASSWORD"];
  if (user === "") return null;
  const colon = user.indexOf(":");
  // A name may hold a colon when the password comes by itself.
  const name = given !== undefined || colon === -1 ? user : user.slice(0, colon);
  const password = given ?? (colon === -1 ? "" : user.slice(colon + 1));
  if (name !== "" && password !== "") return { name, password };
  throw refuse(
    "cli/no-password",
    "HAPLAN_ETCD_USER names a user without a password",
    "Set HAPLAN_ETCD_PASSWORD as well, or unset both for a cluster without users.",
  );
}
