/** Which etcd the masters run: it matters only if they run one, and is either theirs or uploaded. */

import type { ControlPlaneDraft } from "../draft.ts";
import { takesHttpPort } from "../etcd-http-port.ts";
import { findingAt, type SpecFinding } from "../finding.ts";
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
  return [...checkPlace(etcd), ...checkHttpPort(controlPlane, etcd)];
};

type EtcdDraft = NonNullable<ControlPlaneDraft["entries"]["etcd"]>;

function checkPlace(etcd: EtcdDraft): readonly SpecFinding[] {
  if (etcd.written.includes("binary") !== etcd.written.includes("archive")) return [];
  const summary = "The etcd of masters is either on them or in an archive";
  const detail = "Write `binary`, its path on each master, or `archive`, a release that haplan uploads: one of them.";
  return [findingAt(etcd.pointer, { code: "spec/etcd-place", summary, detail })];
}

function checkHttpPort({ written }: ControlPlaneDraft, etcd: EtcdDraft): readonly SpecFinding[] {
  const { httpPort, version } = etcd.entries;
  if (httpPort === null || version === null) return [];
  if (!takesHttpPort(version.value)) {
    const summary = `etcd ${version.value} serves HTTP only at clientPort`;
    const detail = "Remove httpPort, or use etcd 3.4.25, 3.5.8 or newer.";
    return [findingAt(httpPort.pointer, { code: "spec/etcd-http-port", summary, detail })];
  }
  if (written.includes("adopt")) {
    const summary = "Members that are adopted serve HTTP at their clientPort";
    const detail = "Remove httpPort: it is for clusters of which haplan starts every member.";
    return [findingAt(httpPort.pointer, { code: "spec/etcd-http-port", summary, detail })];
  }
  return [];
}
