/** Which etcd the masters run matters only if they run one. */
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkEtcdProgram: SpecRule = ({ controlPlane }) => {
  if (controlPlane === null) return [];
  const { engine, etcd } = controlPlane.entries;
  if (etcd === null || engine.value === "etcd") return [];
  const summary = "etcd is written, but the masters run haplan's agent";
  const detail = "Write engine: etcd beside it, or remove it.";
  return [findingAt(etcd.pointer, { code: "spec/etcd-without-engine", summary, detail })];
};
