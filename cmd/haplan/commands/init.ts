/** `haplan init [FILE]`: writes a spec to start from: for this machine, for hosts, or for a running etcd. */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Diagnostic } from "../../../src/base/diagnostic.ts";
import { writeFileDurably } from "../../../src/base/durable-file.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import { draftMachines } from "../../../src/providers/registry.ts";
import { unreachedHost } from "../../../src/providers/spec-draft.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { type AdoptedFiles, type DraftSpec, renderSpec } from "../init/draft-spec.ts";
import { readRunningMembers } from "../init/running-members.ts";
import { RefusalError, refuse } from "../refusal.ts";
import { standardInput } from "../spec-source.ts";

export type InitFlags = {
  readonly name?: string;
  readonly provider?: string;
  readonly hosts?: string;
  readonly workers?: string;
  readonly loadBalancer?: string;
  readonly vip?: string;
  readonly identityFile?: string;
  readonly jump?: string;
  readonly sshOption: readonly string[];
  readonly fromEtcd?: string;
  readonly cacert?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly caKey?: string;
};

const defaultFile = "cluster.yaml";

export async function runInit(context: CliContext, file: string | undefined, flags: InitFlags): Promise<ExitCode> {
  const path = file ?? defaultFile;
  const toStandardOutput = path === standardInput;
  if (!toStandardOutput && existsSync(resolve(context.cwd, path))) throw exists(path);
  const warnings: Diagnostic[] = [];
  const draft = await draftSpec(context, toStandardOutput ? defaultFile : path, flags, warnings);
  const { text, spec } = validText(draft, flags);
  context.reporter.warn(warnings);
  // What is written of such a host was guessed: a script has to notice.
  const code: ExitCode = warnings.some((warning) => warning.code === unreachedHost) ? 1 : 0;
  if (toStandardOutput) {
    context.terminal.print(text.trimEnd());
    return code;
  }
  try {
    writeFileDurably(resolve(context.cwd, path), text, { mode: 0o644 });
  } catch (error) {
    throw refuse("cli/cannot-write-spec", `Cannot write ${path}`, errorText(error));
  }
  const names = spec.controlPlane.masters.map(({ name }) => name).join(", ");
  context.invocation.about({ spec: path });
  context.terminal.print(`Wrote ${path}: masters ${names}. Look through it, then run:\n`);
  context.terminal.print(`    ${context.invocation.line([draft.nextCommand])}`);
  return code;
}

/** @throws RefusalError if it would not be valid */
function validText(draft: DraftSpec, flags: InitFlags): { readonly text: string; readonly spec: ClusterSpec } {
  const text = renderSpec(draft);
  const { diagnostics, spec } = specReader.parse(draft.file, text);
  if (spec === null) {
    const shared = diagnostics.filter(({ code }) => code === "spec/duplicate-address");
    // Of one host that was named twice, anything else follows.
    const shown = shared.length > 0 ? shared : diagnostics;
    throw new RefusalError(shown.map((diagnostic) => explained(diagnostic, draft, flags)));
  }
  return { text, spec };
}

async function draftSpec(
  context: CliContext,
  file: string,
  flags: InitFlags,
  warnings: Diagnostic[],
): Promise<DraftSpec> {
  const running = await runningMembers(context, flags);
  const common = { file, name: flags.name ?? nameOfDirectory(context.cwd), adopted: running?.adopted ?? null };
  const { askHost } = await context.loadDependencies();
  const machines = await draftMachines({
    members: running?.masters ?? [],
    provider: flags.provider ?? null,
    hosts: flags.hosts ?? null,
    workers: flags.workers ?? null,
    loadBalancer: flags.loadBalancer ?? null,
    vip: flags.vip ?? null,
    reach: { identityFile: flags.identityFile ?? null, jump: flags.jump ?? null, options: flags.sshOption },
    check: (found) => void validText({ ...common, ...found }, flags),
    askHost,
    warn: (found) => void warnings.push(...found),
    clock: context.clock,
    signal: context.stop.signal,
  });
  return { ...common, ...machines };
}

function runningMembers(
  context: CliContext,
  { fromEtcd, cacert, cert, key, caKey }: InitFlags,
): Promise<Awaited<ReturnType<typeof readRunningMembers>>> | null {
  const given = [cacert, cert, key].filter((path) => path !== undefined);
  if (fromEtcd === undefined) {
    if (given.length === 0 && caKey === undefined) return null;
    throw refuse(
      "cli/init-flags",
      "-cacert, -cert, -key and -ca-key are for -from-etcd",
      "Name the endpoints of the running etcd with -from-etcd.",
    );
  }
  if (given.length !== 0 && given.length !== 3)
    throw refuse(
      "cli/init-flags",
      "-cacert, -cert and -key belong together",
      "Members with TLS need all three, as for etcdctl.",
    );
  const files: AdoptedFiles | null =
    cacert === undefined || cert === undefined || key === undefined
      ? null
      : { caFile: cacert, certFile: cert, keyFile: key, caKeyFile: caKey ?? null };
  const endpoints = fromEtcd.split(",").map((endpoint) => endpoint.trim().replace(/\/$/, ""));
  return readRunningMembers(context, endpoints, files);
}

/** The directory's name, as compose files take it. */
function nameOfDirectory(cwd: string): string {
  const name = basename(cwd)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return name === "" ? "cluster" : name;
}

function exists(path: string): Error {
  return refuse(
    "cli/file-exists",
    `${path} exists already`,
    `init overwrites nothing. Name another file, such as \`haplan init other.yaml\`, or print to standard output with \`haplan init -\`.`,
  );
}

/** A mistake in the spec that would have been written: it is in no file, so it has no position. */
function explained(diagnostic: Diagnostic, draft: DraftSpec, flags: InitFlags): Diagnostic {
  const { range: _, snippet: _snippet, address: _address, ...rest } = diagnostic;
  const plain = { ...rest, summary: withFlags(rest.summary, draft) };
  if (!["spec/even-members", "spec/too-few-members", "spec/too-many-members"].includes(plain.code)) return plain;
  return { ...plain, detail: `${plain.detail}\n\n${adviceFor(draft, flags)}` };
}

/** Names the flag that gave a host, in place of where the spec would have it. */
function withFlags(summary: string, { adopted }: DraftSpec): string {
  return summary.replaceAll(/the ([a-z ]+) at spec\.([\w.[\]]+)/g, (_, kind: string, path: string) => {
    const flag = path.startsWith("workers")
      ? "-workers"
      : path.startsWith("loadBalancer")
        ? "-load-balancer"
        : "-hosts";
    // Those that run are masters as well.
    return adopted !== null && flag === "-hosts" ? `a ${kind}` : `a ${kind} of ${flag}`;
  });
}

function adviceFor({ masters, adopted }: DraftSpec, { hosts }: InitFlags): string {
  const count = masters.length;
  const more = adopted === null ? `-hosts ${hosts ?? ""},ANOTHER` : "-hosts ANOTHER";
  if (count < 3) {
    const what =
      count === 2 ? "A third master, and any one of the three may fail" : "With two more masters, any one may fail";
    return `${what}. It stores the same data and answers the same requests, but needs no more than a small machine, best in another rack or zone. Name it as well: \`${more}\`.`;
  }
  if (count > 7) return "Name 3, 5 or 7 of them with -hosts, and the others with -workers.";
  return `Name ${count - 1} of them with -hosts and the other with -workers, or one more: \`${more}\`.`;
}
