/** Channels to a cluster's members, authenticated with haplan's user if there is one. */
import type { CallChannel } from "../etcd-client/call-channel.ts";
import { openMemberChannel } from "../etcd-client/member-channel.ts";
import type { MembersRequest } from "./control-plane.ts";
import { Login, withLogin } from "./login.ts";
import { MemberPool } from "./member-pool.ts";

export type OpenedMembers = {
  readonly pool: MemberPool;
  /** Null if haplan has no credentials. */
  readonly login: Login | null;
  close(): void;
};

/** Connects to each member on its first call. */
export function openMembers({ endpoints, tls, user = null }: MembersRequest): OpenedMembers {
  const open = (endpoint: string): CallChannel => openMemberChannel(endpoint, tls);
  const login = user === null ? null : new Login(new MemberPool(endpoints, open), user);
  const openForUser = (endpoint: string): CallChannel =>
    login === null ? open(endpoint) : withLogin(open(endpoint), login);
  const pool = new MemberPool(endpoints, openForUser);
  return {
    pool,
    login,
    close: () => {
      pool.close();
      login?.close();
    },
  };
}
