import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { answersScript, parseAnswers } from "./neighbor-answers.ts";

describe("what answersScript printed", () => {
  it.each<[string, string, Record<string, readonly string[]> | null]>([
    ["nothing, where perl is not there or is not root", "", null],
    ["that it has asked, and no answer", "asked\n", {}],
    [
      "two answers for one address",
      "asked\nanswer\t10.0.0.9\t52:54:00:00:00:01\nanswer\t10.0.0.9\t52:54:00:00:00:02\n",
      { "10.0.0.9": ["52:54:00:00:00:01", "52:54:00:00:00:02"] },
    ],
    ["an IPv6 address", "asked\nanswer\tFD97:0::B\t52:54:00:00:00:01\n", { "fd97::b": ["52:54:00:00:00:01"] }],
  ])("is %s", (_, printed, answers) => {
    const parsed = parseAnswers(printed);
    expect(parsed === null ? null : Object.fromEntries(parsed)).toEqual(answers);
  });
});

const lacks =
  process.getuid?.() !== 0 || ["ip", "perl", "unshare"].some((each) => spawnSync("which", [each]).status !== 0);

/** Holders of these addresses on one segment: this one, `first` and `second`, which are namespaces of the kernel. */
function askAmong(first: readonly string[], second: readonly string[], script: string): string {
  const directory = mkdtempSync("/tmp/haplan-answers-");
  const host = (name: string, number: number, addresses: readonly string[]): string => `
ip link add ${name} type veth peer name ${name}-in
ip link set ${name} master segment up
unshare --net sleep 60 & ${name}=$!
until [ "$(readlink /proc/$${name}/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set ${name}-in netns $${name}
in_${name}() { nsenter --net=/proc/$${name}/ns/net "$@"; }
in_${name} ip link set ${name}-in address 02:00:00:00:00:0${number} up
${addresses.map((each) => `in_${name} ip address add ${each} dev ${name}-in${each.includes(":") ? " nodad" : ""}`).join("\n")}`;
  try {
    writeFileSync(join(directory, "ask"), script);
    const world = `
trap 'kill $one $first $second' EXIT
ip link add segment type bridge
ip link set segment up
${host("one", 1, ["10.0.0.1/24", "10.0.0.100/32", "fd97::1/64", "fd97::100/128"])}
${host("first", 2, first)}
${host("second", 3, second)}
in_one sh ${join(directory, "ask")}`;
    const { stdout } = spawnSync("unshare", ["--net", "sh", "-c", world], { encoding: "utf8" });
    return stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.skipIf(lacks)("the answers for an address that this host has (skipped without root, perl and unshare)", () => {
  it.each<[string, string, string, readonly string[]]>([
    ["IPv4", "10.0.0.100/32", "10.0.0.2/24", ["10.0.0.100", "10.0.0.1", "10.0.0.2", "10.0.0.9"]],
    ["IPv6", "fd97::100/128", "fd97::2/64", ["fd97::100", "fd97::1", "fd97::2", "fd97::9"]],
  ])(
    "are those of all others that have it: %s",
    (_, shared, peer, [address = "", own = "", other = "", none = ""]) => {
      const script = answersScript(address, [own, other, none]);
      const peers = { [other]: ["02:00:00:00:00:02"] };
      expect(Object.fromEntries(parseAnswers(askAmong([peer], [], script)) ?? [])).toEqual(peers);
      expect(Object.fromEntries(parseAnswers(askAmong([peer, shared], [shared], script)) ?? [])).toEqual({
        ...peers,
        [address]: ["02:00:00:00:00:02", "02:00:00:00:00:03"],
      });
    },
    30_000,
  );

  it("cannot be told where no interface has it", () => {
    expect(parseAnswers(askAmong(["10.0.0.2/24"], [], answersScript("10.0.0.101", ["10.0.0.2"])))).toBeNull();
  }, 30_000);
});
