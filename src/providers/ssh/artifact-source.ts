/** The artifact whose programs run on hosts: the one that the spec names, or one that is built from this haplan. */
import { artifactCacheDir } from "../../artifact/artifact-cache-dir.ts";
import type { Architecture } from "../../artifact/artifact-entries.ts";
import { type ArtifactLocation, type GivenArtifact, openGivenArtifact } from "../../artifact/given-artifact.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { ArtifactCache, readOwnBuild } from "./artifact-cache.ts";

export type ArtifactSource = {
  /**
   * Names the version for plans: two with one name are the same. A given file is known by its digest. One that is built
   * here is known by what goes into it: archives of one build differ between architectures, and between versions of zlib.
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
  return {
    name: async () => {
      const { version, sha256 } = await open();
      return `${version} (sha256:${sha256.slice(0, shownDigits)})`;
    },
    file: async (wanted) => {
      const { path, architecture } = await open();
      if (architecture === wanted) return path;
      const advice = "Without provider.artifact, haplan builds one for each architecture";
      throw new HaplanError("ssh/architecture", `"${path}" is for ${architecture}, the host is ${wanted}. ${advice}`);
    },
  };
}

function builtHere(cache: ArtifactCache): ArtifactSource {
  return {
    name: async () => {
      const { version, digest } = await readOwnBuild();
      return `${version} (build ${digest.slice(0, shownDigits)})`;
    },
    file: (architecture) => cache.get(architecture),
  };
}
