import { describe, expect, it } from "vitest";
import { sshTargetTo } from "../../../test/support/ssh-target-to.ts";
import { shellArguments, sshArguments } from "./ssh-target.ts";

const plain = sshTargetTo("db1.example.com");

const optionsOf = (words: readonly string[]): readonly string[] =>
  words.flatMap((word, at) => (word === "-o" ? [words[at + 1]!] : []));

describe("the command line of ssh", () => {
  it("leaves to the user's configuration what the spec does not say", () => {
    const words = sshArguments(plain, { knownHostsFile: null }, "true");
    expect(words.slice(-3)).toEqual(["--", "db1.example.com", "true"]);
    for (const flag of ["-l", "-p", "-i", "-J"]) expect(words).not.toContain(flag);
    expect(optionsOf(words)).toEqual(expect.arrayContaining(["BatchMode=yes", "StrictHostKeyChecking=yes"]));
  });

  it("has user, port and key of the spec", () => {
    const target = { ...plain, user: "ops", port: 2222, identityFile: "/keys/ops" };
    const words = sshArguments(target, { knownHostsFile: null }, "true").join(" ");
    expect(words).toContain("-l ops -p 2222 -i /keys/ops -- db1.example.com true");
  });

  it("reaches jump hosts with the key and the options of the spec, but not with the host's user, port and key", () => {
    const pinned = { knownHostsFile: "/a/known" };
    const spec = { user: "ops", port: 2222, identityFile: "/keys/ops", jump: "gate" };
    const target = { ...plain, ...spec, options: ["UserKnownHostsFile=/all known", "ProxyCommand=none"] };
    const [way = "", users] = optionsOf(sshArguments(target, pinned, "true")).filter((each) => /^Proxy/.test(each));
    for (const word of ["'-v'", "'BatchMode=yes'", "'StrictHostKeyChecking=yes'", "'UserKnownHostsFile=/all known'"])
      expect(way).toContain(word);
    expect(way).toMatch(/'-i' '\/keys\/ops' -W '\[%h\]:%p' -- 'gate'$/);
    expect(way).not.toMatch(/pinned|none|2222|'ops'/);
    expect(users).toBe("ProxyCommand=none");
    const shell = optionsOf(shellArguments(target, pinned, { command: null, tty: true }));
    expect(shell.find((each) => each.startsWith("ProxyCommand=ssh"))).not.toMatch(/'-v'|BatchMode/);
  });

  it("has the user's options behind its own, so that none of them lets an unknown host key in", () => {
    const words = optionsOf(
      sshArguments(
        { ...plain, options: ["StrictHostKeyChecking=no", "Compression=yes"] },
        { knownHostsFile: null },
        "true",
      ),
    );
    expect(words.indexOf("StrictHostKeyChecking=yes")).toBeLessThan(words.indexOf("StrictHostKeyChecking=no"));
    expect(words.at(-1)).toBe("Compression=yes");
  });

  it("connects through a command, which no option of the user's replaces", () => {
    const target = { ...plain, proxyCommand: "connect --to %p", options: ["ProxyCommand=none"] };
    const words = optionsOf(sshArguments(target, { knownHostsFile: null }, "true"));
    expect(words.filter((word) => word.startsWith("ProxyCommand="))).toEqual([
      "ProxyCommand=connect --to %p",
      "ProxyCommand=none",
    ]);
    const shell = shellArguments(target, { knownHostsFile: null }, { command: ["uptime"], tty: false });
    expect(optionsOf(shell)).toContain("ProxyCommand=connect --to %p");
  });

  it("takes a pinned key alone", () => {
    const words = optionsOf(sshArguments(plain, { knownHostsFile: "/a b/known" }, "true"));
    expect(words).toEqual(
      expect.arrayContaining([
        'UserKnownHostsFile="/a b/known"',
        "GlobalKnownHostsFile=none",
        "HostKeyAlias=haplan-pinned-host",
      ]),
    );
  });
});
