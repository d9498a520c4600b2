/**
 * Users, roles, and whether authentication is enabled, stored in the store's metadata under etcd's bucket names with
 * etcd's values (server/auth/store.go). Every change increments the auth revision, so that decisions based on an older
 * one can be detected.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Permission, type Role, RoleSchema, type User, UserSchema } from "../api/gen/authpb/auth_pb.ts";
import type { Metadata } from "../mvcc/backend/backend.ts";
import type { Caller } from "./caller.ts";
import { type EtcdError, EtcdErrors } from "./etcd-error.ts";
import { grantedIntervals, holdsRange, type KeyIntervals } from "./key-permissions.ts";

const users = "authUsers";
const roles = "authRoles";
const auth = "auth";
const enabledKey = "authEnabled";
const revisionKey = "authRevision";
/** The name of both the user and the role with all permissions. */
export const rootName = "root";
/** etcd writes it when a cluster starts. */
const firstRevision = 1;

type Granted = { readonly read: KeyIntervals; readonly write: KeyIntervals };

export class AuthStore {
  readonly #metadata: Metadata;
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  /** The combined permissions of each user's roles; cleared by every change. */
  readonly #granted = new Map<string, Granted>();
  #revision = firstRevision;
  /** Read for every request: a plain field. */
  enabled = false;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Reloads everything, at start and after a snapshot was installed. */
  load(): void {
    this.#users.clear();
    this.#roles.clear();
    this.#granted.clear();
    // Decoded byte fields are views: of a copy, since the backend owns the bytes it returns.
    for (const [name, bytes] of this.#metadata.entries(users)) {
      this.#users.set(name, fromBinary(UserSchema, bytes.slice()));
    }
    for (const [name, bytes] of this.#metadata.entries(roles)) {
      this.#roles.set(name, fromBinary(RoleSchema, bytes.slice()));
    }
    this.enabled = this.#metadata.get(auth, enabledKey)?.[0] === 1;
    const revision = this.#metadata.get(auth, revisionKey);
    this.#revision = revision?.length === 8 ? Number(Buffer.from(revision).readBigUInt64BE()) : firstRevision;
  }

  user(name: string): User | undefined {
    return this.#users.get(name);
  }

  role(name: string): Role | undefined {
    return this.#roles.get(name);
  }

  /** In byte order. */
  userNames(): string[] {
    return sortedNames(this.#users);
  }

  roleNames(): string[] {
    return sortedNames(this.#roles);
  }

  setEnabled(enabled: boolean): void {
    this.enabled = enabled;
    this.#metadata.put(auth, enabledKey, Uint8Array.of(enabled ? 1 : 0));
  }

  /** Called once by every change but enabling. */
  countRevision(): void {
    this.#revision++;
    this.#granted.clear();
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(this.#revision));
    this.#metadata.put(auth, revisionKey, bytes);
  }

  putUser(name: string, fields: Pick<User, "password" | "roles"> & Pick<Partial<User>, "options">): void {
    const user = create(UserSchema, { name: Buffer.from(name), ...fields });
    this.#users.set(name, user);
    this.#metadata.put(users, name, toBinary(UserSchema, user));
  }

  deleteUser(name: string): void {
    this.#users.delete(name);
    this.#metadata.delete(users, name);
  }

  putRole(name: string, keyPermission: Permission[]): void {
    const role = create(RoleSchema, { name: Buffer.from(name), keyPermission });
    this.#roles.set(name, role);
    this.#metadata.put(roles, name, toBinary(RoleSchema, role));
  }

  deleteRole(name: string): void {
    this.#roles.delete(name);
    this.#metadata.delete(roles, name);
  }

  /** Null when `caller` may do what only root may, or when authentication is disabled. */
  checkAdmin(caller: Caller | null): EtcdError | null {
    if (!this.enabled) return null;
    if (caller === null || caller.user === "") return EtcdErrors.userEmpty;
    const user = this.#users.get(caller.user);
    if (user === undefined) return EtcdErrors.userNotFound;
    return user.roles.includes(rootName) ? null : EtcdErrors.permissionDenied;
  }

  /** Null when `caller` has access to the keys, or when authentication is disabled. `rangeEnd` as in a RangeRequest. */
  checkKeyAccess(
    caller: Caller | null,
    access: "read" | "write",
    key: Uint8Array,
    rangeEnd: Uint8Array,
  ): EtcdError | null {
    if (!this.enabled) return null;
    if (caller === null || caller.authRevision === 0) return EtcdErrors.userEmpty;
    if (caller.authRevision < this.#revision) return EtcdErrors.authOldRevision;
    const user = this.#users.get(caller.user);
    if (user === undefined) return EtcdErrors.permissionDenied;
    if (user.roles.includes(rootName)) return null;
    return holdsRange(this.#grantedTo(caller.user, user)[access], key, rangeEnd) ? null : EtcdErrors.permissionDenied;
  }

  #grantedTo(name: string, user: User): Granted {
    let granted = this.#granted.get(name);
    if (granted === undefined) {
      const permissions = user.roles.flatMap((role) => this.#roles.get(role)?.keyPermission ?? []);
      granted = { read: grantedIntervals(permissions, "read"), write: grantedIntervals(permissions, "write") };
      this.#granted.set(name, granted);
    }
    return granted;
  }
}

function sortedNames(map: ReadonlyMap<string, unknown>): string[] {
  return [...map.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
