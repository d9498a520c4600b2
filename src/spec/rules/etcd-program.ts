/** Which etcd the masters run: it matters only if they run one, and is either theirs or uploaded. */
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkEtcdProgram: SpecRule = ({ controlPlane }) => {
  if (controlPlane === null) return [];
  const { engine, etcd } = controlPlane.entries;
  if (etcd === null) return [];
  if (engine.value !== "etcd") {
    const summary = "etcd is written, but the masters run haplan's agent";
    const detail = "Write engine: etcd beside it, or remove it.";
    return [findingAt(etcd.pointer, { code: "spec/etcd-without-engine", summary, detail })];
  }
  if (etcd.written.includes("binary") !== etcd.written.includes("archive")) return [];
  const summary = "The etcd of masters is either on them or in an archive";
  const detail = "Write `binary`, its path on each master, or `archive`, a release that haplan uploads: one of them.";
  return [findingAt(etcd.pointer, { code: "spec/etcd-place", summary, detail })];
};
