/** One of the two clusters of a migration: its members, and one client for all of them. */
import type { MembersRequest } from "../control-plane/control-plane.ts";
import { withLogin } from "../control-plane/login.ts";
import type { MemberPool } from "../control-plane/member-pool.ts";
import { openMembers } from "../control-plane/open-members.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { connect } from "../etcd-client/grpc-client.ts";

export type ClusterEnd = {
  /** For calls to particular members, and for those that any member may answer. */
  readonly pool: MemberPool;
  /** For watches, which continue at another member. */
  readonly client: EtcdClient;
  readonly endpoints: readonly string[];
  close(): Promise<void>;
};

export function openClusterEnd(request: MembersRequest): ClusterEnd {
  const { endpoints, tls } = request;
  const members = openMembers(request);
  const identity = tls === null ? {} : { tls: { ca: tls.caPem, cert: tls.certificatePem, key: tls.keyPem } };
  const grpc = connect({ endpoints, ...identity, connectTimeoutMs: 2_000 });
  const client = new EtcdClient(members.login === null ? grpc : withLogin(grpc, members.login));
  return {
    pool: members.pool,
    client,
    endpoints,
    close: async () => {
      members.close();
      await grpc.close();
    },
  };
}
