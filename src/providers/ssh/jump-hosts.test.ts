import { describe, expect, it } from "vitest";
import { jumpCommand, jumpHosts } from "./jump-hosts.ts";

describe("jumpHosts", () => {
  const plain = { user: null, port: null };

  it.each([
    [null, []],
    ["gate", [{ ...plain, host: "gate" }]],
    ["ops@gate:2222", [{ host: "gate", user: "ops", port: 2222 }]],
    ["ssh://ops@gate:2222", [{ host: "gate", user: "ops", port: 2222 }]],
    ["ops@corp@[fd00::1]:22", [{ host: "fd00::1", user: "ops@corp", port: 22 }]],
    ["[fd00::1]", [{ ...plain, host: "fd00::1" }]],
    ["gate, inner", ["gate", "inner"].map((host) => ({ ...plain, host }))],
  ])("reads %j", (jump, hosts) => expect(jumpHosts(jump)).toEqual(hosts));
});

describe("jumpCommand", () => {
  it("connects the last one to what ssh fills in, with words as they are", () => {
    expect(jumpCommand(jumpHosts("ops@gate:22"), ["-i", "/a key/100%"])).toBe(
      "ssh '-i' '/a key/100%%' '-l' 'ops' '-p' '22' -W '[%h]:%p' -- 'gate'",
    );
  });

  it("reaches each one through those before it, and keeps for each ssh what it is to fill in", () => {
    expect(jumpCommand(jumpHosts("one,two"), [])).toBe(
      `ssh '-o' 'ProxyCommand=ssh -W '\\''[%%h]:%%p'\\'' -- '\\''one'\\''' -W '[%h]:%p' -- 'two'`,
    );
  });
});
