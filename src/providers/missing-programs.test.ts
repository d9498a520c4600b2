import { describe, expect, it } from "vitest";
import type { UnitDefinition } from "../units/unit-definition.ts";
import { installAdvice, neededPrograms, withoutInstalled } from "./missing-programs.ts";

const unit = (kind: "haplan" | "system", command: string): UnitDefinition => ({
  name: "agent",
  program: { kind, command },
  arguments: [],
  environment: {},
  files: [],
  listens: [],
});
const missing = (program: string): { severity: "error"; code: string; summary: string } => ({
  severity: "error",
  code: "preflight/program-missing",
  summary: `Program "${program}" does not exist`,
});

describe("programs of other projects", () => {
  it("are needed where neither haplan brings nor installs them", () => {
    const units = [unit("haplan", "haplan-worker"), unit("system", "etcd"), unit("system", "haproxy")];
    expect(neededPrograms(units, ["etcd"])).toEqual(["haproxy"]);
  });

  it("are no finding where haplan installs them", () => {
    const other = { ...missing("etcd"), code: "preflight/address-taken" };
    expect(withoutInstalled([missing("etcd"), missing("haproxy"), other], ["etcd"])).toEqual([
      missing("haproxy"),
      other,
    ]);
  });

  it.each([
    ["etcd", /etcd-server with apt, etcd with dnf.*packages: install/],
    ["haproxy", /haproxy with apt or dnf.*packages: install/],
    ["/opt/etcd", /^Put it there, or write the path of another one\.$/],
  ])("come with the advice what to install: %s", (program, advice) => {
    expect(installAdvice(program)).toMatch(advice);
  });
});
