/** The results of the Go client's `largeReads`, and clusters for it that have TLS beside plain ports. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuthority } from "../../src/pki/authority.ts";
import { certificatePath, keyPath } from "../../src/pki/certificate-directory.ts";
import type { GoScenario } from "./go-client.ts";
import { type ClusterProcesses, freePorts, startCluster } from "./member-processes.ts";

/** Of one read, by its title. */
export type LargeRead = {
  readonly bytes: number;
  /** How often the client had to connect: once, unless its connection was closed. */
  readonly connections: number;
  readonly readMs: number;
  /** Beside it, by another client. */
  readonly writes: number;
  readonly writeP99Ms: number;
  readonly writeMaxMs: number;
};

export type SecureCluster = {
  readonly cluster: ClusterProcesses;
  readonly secureUrls: readonly string[];
  readonly tls: NonNullable<GoScenario["tls"]>;
  stop(): Promise<void>;
};

/** Members that clients can use with TLS or without. */
export async function startSecureCluster(host: string, members: number): Promise<SecureCluster> {
  const directory = mkdtempSync(join(tmpdir(), "haplan-large-reads-"));
  const authority = openAuthority({ directory });
  await authority.createAuthority("large reads CA");
  await authority.issue({ name: "member", profile: "member", commonName: "member", subjectAltNames: [host] });
  await authority.issue({ name: "reader", profile: "client", commonName: "reader", subjectAltNames: ["reader"] });
  const secureUrls = (await freePorts(host, members)).map((port) => `https://${host}:${port}`);
  const caFile = certificatePath(directory, "ca");
  const flags = [
    `--cert-file=${certificatePath(directory, "member")}`,
    `--key-file=${keyPath(directory, "member")}`,
    `--trusted-ca-file=${caFile}`,
    "--client-cert-auth=true",
  ];
  const cluster = await startCluster("agent", host, { members, flags, moreClientUrls: secureUrls });
  return {
    cluster,
    secureUrls,
    tls: { caFile, certFile: certificatePath(directory, "reader"), keyFile: keyPath(directory, "reader") },
    stop: async () => {
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
