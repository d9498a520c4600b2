/**
 * The spec as it was last applied, kept beside the state: verbs that need only what was made (`-state-only CLUSTER`)
 * work without the spec's file, whatever has become of that.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalDigest } from "../../src/base/canonical-json.ts";
import { makeDirDurably, writeFileDurably } from "../../src/base/durable-file.ts";
import { errorText, HaplanError } from "../../src/base/haplan-error.ts";
import { specFromState } from "../../src/plan/spec-from-state.ts";
import { specReader } from "../../src/providers/spec-reader.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { nearestName } from "../../src/spec/nearest-name.ts";
import { createLocalBackend, stateDir } from "../../src/state/local-backend.ts";
import { sealedUnder } from "../../src/state/sealed-text.ts";
import { createStateStore } from "../../src/state/state-store.ts";
import type { CliContext } from "./cli-context.ts";
import { refuse } from "./refusal.ts";

/** In the cluster's directory. */
export const appliedSpecFile = "applied-spec.json";
const kind = "haplan.appliedSpec";

export type AppliedSpec = {
  readonly spec: ClusterSpec;
  /** The spec's file, as it was given; null when it is not known. */
  readonly path: string | null;
};

/**
 * Keeps what is about to be applied; durable when it returns. To be called under the lock.
 * @throws HaplanError `state/unwritable`
 */
export function keepAppliedSpec(directory: string, { spec, path }: AppliedSpec): void {
  const file = { kind, version: 1, checksum: canonicalDigest(spec), path, spec };
  const keptAt = join(directory, appliedSpecFile);
  try {
    makeDirDurably(directory);
    writeFileDurably(keptAt, `${JSON.stringify(file, null, 1)}\n`);
  } catch (error) {
    const message = `Cannot keep the spec that is to be applied\n${keptAt}: ${errorText(error)}\nNothing was done. Make room, or make it writable, and run the same command again.`;
    throw new HaplanError("state/unwritable", message, { cause: error });
  }
}

export function hasAppliedSpec(directory: string): boolean {
  return existsSync(join(directory, appliedSpecFile));
}

/** Names of the clusters that were applied in this directory, sorted. */
export function appliedClusters(cwd: string): readonly string[] {
  const root = join(cwd, ".haplan");
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => [appliedSpecFile, "state.json"].some((file) => existsSync(join(root, name, file))))
    .toSorted();
}

/**
 * The spec of a cluster as it was last applied. Where it was not kept (by a haplan that did not do so yet), it is put
 * together from the state, as far as is needed to look at the cluster and to destroy it.
 * @throws RefusalError when there is no such cluster in this directory, or it takes more than the state to know it
 */
export async function readAppliedSpec(context: CliContext, name: string): Promise<AppliedSpec> {
  const known = appliedClusters(context.cwd);
  if (!known.includes(name)) throw unknownCluster(name, known);
  const directory = stateDir(context.cwd, name);
  return readKept(directory) ?? { spec: await rebuild(context, directory, name), path: null };
}

/** Null when there is none that is whole. */
function readKept(directory: string): AppliedSpec | null {
  try {
    const file = JSON.parse(readFileSync(join(directory, appliedSpecFile), "utf8")) as Record<string, unknown>;
    const { spec, path, checksum } = file;
    if (file["kind"] !== kind || file["version"] !== 1 || checksum !== canonicalDigest(spec)) return null;
    return { spec: spec as ClusterSpec, path: typeof path === "string" ? path : null };
  } catch {
    return null;
  }
}

async function rebuild({ clock, environment }: CliContext, directory: string, name: string): Promise<ClusterSpec> {
  const backend = createLocalBackend({ directory, clock });
  const state = await createStateStore({ backend, encryption: null, environment }).read();
  const spec = state === null ? null : specFromState(state, specReader);
  if (spec === null) {
    throw refuse(
      "cli/no-applied-spec",
      `What was applied to "${name}" is not known here`,
      `${join(directory, appliedSpecFile)} is not there or is damaged, and the state alone does not tell it: it is kept elsewhere, or members were adopted. Name the spec instead of -state-only.`,
    );
  }
  const passphraseEnv = sealedUnder((await backend.read())?.text ?? "");
  return passphraseEnv === null ? spec : { ...spec, state: { ...spec.state, encryption: { passphraseEnv } } };
}

function unknownCluster(name: string, known: readonly string[]): Error {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  const list =
    known.length === 0
      ? "No cluster was applied in this directory; start haplan in the one that has .haplan."
      : `These were: ${known.join(", ")}.`;
  return refuse("cli/unknown-cluster", `No cluster "${name}" was applied in this directory`, `${hint}${list}`);
}
