/** A provider that adds one schema gets its keys, rules, defaults, messages and documentation. */
import { describe, expect, it } from "vitest";
import { compileSchema } from "../../src/base/compile-schema.ts";
import { desiredResources } from "../../src/plan/desired-resources.ts";
import type { ProviderModel } from "../../src/plan/provider-model.ts";
import { loadBalancerOnMachines } from "../../src/providers/load-balancer-hosts.ts";
import { providerSchemas } from "../../src/providers/registry.ts";
import { editorSchema } from "../../src/spec/cluster-schema.ts";
import { createSpecReader } from "../../src/spec/spec-reader.ts";
import { readYaml } from "../../src/spec/yaml-document.ts";
import { fakeCloudSchema } from "./fake-cloud-schema.ts";

const providers = [...providerSchemas, fakeCloudSchema];
const reader = createSpecReader(providers);

const good = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: fakecloud, region: south }
  controlPlane:
    masters:
      - { name: m1, address: 10.0.0.1 }
      - { name: m2, address: 10.0.0.2, disk: { sizeGiB: 40 } }
      - { name: m3, address: 10.0.0.3 }
  workers: [{ name: w1, address: 10.0.0.11 }]
  loadBalancer: { address: 10.0.0.1 }
`;
const localSpec = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  controlPlane: { members: 3 }
`;

function findings(text: string): readonly string[] {
  return reader
    .parse("cluster.yaml", text)
    .diagnostics.map(({ range, code, summary }) => `${range?.start.line}:${range?.start.column} ${code} ${summary}`);
}

function details(text: string): readonly (string | undefined)[] {
  return reader.parse("cluster.yaml", text).diagnostics.map(({ detail }) => detail);
}

