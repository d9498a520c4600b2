/**
 * The last applied spec, saved beside the state. It lets commands that need only what was applied (`-state-only
 * CLUSTER`) work even if the spec's file is gone.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalDigest } from "../../src/base/canonical-json.ts";
import { makeDirDurably, writeFileDurably } from "../../src/base/durable-file.ts";
import { compareVersion, type FileContent, type FileFormat, upgradeContent } from "../../src/base/file-format.ts";
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

/** File name in the cluster's directory. */
export const appliedSpecFile = "applied-spec.json";
const kind = "haplan.appliedSpec";
/** A new version needs an upgrade from the one before, and an example in test/formats/examples. */
export const appliedSpecFormat: FileFormat = { current: 1, upgrades: {} };

export type AppliedSpec = {
  readonly spec: ClusterSpec;
  /** Path of the spec's file as it was given; null if unknown. */
  readonly path: string | null;
};

/**
 * Saves the spec that is about to be applied; durable on return. Call it under the lock.
 * @throws HaplanError `state/unwritable`
 */
export function saveAppliedSpec(directory: string, { spec, path }: AppliedSpec): void {
  const file = { kind, version: appliedSpecFormat.current, checksum: canonicalDigest(spec), path, spec };
  const target = join(directory, appliedSpecFile);
  try {
    makeDirDurably(directory);
    writeFileDurably(target, `${JSON.stringify(file, null, 1)}\n`);
  } catch (error) {
    const message = `Cannot save the spec before applying it\n${errorText(error)}\nNothing was changed. Free some space or make the file writable, and run the same command again.`;
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
 * The last applied spec of a cluster. If it was not saved (by an earlier haplan), it is rebuilt from the state, as far
 * as inspecting and destroying the cluster need it.
 * @throws RefusalError if this directory has no such cluster, or its spec cannot be rebuilt from the state
 */
export async function readAppliedSpec(context: CliContext, name: string): Promise<AppliedSpec> {
  const known = appliedClusters(context.cwd);
  if (!known.includes(name)) throw unknownCluster(name, known);
  const directory = stateDir(context.cwd, name);
  return readSaved(directory) ?? { spec: await rebuild(context, directory, name), path: null };
}

/** Null if there is none, or if it is damaged. @throws RefusalError if a newer haplan saved it */
function readSaved(directory: string): AppliedSpec | null {
  const place = join(directory, appliedSpecFile);
  let text: string;
  try {
    text = readFileSync(place, "utf8");
  } catch {
    return null;
  }
  return parseAppliedSpec(text, place);
}

/** Null if it is damaged. @throws RefusalError if a newer haplan saved it */
export function parseAppliedSpec(
  text: string,
  place: string,
  format: FileFormat = appliedSpecFormat,
): AppliedSpec | null {
  let file: FileContent;
  try {
    file = JSON.parse(text) as FileContent;
  } catch {
    return null;
  }
  if (typeof file !== "object" || file === null || file["kind"] !== kind) return null;
  const { version } = file;
  const comparison = compareVersion(format, version);
  if (comparison === "newer") {
    throw refuse(
      "cli/newer-applied-spec",
      "The applied spec was saved by a newer haplan",
      `${place} has version ${version}, but this haplan supports versions up to ${format.current}. Use the haplan that applied it, or pass the spec instead of -state-only.`,
    );
  }
  if (comparison === "unknown" || file["checksum"] !== canonicalDigest(file["spec"])) return null;
  const { spec, path } = upgradeContent(format, version as number, file);
  return { spec: spec as ClusterSpec, path: typeof path === "string" ? path : null };
}

async function rebuild({ clock, environment }: CliContext, directory: string, name: string): Promise<ClusterSpec> {
  const backend = createLocalBackend({ directory, clock });
  const state = await createStateStore({ backend, encryption: null, environment }).read();
  const spec = state === null ? null : specFromState(state, specReader);
  if (spec === null) {
    throw refuse(
      "cli/no-applied-spec",
      `The applied spec of "${name}" is not available here`,
      `${join(directory, appliedSpecFile)} is missing or damaged, and the spec cannot be rebuilt from the state: the state is kept elsewhere, or members were adopted. Pass the spec instead of -state-only.`,
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
      ? "No cluster was applied in this directory; run haplan in the directory that contains .haplan."
      : `Applied clusters: ${known.join(", ")}.`;
  return refuse("cli/unknown-cluster", `No cluster "${name}" was applied in this directory`, `${hint}${list}`);
}
