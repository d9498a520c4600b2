/**
 * The version of haplan's programs that units on this machine run: that of the installed haplan, or an artifact that the spec
 * names.
 *
 * The installed one is known by its version alone. Another build of that version is not noticed: with it, each rebuild would restart
 * every member at the next apply. `-replace` restarts the one that is meant.
 */
import type { ArtifactLocation } from "../../artifact/given-artifact.ts";
import { packageVersion } from "../../base/package-dir.ts";
import type { UnitArtifact } from "../../units/unit-definition.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { builtProgramsDir } from "./programs.ts";

type Options = Pick<ProviderOptions, "spec" | "cwd" | "directory" | "signal">;

/** Reads or unpacks it when it is first asked for. */
export function localArtifact(options: Options): () => Promise<UnitArtifact> {
  let opening: Promise<UnitArtifact> | null = null;
  return () => {
    opening ??= openLocalArtifact(options);
    return opening;
  };
}

async function openLocalArtifact({ spec, cwd, directory, signal }: Options): Promise<UnitArtifact> {
  const location = spec.provider["artifact"] as ArtifactLocation | undefined;
  if (location !== undefined) {
    const { unpackedArtifact } = await import("./unpacked-artifact.ts");
    return await unpackedArtifact(directory, { location, cwd, signal });
  }
  return { name: `${packageVersion()} (installed)`, programsDir: builtProgramsDir() };
}
