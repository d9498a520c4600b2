import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertRouterIdFree, routerIdsIn } from "./router-ids.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-router-ids-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(path: string, routerId: number): void {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `vrrp_instance x {\n    virtual_router_id ${routerId}\n}\n`);
}
const check = (routerId: number): void =>
  assertRouterIdFree(join(directory, "haplan/own"), routerId, join(directory, "etc"));

describe("a virtual router id", () => {
  it("is free where no keepalived of the machine uses it, and where this cluster does", () => {
    check(7);
    write("haplan/own/machines/lb1/units/keepalived/files/keepalived.conf", 7);
    write("haplan/other/machines/lb1/units/keepalived/files/keepalived.conf", 8);
    check(7);
  });

  it.each([
    ["another cluster", "haplan/other/machines/lb1/units/keepalived/files/keepalived.conf"],
    ["the distribution's keepalived", "etc/keepalived.conf"],
  ])("is taken by %s, which the error names", (_, path) => {
    write(path, 7);
    expect(() => check(7)).toThrow(`"${join(directory, path)}": write another one as loadBalancer.routerId`);
  });

  it("is no comment", () => {
    expect(routerIdsIn("# virtual_router_id 1\n! virtual_router_id 2\n\tvirtual_router_id 51 # x\n")).toEqual([51]);
  });
});
