/**
 * haplan's credentials for clusters with auth enabled: HAPLAN_ETCD_USER and HAPLAN_ETCD_PASSWORD, or both in the first
 * as `name:password`, as in etcdctl. Read from the environment only: a spec is shared, and other users of the computer
 * can see arguments.
 */
import type { EtcdUser } from "../../src/control-plane/control-plane.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./refusal.ts";

/** Null if there are none. @throws RefusalError if one of the two is missing */
export function readEtcdUser(environment: Environment): EtcdUser | null {
  const user = environment["HAPLAN_ETCD_USER"] ?? "";
  const given = environment["HAPLAN_ETCD_PASSWORD"];
  if (user === "") return null;
  const colon = user.indexOf(":");
  // A name may contain a colon if the password is given separately.
  const name = given !== undefined || colon === -1 ? user : user.slice(0, colon);
  const password = given ?? (colon === -1 ? "" : user.slice(colon + 1));
  if (name !== "" && password !== "") return { name, password };
  throw refuse(
    "cli/no-password",
    "HAPLAN_ETCD_USER names a user without a password",
    "Set HAPLAN_ETCD_PASSWORD as well, or unset both for a cluster without users.",
  );
}
