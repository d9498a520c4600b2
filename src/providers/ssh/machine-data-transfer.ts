/** The data of machines, brought to their hosts and from them. */
import type { Provider } from "../provider.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { exportedSnapshot, uploadSnapshot } from "./copy-snapshot.ts";
import type { HostDirectory } from "./host-directory.ts";
import type { HostSessions } from "./host-sessions.ts";
import type { InstalledArtifacts } from "./installed-artifacts.ts";

type Parts = {
  readonly options: Pick<ProviderOptions, "spec">;
  readonly directory: HostDirectory;
  readonly sessions: HostSessions;
  readonly artifacts: InstalledArtifacts;
};

export class MachineDataTransfer {
  readonly #clusterName: string;
  readonly #directory: HostDirectory;
  readonly #sessions: HostSessions;
  readonly #artifacts: InstalledArtifacts;

  constructor({ options, directory, sessions, artifacts }: Parts) {
    this.#clusterName = options.spec.name;
    this.#directory = directory;
    this.#sessions = sessions;
    this.#artifacts = artifacts;
  }

  async restore(...[machine, request, signal]: Parameters<Provider["restoreData"]>): Promise<void> {
    const host = this.#directory.hostOf(machine);
    const { session, artifact } = await this.#artifacts.session(host, signal);
    const name = typeof machine === "string" ? machine : machine.name;
    const uploaded = await uploadSnapshot(await this.#sessions.reach(host, signal), {
      cluster: this.#clusterName,
      machine: name,
      file: request.snapshot,
    });
    try {
      const { programsDir } = artifact;
      await session.restoreData(machine, { ...request, snapshot: uploaded.path, programsDir }, signal);
    } finally {
      await uploaded.remove();
    }
  }

  async read(...[machine, request, signal]: Parameters<Provider["readData"]>): Promise<string> {
    const { session, artifact } = await this.#artifacts.session(this.#directory.hostOf(machine), signal);
    return await session.readData(machine, { ...request, programsDir: artifact.programsDir }, signal);
  }

  async export(...[machine, request, signal]: Parameters<Provider["exportData"]>): Promise<void> {
    const host = this.#directory.hostOf(machine);
    const { session, artifact } = await this.#artifacts.session(host, signal);
    const exported = exportedSnapshot(await this.#sessions.reach(host, signal), {
      cluster: this.#clusterName,
      machine: typeof machine === "string" ? machine : machine.name,
    });
    try {
      const { programsDir } = artifact;
      await session.exportData(machine, { ...request, file: exported.path, programsDir }, signal);
      await exported.download(request.file);
    } finally {
      await exported.remove();
    }
  }
}
