/** The state's backend has settings of its own and no other's; and a cluster's state is not stored in that cluster. */
import type { StateDraft } from "../draft.ts";
import { findingAt, pointerInto, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkStateBackend: SpecRule = ({ state, hosts, controlPlane, loadBalancer }) => {
  if (state === null) return [];
  const addresses = hosts.filter(({ kind }) => kind !== "worker").flatMap(({ address }) => address?.value ?? []);
  const listening = [controlPlane?.entries.clientPort, ...(loadBalancer?.entries.ports?.items ?? [])];
  const ports = listening.flatMap((port) => port?.value ?? []);
  const own = new Set(addresses.flatMap((address) => ports.map((port) => `${address}:${port}`)));
  return [...checkSettings(state), ...checkFiles(state), ...checkOwn(state, own)];
};

function checkSettings({ entries, written, pointer }: StateDraft): readonly SpecFinding[] {
  const { value } = entries.backend;
  const settings = (["etcd", "s3"] as const).filter((section) => written.includes(section));
  const foreign = settings
    .filter((section) => section !== value)
    .map((section) =>
      findingAt(pointerInto(pointer, section), {
        code: "spec/unused-backend-settings",
        summary: `The backend is ${value}, so the settings for ${section} have no effect`,
        detail: `Write \`backend: ${section}\`, or remove them.`,
      }),
    );
  if ((value !== "etcd" && value !== "s3") || settings.includes(value)) return foreign;
  const example = value === "etcd" ? "etcd: { endpoints: [https://10.0.0.1:2379] }" : "s3: { bucket: my-bucket }";
  const detail = `Add \`${example}\` beside \`backend\`.`;
  const summary = `The backend is ${value}, but its settings are missing`;
  return [...foreign, { place: { pointer, part: "key" }, code: "spec/missing-backend-settings", summary, detail }];
}

function checkFiles({ entries: { etcd } }: StateDraft): readonly SpecFinding[] {
  if (etcd === null) return [];
  const has = (name: string): boolean => etcd.written.includes(name);
  if (has("certFile") === has("keyFile") && (has("caFile") || !has("certFile"))) return [];
  return [
    findingAt(etcd.pointer, {
      code: "spec/incomplete-tls",
      summary: "The TLS files are incomplete",
      detail: "Write caFile alone, or caFile, certFile and keyFile together.",
    }),
  ];
}

function checkOwn({ entries: { etcd } }: StateDraft, own: ReadonlySet<string>): readonly SpecFinding[] {
  return (etcd?.entries.endpoints?.items ?? [])
    .filter((endpoint) => endpoint !== null)
    .filter(({ value }) => own.has(value.replace(/^https?:\/\//, "").replace(/\/$/, "")))
    .map(({ pointer, value }) =>
      findingAt(pointer, {
        code: "spec/state-in-itself",
        summary: `${value} is a member of the cluster that this spec describes`,
        detail:
          "The state is needed to create and to repair this cluster, so it cannot be stored in it. Name another cluster.",
      }),
    );
}
