/** The text of a spec to start from. Pure but for the template. */
import type { Json } from "../../../src/base/json.ts";
import { renderTemplate } from "../../../src/base/render-template.ts";
import type { DraftHost, DraftLoadBalancer, DraftMachines } from "../../../src/providers/spec-draft.ts";
import { yamlValue } from "../../../src/spec/yaml-value.ts";

export type DraftSpec = DraftMachines & {
  /** As it is named in commands. */
  readonly file: string;
  readonly name: string;
  /** Members that run already; null for a new cluster. */
  readonly adopted: {
    readonly engine: "agent" | "etcd";
    readonly endpoints: readonly string[];
    readonly tls: AdoptedFiles | null;
  } | null;
};

export type AdoptedFiles = {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caKeyFile: string | null;
};

const engineNotes = {
  created: "haplan's own Raft agent, which speaks etcd's v3 API; or a real etcd",
  adopted: "what the existing members run",
};

export function renderSpec({ file, name, adopted, loadBalancer, masters, workers, ...draft }: DraftSpec): string {
  const tls = adopted?.tls ?? null;
  return renderTemplate("init/cluster.yaml.hbs", {
    file,
    name: yamlValue(name),
    provider: draft.provider,
    engine: adopted?.engine ?? "agent",
    engineNote: adopted === null ? engineNotes.created : engineNotes.adopted,
    plain: adopted !== null && tls === null,
    endpoints: adopted === null ? null : adopted.endpoints.map(yamlValue),
    tls:
      tls === null
        ? null
        : {
            caFile: yamlValue(tls.caFile),
            certFile: yamlValue(tls.certFile),
            keyFile: yamlValue(tls.keyFile),
            caKeyFile: tls.caKeyFile === null ? null : yamlValue(tls.caKeyFile),
          },
    masters: masters.map(hostValues),
    workers: workers.map(hostValues),
    workerExample: draft.workerExample,
    loadBalancer: loadBalancer === null ? null : balancerValues(loadBalancer),
  });
}

function balancerValues({ notes, port, address, ssh, shared }: DraftLoadBalancer): { readonly [name: string]: Json } {
  return {
    ...{ notes, port, address: yamlValue(address), ssh: sshValue(ssh) },
    vip: shared === null ? null : yamlValue(shared.vip),
    hosts: (shared?.hosts ?? []).map(hostValues),
  };
}

function hostValues({ name, address, ssh, note }: DraftHost): { readonly [name: string]: Json } {
  // A comment ends with its line.
  return { name: yamlValue(name), address: yamlValue(address), ssh: sshValue(ssh), note: note.replace(/\s+/g, " ") };
}

function sshValue(ssh: DraftHost["ssh"]): string | null {
  return Object.keys(ssh).length === 0 ? null : yamlValue(ssh);
}
