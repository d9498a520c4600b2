import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";
import { readSource } from "../read-source.ts";
import type { LoadedSpec } from "../spec-reader.ts";
import { formatDataPath, parseDataPath } from "./data-path.ts";
import { fetchHosts } from "./fetch-hosts.ts";
import { nameOfAddress } from "./host-name.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-hosts-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const terraform = JSON.stringify(
  {
    masters: {
      sensitive: false,
      type: ["list", "string"],
      value: ["10.0.0.3", "10.0.0.1", "10.0.0.2"],
    },
    nodes: {
      value: [
        { id: "i-1", private_ip: "10.0.0.1", nics: [{ ip: "10.1.0.1" }], az: "a" },
        { id: "i-2", private_ip: "10.0.0.2", nics: [{ ip: "10.1.0.2" }], az: "b" },
        { id: "i-3", private_ip: "10.0.0.3", nics: [{ ip: "10.1.0.3" }], az: "c" },
      ],
    },
    by_name: { value: { m1: "10.0.0.1", m2: "10.0.0.2", m3: { address: "10.0.0.3", zone: "c", tags: {} } } },
    four: { value: ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] },
    wrong: { value: ["10.0.0.1", "10.0.0.2:22", "10.0.0.3"] },
    numbers: { value: [1, 2, 3] },
    workers: { value: ["10.0.1.1"] },
  },
  null,
  2,
);

function specWith(masters: string, more = ""): string {
  return [
    "apiVersion: haplan.dev/v1",
    "kind: Cluster",
    "metadata: { name: demo }",
    "spec:",
    "  provider: { type: ssh }",
    "  controlPlane:",
    `    masters: ${masters}`,
    "  loadBalancer: { address: 10.0.0.100 }",
    more,
  ].join("\n");
}

async function load(text: string, variables = {}): Promise<LoadedSpec> {
  const path = join(directory, "cluster.yaml");
  writeFileSync(path, text);
  const source = readSource(path, "cluster.yaml");
  const inputs = specReader.hostInputs(source, variables);
  const texts = await fetchHosts(inputs, { directory, signal: new AbortController().signal });
  return specReader.loadSource(source, "cluster.yaml", variables, texts);
}

type Master = { readonly name: string; readonly address: string };
async function masters(from: string): Promise<readonly Master[]> {
  const { spec, diagnostics } = await load(specWith(`{ hostsFrom: ${from} }`));
  expect(diagnostics).toEqual([]);
  return spec!.controlPlane.masters;
}

async function failure(from: string): Promise<string> {
  const { diagnostics } = await load(specWith(`{ hostsFrom: ${from} }`));
  return diagnostics
    .map(({ summary, detail, range }) => `${range?.start.line}:${range?.start.column} ${summary}\n${detail}`)
    .join("\n\n");
}

