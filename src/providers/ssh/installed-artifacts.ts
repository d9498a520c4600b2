/** Haplan's artifact on the hosts of one run: installed once on each host that needs it. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { HostClient } from "../../host/host-client.ts";
import type { UnitArtifact } from "../../units/unit-definition.ts";
import type { ProviderOptions } from "../provider-options.ts";
import type { ArtifactSource } from "./artifact-source.ts";
import type { EtcdArchive } from "./etcd-archive.ts";
import type { KnownHost } from "./host-directory.ts";
import { isProgramsLost } from "./host-session.ts";
import { type HostSessions, untilAborted } from "./host-sessions.ts";
import { architectureOf, removeArtifact, uploadArtifact } from "./upload-artifact.ts";

export type InstalledSession = { readonly session: HostClient; readonly artifact: UnitArtifact };

type Options = Pick<ProviderOptions, "spec" | "signal" | "log">;

export class InstalledArtifacts {
  readonly #options: Options;
  readonly #sessions: HostSessions;
  readonly #source: ArtifactSource;
  readonly #etcd: EtcdArchive | null;
  readonly #installed: Map<string, Promise<UnitArtifact>> = new Map();
  readonly #etcdInstalled: Map<string, Promise<void>> = new Map();

  constructor(options: Options, sessions: HostSessions, source: ArtifactSource, etcd: EtcdArchive | null) {
    this.#options = options;
    this.#etcd = etcd;
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
    if (this.#etcd?.isFor(host.machines) === true) await untilAborted(this.#etcdOn(host, this.#etcd), signal);
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
      if (!isProgramsLost(error)) throw error;
    }
    await this.session(host, signal);
    return true;
  }

  /** Removes the artifact from a host where nothing of any cluster is left. Calls under way there are finished first. */
  async remove(host: KnownHost, signal: AbortSignal | undefined): Promise<void> {
    await this.#sessions.finish(host);
    this.forget(host);
    await removeArtifact(await this.#sessions.reach(host, signal), this.#options.spec.name);
  }

  forget({ key }: KnownHost): void {
    this.#installed.delete(key);
    this.#etcdInstalled.delete(key);
  }

  /** Once a run, and after haplan's own programs: they are there for as long as the cluster has machines on the host. */
  #etcdOn(host: KnownHost, etcd: EtcdArchive): Promise<void> {
    const installing = this.#etcdInstalled.get(host.key) ?? this.#installEtcd(host, etcd);
    this.#etcdInstalled.set(host.key, installing);
    installing.catch(() => this.#etcdInstalled.delete(host.key));
    return installing;
  }

  async #installEtcd(host: KnownHost, etcd: EtcdArchive): Promise<void> {
    const { spec, signal, log } = this.#options;
    const file = await etcd.file();
    const { isNew } = await uploadArtifact(await this.#sessions.reach(host, signal), {
      file,
      cluster: spec.name,
      content: "etcd",
    });
    if (isNew) log("etcd installed", { host: host.target.host, version: etcd.version });
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