describe("a provider's part of the spec", () => {
  it("brings keys and defaults of its own for the provider and for each host", () => {
    const { spec, diagnostics } = reader.parse("cluster.yaml", good);
    expect(diagnostics).toEqual([]);
    expect(spec?.provider).toEqual({ type: "fakecloud", region: "south", retries: 4 });
    expect(spec?.controlPlane.masters).toEqual([
      { name: "m1", zone: null, address: "10.0.0.1", settings: { size: "small", disk: { sizeGiB: 20 } } },
      { name: "m2", zone: null, address: "10.0.0.2", settings: { size: "small", disk: { sizeGiB: 40 } } },
      { name: "m3", zone: null, address: "10.0.0.3", settings: { size: "small", disk: { sizeGiB: 20 } } },
    ]);
    expect(spec?.workers[0]?.settings).toEqual({ size: "small", disk: { sizeGiB: 20 } });
    // The rule that machines have addresses of their own is the other provider's.
    expect(spec?.loadBalancer).toMatchObject({
      address: "10.0.0.1",
      ports: [2379],
      type: "haproxy",
      settings: { isPublic: false },
    });
  });

  it.each<[string, string, string, readonly string[]]>([
    ["a required key is missing", "region: south", "", ['5:3 spec/missing-key spec.provider has no "region"']],
    [
      "a key is misspelt",
      "region: south",
      "region: south, retrys: 2",
      ['5:47 spec/unknown-key There is no key "retrys" in spec.provider'],
    ],
    [
      "a value is out of range",
      "region: south",
      "region: south, retries: 10",
      ["5:56 spec/bad-value spec.provider.retries is 10"],
    ],
    [
      "a key of a host is misspelt",
      "sizeGiB: 40",
      "sizeGib: 40",
      ['9:48 spec/unknown-key There is no key "sizeGib" in spec.controlPlane.masters[1].disk'],
    ],
    [
      "a key of the load balancer has the wrong type",
      "{ address: 10.0.0.1 }\n",
      "{ address: 10.0.0.9, isPublic: 3 }\n",
      ["12:48 spec/wrong-type spec.loadBalancer.isPublic must be true or false, but is 3"],
    ],
    [
      "it cannot make the load balancer",
      "{ address: 10.0.0.1 }\n",
      "{ address: 10.0.0.9, type: embedded }\n",
      ['12:44 spec/bad-value spec.loadBalancer.type is "embedded"'],
    ],
    [
      "its own rule is broken",
      "10.0.0.3 }",
      "10.0.0.3, size: large }",
      ["10:46 spec/no-such-size Region south has no machines of size large"],
    ],
    [
      "the masters are not listed",
      "masters:",
      "x-masters:",
      ['6:3 spec/missing-key spec.controlPlane has no "masters"'],
    ],
    [
      "the load balancer has no address",
      "loadBalancer: { address: 10.0.0.1 }",
      "loadBalancer: {}",
      ['12:3 spec/missing-key spec.loadBalancer has neither "address" nor "hosts"'],
    ],
    [
      "there is no load balancer",
      "  loadBalancer: { address: 10.0.0.1 }\n",
      "",
      ['4:1 spec/missing-key spec has no "loadBalancer"'],
    ],
  ])("is told with line and column when %s", (_, from, to, expected) => {
    const text = good.replace(from, to);
    expect(text).not.toBe(good);
    expect(findings(text)).toEqual(expected);
  });

  it("describes its own keys and addresses in errors", () => {
    expect(details(good.replace("region: south", "region: south, retries: 10"))).toEqual([
      "Write attempts after a failed call, from 0 to 9.",
    ]);
    expect(details(good.replace(", region: south", ""))).toEqual(["Add `region: south`, the region, north or south."]);
    expect(details(good.replace("region: south", "region: souht"))).toEqual([
      'Did you mean "south"? Write `region: north` or `region: south`.',
    ]);
    expect(details(good.replace("10.0.0.3", '""'))).toEqual(["Write a private IP address."]);
  });

  it("leaves specs for another provider as they were", () => {
    const { spec, diagnostics } = reader.parse("cluster.yaml", localSpec);
    expect(diagnostics).toEqual([]);
    expect(spec?.provider).toEqual({ type: "local" });
    expect(spec?.controlPlane.masters[0]).toEqual({ name: "m1", zone: null, address: "127.0.1.1" });
    expect(
      findings(localSpec.replace("3 }", "3 }\n  workers: [{ name: w1, address: 127.0.1.9, size: small }]")),
    ).toEqual(['6:45 spec/unknown-key There is no key "size" in spec.workers[0]']);
  });

  it("is not guessed when no provider has the type: neither its keys nor its addresses are found wrong", () => {
    expect(findings(good.replace("fakecloud", "fakeclod"))).toEqual([
      '5:21 spec/bad-value spec.provider.type is "fakeclod"',
    ]);
    expect(details(good.replace("fakecloud", "fakeclod"))).toEqual([
      'Did you mean "fakecloud"? Write `type: local`, `type: ssh`, `type: aws`, or `type: fakecloud`.',
    ]);
    expect(findings(good.replace("fakecloud", "gcp").replace("name: m3", "nam: m3"))).toEqual([
      '5:21 spec/bad-value spec.provider.type is "gcp"',
      '10:9 spec/missing-key spec.controlPlane.masters[2] has no "name"',
    ]);
  });

  it("gives its own keys of each host to the provider's model", () => {
    const spec = reader.parse("f", good).spec!;
    const model: ProviderModel = {
      describeMachine: (_, { settings = {} }) => ({ attributes: settings, unknown: [], replacedBy: ["size"] }),
      describeLoadBalancer: loadBalancerOnMachines,
    };
    const machines = desiredResources(spec, model).filter(({ type }) => type === "haplan_machine");
    expect(machines.map(({ name, attributes: { size, disk } }) => ({ name, size, disk }))).toEqual([
      { name: "m1", size: "small", disk: { sizeGiB: 20 } },
      { name: "m2", size: "small", disk: { sizeGiB: 40 } },
      { name: "m3", size: "small", disk: { sizeGiB: 20 } },
      { name: "load-balancer", size: undefined, disk: undefined },
      { name: "w1", size: "small", disk: { sizeGiB: 20 } },
    ]);
  });

  it("is completed from a document that is put together by a program", () => {
    const document = {
      apiVersion: "haplan.dev/v1",
      kind: "Cluster",
      metadata: { name: "demo" },
      spec: {
        provider: { type: "fakecloud", region: "south" },
        controlPlane: {
          masters: [
            { name: "m1", address: "10.0.0.1" },
            { name: "m2", address: "10.0.0.2", disk: { sizeGiB: 40 } },
            { name: "m3", address: "10.0.0.3" },
          ],
        },
        workers: [{ name: "w1", address: "10.0.0.11" }],
        loadBalancer: { address: "10.0.0.1" },
      },
    } as const;
    const before = structuredClone(document);
    expect(reader.resolve(document)).toEqual(reader.parse("f", good).spec);
    expect(document).toEqual(before);
    expect(reader.resolve({ ...document, spec: { ...document.spec, provider: { type: "fakecloud" } } })).toBeNull();
  });
});

describe("the schema for editors", () => {
  const accepts = compileSchema(editorSchema(providers));

  it.each<[string, string, boolean]>([
    ["takes a spec of one provider", good, true],
    ["takes a spec of the default provider, which it does not name", localSpec, true],
    ["takes a spec that names it", localSpec.replace("spec:", "spec:\n  provider: { type: local }"), true],
    ["refuses keys of one provider in a spec of another", good.replace("fakecloud", "local"), false],
    ["refuses a spec without what its provider requires", good.replace(", region: south", ""), false],
    ["refuses a provider that there is not", good.replace("fakecloud", "gcp"), false],
  ])("%s", (_, text, expected) => {
    expect(accepts(readYaml(text).value)).toBe(expected);
  });
});
