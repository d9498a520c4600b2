/** The artifact whose programs run on hosts: the one that the spec names, or one that is built from this haplan. */
import { artifactCacheDir } from "../../artifact/artifact-cache-dir.ts";
import type { Architecture } from "../../artifact/artifact-entries.ts";
import { buildOf } from "../../artifact/build-record.ts";
import { type ArtifactLocation, type GivenArtifact, openGivenArtifact } from "../../artifact/given-artifact.ts";
import { readOwnBuild } from "../../artifact/own-build.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { ArtifactCache } from "./artifact-cache.ts";

export type ArtifactSource = {
  /**
   * Names the version for plans: two with one name are the same. It is known by what goes into it, since archives of one build
   * differ between architectures, and between versions of zlib; a given file that does not say which build it is, by its digest.
   */
  name(): Promise<string>;
  /** @returns a file for hosts of that architecture */
  file(architecture: Architecture): Promise<string>;
};

/** Of a digest, plans show this many digits. */
const shownDigits = 12;

type Options = Pick<ProviderOptions, "spec" | "cwd" | "signal">;

/** Nothing is read or built before it is needed. */
export function openArtifactSource({ spec, cwd, signal }: Options): ArtifactSource {
  const location = spec.provider["artifact"] as ArtifactLocation | undefined;
  if (location === undefined) return builtHere(new ArtifactCache(signal));
  let opening: Promise<GivenArtifact> | null = null;
  const open = (): Promise<GivenArtifact> => {
    opening ??= openGivenArtifact({ location, cwd, cacheDirectory: artifactCacheDir(), signal });
    return opening;
  };
  let naming: Promise<string> | null = null;
  const nameGiven = async (): Promise<string> => {
    const { path, version, sha256 } = await open();
    const build = await buildOf(path);
    if (build !== null) return buildName(version, build);
    return `${version} (sha256:${sha256.slice(0, shownDigits)})`;
  };
  return {
    name: () => {
      naming ??= nameGiven();
      return naming;
    },
    file: async (wanted) => {
      const { path, architecture } = await open();
      if (architecture === wanted) return path;
      const advice = "Without provider.artifact, haplan builds one for each architecture";
      throw new HaplanError("ssh/architecture", `"${path}" is for ${architecture}, the host is ${wanted}. ${advice}`);
    },
  };
}

function buildName(version: string, digest: string): string {
  return `${version} (build ${digest.slice(0, shownDigits)})`;
}

function builtHere(cache: ArtifactCache): ArtifactSource {
  return {
    name: async () => {
      const { version, digest } = await readOwnBuild();
      return buildName(version, digest);
    },
    file: (architecture) => cache.get(architecture),
  };
}
