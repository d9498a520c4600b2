/** The artifact for hosts of an architecture, built once for each build of haplan and kept. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { artifactCacheDir } from "../../artifact/artifact-cache-dir.ts";
import type { Architecture } from "../../artifact/artifact-entries.ts";
import { buildArtifact } from "../../artifact/build-artifact.ts";
import { readOwnBuild } from "../../artifact/own-build.ts";
import { packageDir } from "../../base/package-dir.ts";

export class ArtifactCache {
  readonly #signal: AbortSignal;
  readonly #building: Map<Architecture, Promise<string>> = new Map();

  /** `signal`: aborted when the run is to stop. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** @returns a file. Several hosts that ask at the same time wait for one build. */
  get(architecture: Architecture): Promise<string> {
    const building = this.#building.get(architecture) ?? this.#findOrBuild(architecture);
    this.#building.set(architecture, building);
    building.catch(() => this.#building.delete(architecture));
    return building;
  }

  async #findOrBuild(architecture: Architecture): Promise<string> {
    const packageDirectory = packageDir();
    const { version, digest } = await readOwnBuild();
    const key = digest.slice(0, 16);
    const directory = artifactCacheDir();
    const path = join(directory, `haplan-${version}-linux-${architecture}-${key}.tar.gz`);
    if (existsSync(path)) return path;
    await mkdir(directory, { recursive: true });
    await buildArtifact({ packageDirectory, version, architecture, out: path, signal: this.#signal });
    return path;
  }
}
