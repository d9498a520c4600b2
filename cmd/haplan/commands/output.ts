/** `haplan output [SPEC]`: what users of the cluster need to know, for people and for scripts. */
import { resolve } from "node:path";
import { certificatePath, keyPath } from "../../../src/pki/certificate-directory.ts";
import { appliedClientUrls, appliedEndpoint } from "../../../src/plan/applied-addresses.ts";
import { adminCertificateName } from "../../../src/plan/desired-resources.ts";
import type { State } from "../../../src/plan/state.ts";
import { nearestName } from "../../../src/spec/nearest-name.ts";
import { type CliContext, type ExitCode, refuse } from "../cli-context.ts";
import { authorityFolder } from "../cluster-files.ts";
import { openCluster } from "../open-cluster.ts";
import { type Session, sessionState } from "../session.ts";

type OutputFlags = { readonly json?: boolean; readonly raw?: string; readonly stateOnly?: string };

export async function runOutput(
  context: CliContext,
  specArgument: string | undefined,
  flags: OutputFlags,
): Promise<ExitCode> {
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  const outputs = outputsOf(session, await sessionState(context, session), context.cwd);
  if (outputs === null) {
    const summary = "The cluster has not been applied yet, so there are no outputs";
    throw refuse("cli/not-applied", summary, "Apply the spec first:", [["apply"]]);
  }
  if (flags.raw !== undefined) {
    const value = outputs[flags.raw];
    if (value === undefined) throw unknownOutput(flags.raw, Object.keys(outputs));
    context.terminal.print(Array.isArray(value) ? value.join(",") : String(value));
    return 0;
  }
  context.terminal.print(flags.json ? JSON.stringify(asTerraform(outputs), null, 2) : asText(outputs));
  return 0;
}

type Outputs = { readonly [name: string]: string | readonly string[] };

/** Of the cluster as it was applied, whatever the spec says by now; null while it has no endpoint. */
function outputsOf(session: Session, state: State | null, cwd: string): Outputs | null {
  const endpoint = appliedEndpoint(state);
  if (endpoint === null) return null;
  return { endpoint, endpoints: appliedClientUrls(state), env: renderEnvironment(session, endpoint, cwd) };
}

/** Shell lines that make etcdctl work through the load balancer; absolute paths, so that it works from anywhere. */
function renderEnvironment({ spec, folder }: Session, endpoint: string, cwd: string): string {
  const names = ["ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"];
  const lines = ["export ETCDCTL_API=3", `export ETCDCTL_ENDPOINTS=${quote(endpoint)}`];
  // What an earlier cluster has left in the shell would make etcdctl speak TLS.
  if (!endpoint.startsWith("https:")) return [...lines, `unset ${names.join(" ")}`].join("\n");
  const pki = resolve(authorityFolder(folder));
  const { adopted } = spec.controlPlane.tls;
  const paths =
    adopted === undefined
      ? [certificatePath(pki, "ca"), certificatePath(pki, adminCertificateName), keyPath(pki, adminCertificateName)]
      : [adopted.caFile, adopted.certFile, adopted.keyFile].map((path) => resolve(cwd, path));
  return [...lines, ...names.map((name, index) => `export ${name}=${quote(paths[index] ?? "")}`)].join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function asText(outputs: Outputs): string {
  const width = Math.max(...Object.keys(outputs).map((name) => name.length));
  const lines = Object.entries(outputs).map(([name, value]) => {
    if (typeof value !== "string") return `${name.padEnd(width)} = ${JSON.stringify(value)}`;
    if (!value.includes("\n")) return `${name.padEnd(width)} = ${JSON.stringify(value)}`;
    return [`${name.padEnd(width)} = <<EOT`, value, "EOT"].join("\n");
  });
  return lines.join("\n");
}

/** The form of `terraform output -json`. */
function asTerraform(outputs: Outputs): object {
  const entries = Object.entries(outputs).map(([name, value]) => {
    const type = typeof value === "string" ? "string" : ["list", "string"];
    return [name, { sensitive: false, type, value }] as const;
  });
  return Object.fromEntries(entries);
}

function unknownOutput(name: string, known: readonly string[]): Error {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  return refuse("cli/unknown-output", `There is no output "${name}"`, `${hint}Known outputs: ${known.join(", ")}.`);
}
