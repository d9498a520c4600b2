/** The commands that read the data of a member which does not run, as pure values. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { dataDirPlaceholder, type UnitDefinition } from "./unit-definition.ts";

/** Placeholder in `arguments` for the path of the file that the command writes. */
export const exportPlaceholder = "@EXPORT@";

export type DataCommand = {
  readonly program: Extract<UnitDefinition["program"], { readonly kind: "haplan" }>;
  /** With `dataDirPlaceholder` for the member's data, and `exportPlaceholder`. */
  readonly arguments: readonly string[];
};

const program = { kind: "haplan", command: "haplan-agent" } as const;

/** Prints what the member has, as JSON. */
export function showDataCommand(): DataCommand {
  return { program, arguments: ["data", "show", `--data-dir=${dataDirPlaceholder}`] };
}

/** Writes all that the member has, as a snapshot. */
export function exportDataCommand({ controlPlane: { engine, etcd } }: ClusterSpec): DataCommand {
  const places = [`--data-dir=${dataDirPlaceholder}`, `--out=${exportPlaceholder}`];
  const applying = engine === "etcd" ? [`--etcd=${etcd?.binary ?? "etcd"}`] : [];
  return { program, arguments: ["data", "export", ...places, ...applying] };
}
