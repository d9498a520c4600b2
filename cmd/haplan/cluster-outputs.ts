/** Outputs for users of a cluster: its endpoints, and an environment for etcdctl. */
import { resolve } from "node:path";
import { certificatePath, keyPath } from "../../src/pki/certificate-directory.ts";
import { appliedClientUrls, appliedEndpoint } from "../../src/plan/applied-addresses.ts";
import { adminCertificateName } from "../../src/plan/desired-resources.ts";
import type { State } from "../../src/plan/state.ts";
import { authorityDir } from "./cluster-files.ts";
import type { Session } from "./session.ts";

export const outputNames = ["endpoint", "endpoints", "env"] as const;

export type Outputs = { readonly [name: string]: string | readonly string[] };

/** Outputs of the applied cluster, whatever the spec says now; null while it has no endpoint. */
export function outputsOf(session: Session, state: State | null, cwd: string): Outputs | null {
  const endpoint = appliedEndpoint(state);
  if (endpoint === null) return null;
  return {
    endpoint,
    endpoints: appliedClientUrls(state),
    env: renderEnvironment(session, endpoint, cwd),
  } satisfies Record<(typeof outputNames)[number], Outputs[string]>;
}

/** Shell lines that make etcdctl work through the load balancer; with absolute paths, so that they work anywhere. */
function renderEnvironment({ spec, directory }: Session, endpoint: string, cwd: string): string {
  const names = ["ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"];
  const lines = ["export ETCDCTL_API=3", `export ETCDCTL_ENDPOINTS=${quote(endpoint)}`];
  // Variables of another cluster that remain in the shell would make etcdctl use TLS.
  if (!endpoint.startsWith("https:")) return [...lines, `unset ${names.join(" ")}`].join("\n");
  const pki = resolve(authorityDir(directory));
  const { adopted, authority } = spec.controlPlane.tls;
  const caPath = authority === undefined ? certificatePath(pki, "ca") : resolve(cwd, authority.caFile);
  const paths =
    adopted === undefined
      ? [caPath, certificatePath(pki, adminCertificateName), keyPath(pki, adminCertificateName)]
      : [adopted.caFile, adopted.certFile, adopted.keyFile].map((path) => resolve(cwd, path));
  return [...lines, ...names.map((name, index) => `export ${name}=${quote(paths[index] ?? "")}`)].join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The format of `terraform output -json`. */
export function outputsAsTerraform(outputs: Outputs): object {
  const entries = Object.entries(outputs).map(([name, value]) => {
    const type = typeof value === "string" ? "string" : ["list", "string"];
    return [name, { sensitive: false, type, value }] as const;
  });
  return Object.fromEntries(entries);
}
