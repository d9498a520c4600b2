/** The members of a running etcd, as masters that are to be adopted. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { errorText } from "../../../src/base/haplan-error.ts";
import { urlHost } from "../../../src/base/ip-address.ts";
import type { TlsCredentials } from "../../../src/base/tls-credentials.ts";
import type { ObservedMember } from "../../../src/plan/observed-cluster.ts";
import type { DraftHost } from "../../../src/providers/spec-draft.ts";
import { reservedNames } from "../../../src/spec/reserved-names.ts";
import type { CliContext } from "../cli-context.ts";
import { readEtcdUser } from "../etcd-user.ts";
import { refuse } from "../refusal.ts";
import type { AdoptedFiles, DraftSpec } from "./draft-spec.ts";

export type RunningMembers = {
  readonly adopted: NonNullable<DraftSpec["adopted"]>;
  readonly masters: readonly DraftHost[];
};

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** @throws RefusalError if no member answers */
export async function readRunningMembers(
  context: CliContext,
  endpoints: readonly string[],
  files: AdoptedFiles | null,
): Promise<RunningMembers> {
  for (const endpoint of endpoints) assertEndpoint(endpoint);
  const user = readEtcdUser(context.environment);
  const tls = files === null ? null : readCredentials(context.cwd, files);
  const { connect } = await context.loadDependencies();
  const members = connect({ endpoints, tls, ...(user === null ? {} : { user }) });
  try {
    const found = await members.observe();
    if (found === null) throw silent(endpoints, files);
    const started = found.members.filter(({ clientUrls, learner }) => clientUrls.length > 0 && !learner);
    if (started.length === 0) throw silent(endpoints, files);
    const urls = started.map((member) => urlOf(member, endpoints));
    const names = namesOf(started);
    const masters = started.map((member, index): DraftHost => {
      const note = `runs already${member.version === undefined ? "" : `: etcd ${member.version}`}${member.healthy ? "" : ", did not answer"}`;
      return { name: names[index]!, address: urlHost(urls[index]!), ssh: {}, note };
    });
    return { adopted: { engine: found.engine ?? "etcd", endpoints: urls, tls: files }, masters };
  } finally {
    members.close();
  }
}

/** Members keep their own names where these can be names of masters. */
function namesOf(members: readonly ObservedMember[]): readonly string[] {
  const own = members.map(({ name }) => name);
  const isUsable = own.every((name) => label.test(name) && !Object.hasOwn(reservedNames, name));
  return isUsable && new Set(own).size === own.length ? own : members.map((_, index) => `m${index + 1}`);
}

/** The URL that haplan was given, if it is one of the member's; else one that other hosts can use. */
function urlOf({ clientUrls, answeredAt }: ObservedMember, endpoints: readonly string[]): string {
  const given = clientUrls.find((url) => endpoints.includes(url));
  const usable = clientUrls.find((url) => !["localhost", "0.0.0.0", "::"].includes(urlHost(url)));
  return given ?? usable ?? answeredAt ?? clientUrls[0]!;
}

function assertEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  const isValid = url !== null && /^https?:$/.test(url.protocol) && url.port !== "" && ["", "/"].includes(url.pathname);
  if (isValid) return;
  throw refuse(
    "cli/bad-endpoint",
    `-from-etcd: ${JSON.stringify(endpoint)} is not a client URL`,
    "Write client URLs with scheme and port, with commas between: `-from-etcd https://10.0.0.1:2379,https://10.0.0.2:2379`.",
  );
}

function readCredentials(cwd: string, { caFile, certFile, keyFile }: AdoptedFiles): TlsCredentials {
  const [caPem, certificatePem, keyPem] = [caFile, certFile, keyFile].map((file) => {
    try {
      return readFileSync(resolve(cwd, file), "utf8");
    } catch (error) {
      throw refuse("cli/unreadable-file", `Cannot read ${file}`, errorText(error));
    }
  }) as [string, string, string];
  return { caPem, certificatePem, keyPem };
}

function silent(endpoints: readonly string[], files: AdoptedFiles | null): Error {
  const secure = endpoints.some((endpoint) => endpoint.startsWith("https:"));
  const hint =
    secure && files === null
      ? "Members with TLS need -cacert, -cert and -key, as for etcdctl."
      : "Check the endpoints, and with TLS the files: `etcdctl endpoint status` has to work with them.";
  return refuse("init/no-members", `No member answered at ${endpoints.join(", ")}`, hint);
}
