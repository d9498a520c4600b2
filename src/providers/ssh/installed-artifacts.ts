/** Haplan's artifact on the hosts of one run: installed once on each host that needs it. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { HostClient } from "../../host/host-client.ts";
import type { UnitArtifact } from "../../units/unit-definition.ts";
import type { ProviderOptions } from "../provider-options.ts";
import type { ArtifactSource } from "./artifact-source.ts";
import type { KnownHost } from "./host-directory.ts";
import { programsLostError } from "./host-session.ts";
import { type HostSessions, untilAborted } from "./host-sessions.ts";
import { architectureOf, removeArtifact, uploadArtifact } from "./upload-artifact.ts";

export type InstalledSession = { readonly session: HostClient; readonly artifact: UnitArtifact };

type Options = Pick<ProviderOptions, "spec" | "signal" | "log">;

export class InstalledArtifacts {
  readonly #options: Options;
  readonly #sessions: HostSessions;
  readonly #source: ArtifactSource;
  readonly #installed: Map<string, Promise<UnitArtifact>> = new Map();

  constructor(options: Options, sessions: HostSessions, source: ArtifactSource) {
    this.#options = options;
    this.#sessions = sessions;
    this.#source = source;
  }

  /** The version that hosts get. */
  name(): Promise<string> {
    return this.#source.name();
  }

  /** A session with a host, on which the artifact is installed first if it is not there. */
  async session(host: KnownHost, signal: AbortSignal | undefined): Promise<InstalledSession> {
    const installing = this.#installed.get(host.key) ?? this.#install(host);
    this.#installed.set(host.key, installing);
    installing.catch(() => this.#installed.delete(host.key));
    const artifact = await untilAborted(installing, signal);
    const session = await this.#sessions.find(host, signal);
    if (session === null)
      throw new HaplanError("ssh/install", `haplan-host is not on ${host.target.host} although it was installed`);
    return { session, artifact };
  }

  /** Installs it again where it was lost. Returns whether it was. */
  async reinstall(host: KnownHost, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#sessions.find(host, signal);
      return false;
    } catch (error) {
      if (!(error instanceof HaplanError) || error.code !== programsLostError) throw error;
    }
    await this.session(host, signal);
    return true;
  }

  /** Removes the artifact from a host where nothing of any cluster is left. Calls under way there are finished first. */
  async remove(host: KnownHost, signal: AbortSignal | undefined): Promise<void> {
    await this.#sessions.finish(host);
    this.#installed.delete(host.key);
    await removeArtifact(await this.#sessions.reach(host, signal), this.#options.spec.name);
  }

  forget({ key }: KnownHost): void {
    this.#installed.delete(key);
  }

  /** Several calls may wait for it: it goes on when one of them is given up. */
  async #install(host: KnownHost): Promise<UnitArtifact> {
    const { spec, signal, log } = this.#options;
    const reach = await this.#sessions.reach(host, signal);
    const name = await this.#source.name();
    const file = await this.#source.file(await architectureOf(reach));
    const { directory, isNew } = await uploadArtifact(reach, { file, cluster: spec.name });
    this.#sessions.retry(host);
    if (isNew) {
      log("artifact installed", { host: host.target.host, artifact: name });
      // The open session is one with the haplan-host of the version before.
      await this.#sessions.finish(host);
    }
    return { name, programsDir: `${directory}/cmd` };
  }
}
