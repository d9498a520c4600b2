/**
 * The declaration of a method: which callers may call it while authentication is enabled. Declared with the method and
 * without a default, so that a new method does not compile before it is declared. Permissions on keys are checked
 * where keys are accessed.
 *
 * etcd 3.4 leaves some methods open; ours follow etcd's later fixes (GHSA advisories on leases, alarms, compaction and
 * the member list): without a user a caller reads and changes nothing.
 */
import type { Method, ServerCall } from "../grpc/call.ts";

/**
 * - `root`: a user with the role root.
 * - `user`: any user.
 * - `checkedByMethod`: the method checks by itself.
 * - `member`: only other members can call it, on the peer port.
 */
export type AccessLevel = "root" | "user" | "checkedByMethod" | "member";

type Declared = { readonly access: AccessLevel };
export type ServedMethod = Method & Declared;
export type UnaryMethod = Extract<Method, { kind: "unary" }> & Declared;
export type StreamMethod = Extract<Method, { kind: "stream" }> & Declared;

export type MethodDeclaration = Declared & {
  readonly path: string;
  /** A member that is reported as a learner may serve it. */
  readonly learner?: boolean;
  /** The call is over, for whatever reason. */
  readonly onClose?: (call: ServerCall) => void;
};