describe("hostsFrom", () => {
  beforeEach(() => writeFileSync(join(directory, "tf.json"), terraform));

  it("takes the addresses of a list in a file beside the spec, and names hosts after them", async () => {
    expect(await masters("{ file: tf.json, path: masters.value }")).toMatchObject([
      { name: "ip-10-0-0-3", address: "10.0.0.3" },
      { name: "ip-10-0-0-1", address: "10.0.0.1" },
      { name: "ip-10-0-0-2", address: "10.0.0.2" },
    ]);
  });

  it.each([
    ["{ file: tf.json, path: nodes.value, fields: { name: id, address: private_ip, zone: az } }", "i-1 10.0.0.1 a"],
    ['{ file: tf.json, path: nodes.value, fields: { address: "nics[0].ip" } }', "ip-10-1-0-1 10.1.0.1 null"],
    ["{ file: tf.json, path: /by_name/value }", "m1 10.0.0.1 null"],
  ])("reads objects and mappings: %s", async (from, first) => {
    const [host] = await masters(from);
    const { name, address, zone } = host as Master & { readonly zone: string | null };
    expect(`${name} ${address} ${zone}`).toBe(first);
  });

  it("maps the provider's own keys, and keeps those of an element", async () => {
    const nodes = ["1", "2", "3"].map((n) => ({
      address: `10.0.0.${n}`,
      public_ip: `198.51.100.${n}`,
      ssh: { user: "admin" },
    }));
    writeFileSync(join(directory, "nodes.json"), JSON.stringify(nodes));
    const found = await masters("{ file: nodes.json, fields: { ssh: { host: public_ip } } }");
    expect(found[0]).toMatchObject({ address: "10.0.0.1", settings: { ssh: { user: "admin", host: "198.51.100.1" } } });
  });

  it("reads YAML, JSON indented with tabs, and JSON on one line", async () => {
    writeFileSync(join(directory, "hosts.yaml"), "all:\n  - 10.0.0.1\n  - 10.0.0.2\n  - 10.0.0.3\n");
    writeFileSync(join(directory, "tabs.json"), JSON.stringify(JSON.parse(terraform), null, "\t"));
    writeFileSync(join(directory, "line.json"), JSON.stringify(JSON.parse(terraform)));
    expect(await masters("{ file: hosts.yaml, path: all }")).toHaveLength(3);
    expect(await masters("{ file: tabs.json, path: masters.value }")).toHaveLength(3);
    expect(await masters("{ file: line.json, path: masters.value }")).toHaveLength(3);
  });

  it("runs a command in the spec's directory, once for all lists", async () => {
    writeFileSync(join(directory, "list"), "#!/bin/sh\necho run >> runs\ncat tf.json\n");
    chmodSync(join(directory, "list"), 0o755);
    const from = (path: string): string => `{ hostsFrom: { command: [./list], path: ${path} } }`;
    const { spec, diagnostics } = await load(specWith(from("masters.value"), `  workers: ${from("workers.value")}`));
    expect(diagnostics).toEqual([]);
    expect(spec!.controlPlane.masters).toHaveLength(3);
    expect(spec!.workers).toMatchObject([{ name: "ip-10-0-1-1" }]);
    expect(readSource(join(directory, "runs"))).toMatchObject({ text: "run\n" });
  });

  it("stands for a list of spare hosts as well", async () => {
    const from = "{ hostsFrom: { file: tf.json, path: workers.value } }";
    const more = `  repair: { replace: { spares: ${from} } }`;
    const { spec, diagnostics } = await load(
      specWith(
        "[10.0.0.1, 10.0.0.2, 10.0.0.3]".replaceAll(
          /10[.\d]+/g,
          (a) => `{ name: ip-${a.replaceAll(".", "-")}, address: ${a} }`,
        ),
        more,
      ),
    );
    expect(diagnostics).toEqual([]);
    expect(spec!.repair?.replace?.spares).toMatchObject([{ name: "ip-10-0-1-1", address: "10.0.1.1" }]);
  });

  it("has another digest when the list changes, and not when the rest of the file does", async () => {
    const digest = async (): Promise<string | null> =>
      (await load(specWith("{ hostsFrom: { file: tf.json, path: masters.value } }"))).sourceDigest;
    const before = await digest();
    writeFileSync(join(directory, "tf.json"), terraform.replace("10.0.1.1", "10.0.1.9"));
    expect(await digest()).toBe(before);
    writeFileSync(join(directory, "tf.json"), terraform.replace("10.0.0.3", "10.0.0.9"));
    expect(await digest()).not.toBe(before);
  });

  it("leaves a variable that is not set to the error about it", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how specs refer to variables
    expect(await failure('{ file: "${TF}" }')).toMatch(/^7:\d+ The variable TF is not set\n[^\n]*$/);
  });

  it.each([
    ["{ file: none.json }", "7:", "There is no file none.json\nIt is relative to the spec"],
    ["{ pth: masters, file: tf.json }", "7:", 'There is no key "pth" in hostsFrom\nDid you mean "path"?'],
    ["{ path: masters }", "7:", 'hostsFrom has neither "file" nor "command"'],
    ["{ file: a, command: [b] }", "7:", 'hostsFrom has both "file" and "command"'],
    [
      "{ file: tf.json, path: master.value }",
      "7:",
      'tf.json has no master.value\nDid you mean "masters"? The top of tf.json, line 1, column 1 has the keys masters, nodes',
    ],
    [
      "{ file: tf.json, path: masters }",
      "7:",
      'masters is an output, not a list\nTerraform keeps the list below "value". Write `path: masters.value`.',
    ],
    [
      '{ file: tf.json, path: "masters.value[0]" }',
      "7:",
      "masters.value[0] is not a list\nmasters.value[0] (tf.json, line 9, column 7) has to be a list",
    ],
    ["{ file: tf.json, path: a..b }", "7:", '"a..b" is not a path'],
    [
      "{ file: tf.json, path: nodes.value }",
      "7:",
      'nodes.value[0] (tf.json, line 16, column 7) has no "address"\nIt has the keys id, private_ip, nics, az. Say which',
    ],
    [
      "{ file: tf.json, path: nodes.value, fields: { address: ip } }",
      "7:",
      "nodes.value[0] (tf.json, line 16, column 7) has no ip",
    ],
    ["{ file: tf.json, path: numbers.value }", "7:", "numbers.value[0] (tf.json, line 76, column 7) is not a host"],
    ["{ file: tf.json, path: wrong.value }", "7:", "The value comes from wrong.value[1] (tf.json, line 70, column 7)."],
    ["{ file: tf.json, path: four.value }", "7:", "A control plane of 4 members is not allowed"],
    ["{ file: tf.json, path: four.value }", "7:", "The value comes from four.value (tf.json, line 60, column 14)."],
    [
      "{ command: [sh, -c, 'echo no credentials >&2; exit 3'] }",
      "7:",
      "ended with exit code 3\nIt wrote to standard error:\nno credentials",
    ],
    ["{ command: [sleep, '9'], timeoutMs: 100 }", "7:", "`sleep 9` did not end within 0.1 s (timeoutMs)"],
    ["{ command: [haplan-no-such-program] }", "7:", "`haplan-no-such-program` does not exist on the PATH"],
    ["{ command: [echo, '[\"10.0.0.1\",'] }", "7:", "It has to be JSON or YAML, but it is truncated"],
  ])("rejects %s with the place in both files", async (from, place, text) => {
    const found = await failure(from);
    expect(found.startsWith(place)).toBe(true);
    expect(found).toContain(text);
  });

  it("takes the hosts of load balancers", async () => {
    const from = "{ hostsFrom: { file: tf.json, path: workers.value } }";
    const text = specWith("{ hostsFrom: { file: tf.json, path: masters.value } }");
    const { spec, diagnostics } = await load(text.replace("{ address: 10.0.0.100 }", `{ hosts: ${from} }`));
    expect(diagnostics).toEqual([]);
    expect(JSON.stringify(spec!.loadBalancer)).toContain('"name":"ip-10-0-1-1"');
  });

  it("names hostsFrom where a name is nearly that, and a list where a mapping is anything else", async () => {
    const summaries = async (masters: string): Promise<readonly string[]> =>
      (await load(specWith(masters))).diagnostics.map(({ summary, detail }) => `${summary}: ${detail}`);
    expect(await summaries("{ hostFrom: { file: tf.json } }")).toEqual([
      'There is no key "hostFrom" at the top of a spec: Did you mean "hostsFrom"? Known keys: hostsFrom.',
    ]);
    expect(await summaries("{ m1: 10.0.0.1 }")).toEqual([
      "spec.controlPlane.masters must be a list, but is a mapping: Write a list: the masters.",
    ]);
  });

  it("says that hosts were not read where only the text of a spec is validated", () => {
    const { diagnostics } = specReader.parse("cluster.yaml", specWith("{ hostsFrom: { file: tf.json } }"));
    expect(diagnostics.map(({ summary }) => summary)).toEqual(["The hosts were not read"]);
  });
});

describe("the path of a list", () => {
  it.each([
    ["", []],
    ["masters.value", ["masters", "value"]],
    ["a[0].b", ["a", "0", "b"]],
    ["[1]", ["1"]],
    ["/a.b/c~1d/0", ["a.b", "c/d", "0"]],
    ["a..b", null],
    [".a", null],
    ["a[x]", null],
    ["a.", null],
  ])("%j is %j", (text, path) => {
    expect(parseDataPath(text)).toEqual(path);
    if (path !== null) expect(parseDataPath(formatDataPath(path))).toEqual(path);
  });
});

describe("the name of a host that has none", () => {
  it.each([
    ["10.0.0.1", "ip-10-0-0-1"],
    ["FD00:0:0::1", "ip-fd00--1"],
    ["m1.example.com", "m1-example-com"],
    ["M1.example.com", "m1-example-com"],
  ])("of %s is %s", (address, name) => expect(nameOfAddress(address)).toBe(name));

  it("is a DNS label for every address", () => {
    const names = [`${"a".repeat(70)}.example.com`, `${"a".repeat(70)}.example.org`, "::1"].map(nameOfAddress);
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  });
});
