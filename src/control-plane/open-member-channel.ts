/** A channel to one endpoint over haplan's own gRPC client; it connects when the first call is made. */

import type { ClientTls } from "../etcd-client/endpoint.ts";
import { snapshot } from "../etcd-client/etcd-cluster.ts";
import { connect, type GrpcClient } from "../etcd-client/grpc-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import type { TlsMaterial } from "../pki/tls-material.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { MemberChannel } from "./member-calls.ts";

const connectTimeoutMs = 2000;
/** Longer than any call: by then all calls on a connection that was given up have ended. */
const retirementMs = 35_000;

function clientTls({ caPem, certificatePem, keyPem, acceptedExpired = [] }: TlsMaterial): ClientTls {
  return { ca: caPem, cert: certificatePem, key: keyPem, acceptedExpired };
}

export function openMemberChannel(endpoint: string, tls: TlsMaterial | null): MemberChannel {
  const identity = tls === null ? {} : { tls: clientTls(tls) };
  const open = (): GrpcClient => connect({ endpoints: [endpoint], ...identity, connectTimeoutMs });
  const retired = new Set<GrpcClient>();
  let client = open();

  /** Lets other calls on the connection finish; later calls get a new one. */
  function retire(silent: GrpcClient): void {
    if (silent !== client) return;
    client = open();
    retired.add(silent);
    const close = (): void => {
      retired.delete(silent);
      void silent.close();
    };
    setTimeout(close, retirementMs).unref();
  }

  return {
    unary: async (path, request, timeoutMs, metadata = {}) => {
      const used = client;
      try {
        return await used.unary(path, request, { timeoutMs, metadata });
      } catch (error) {
        // Whoever is silent may have vanished without a word: the next call tries a fresh connection.
        if (error instanceof GrpcError && error.code === StatusCode.deadlineExceeded) retire(used);
        throw error;
      }
    },
    snapshot: (timeoutMs, metadata = {}) => snapshot(client, { timeoutMs, metadata }),
    close: () => {
      for (const one of [client, ...retired]) void one.close();
    },
  };
}
