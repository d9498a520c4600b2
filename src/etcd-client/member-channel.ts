/** A channel to one member; it connects when the first call is made. */
import type { TlsCredentials } from "../base/tls-credentials.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { CallChannel } from "./call-channel.ts";
import type { ClientTls } from "./endpoint.ts";
import { connect, type GrpcClient } from "./grpc-client.ts";
import { GrpcError } from "./grpc-error.ts";

const connectTimeoutMs = 2000;
/** Longer than any call: by then all calls on a connection that was given up have ended. */
const retirementMs = 35_000;

function clientTls({ caPem, certificatePem, keyPem, acceptedExpired = [] }: TlsCredentials): ClientTls {
  return { ca: caPem, cert: certificatePem, key: keyPem, acceptedExpired };
}

export function openMemberChannel(endpoint: string, tls: TlsCredentials | null): CallChannel {
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
    unary: async (path, request, options) => {
      const used = client;
      try {
        return await used.unary(path, request, options);
      } catch (error) {
        // A member that is silent may have vanished without a word: the next call tries a fresh connection.
        if (error instanceof GrpcError && error.code === StatusCode.deadlineExceeded) retire(used);
        throw error;
      }
    },
    stream: (path, options) => client.stream(path, options),
    close: async () => {
      await Promise.all([client, ...retired].map((one) => one.close()));
    },
  };
}
