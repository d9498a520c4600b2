/** Mistakes in a spec for EC2, found before any call to AWS, each at its line and column. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { desiredResources } from "../../plan/desired-resources.ts";
import { specReader } from "../spec-reader.ts";
import { awsModel } from "./aws-model.ts";

const example = readFileSync(fileURLToPath(new URL("../../../examples/aws-3-masters.yaml", import.meta.url)), "utf8");

function findings(text: string): readonly string[] {
  return specReader
    .parse("cloud.yaml", text)
    .diagnostics.map(
      ({ range, code, summary, detail }) => `${range?.start.line}:${range?.start.column} ${code} ${summary}. ${detail}`,
    );
}

describe("a spec for EC2", () => {
  it("is accepted as the example has it", () => {
    expect(findings(example)).toEqual([]);
  });

  it.each([
    ["no VPC", ["    vpc: tag:Name=control-plane\n", ""], '11:3 spec/missing-key spec.provider has no "vpc"'],
    ["a bad region", ["eu-central-1\n", "Frankfurt\n"], '13:13 spec/bad-value spec.provider.region is "Frankfurt"'],
    [
      "no IPv4 address",
      ["10.0.1.10", "m1.example.com"],
      '27:30 spec/bad-address "m1.example.com" is not a private IPv4 address',
    ],
    ["an IPv6 address", ["10.0.1.10", '"fd00::10"'], "With provider aws, haplan uses IPv4 only"],
    [
      "an address twice",
      ["10.0.2.10", "10.0.1.10"],
      "28:30 spec/duplicate-address The address 10.0.1.10 is already used",
    ],
    ["a range with bits behind its prefix", ["10.0.0.0/16", "10.0.7.0/16"], "write 10.0.0.0/16"],
    ["a range that is none", ["10.0.0.0/16", "10.0.0.0/33"], '16:17 spec/bad-range "10.0.0.0/33" is not a range'],
    [
      "too many operations",
      ["sizeGiB: 20", "sizeGiB: 20, iops: 12000"],
      "A volume of 20 GiB has at most 10000 operations",
    ],
    ["too much throughput", ["sizeGiB: 20", "sizeGiB: 20, throughputMiBs: 900"], "has at most 750 MiB a second"],
    ["a tag of haplan's", ["Team=platform", "haplan:cluster=x"], "spec/reserved-tag"],
    [
      "a tag key twice",
      ["[Team=platform]", "[Team=platform, team=x, Team=other]"],
      '22:35 spec/duplicate-tag The tag "Team" is written twice: "Team=platform" and "Team=other"',
    ],
    ["haplan's tag in other letters", ["Team=platform", "HAPLAN:Machine=x"], "spec/reserved-tag"],
    [
      "an address of the load balancer",
      ["  workers:", "  loadBalancer: { address: 10.0.1.5 }\n  workers:"],
      "AWS chooses the address of the load balancer",
    ],
    [
      "another load balancer",
      ["  workers:", "  loadBalancer: { type: haproxy }\n  workers:"],
      'spec.loadBalancer.type is "haproxy"',
    ],
    [
      "the port of health checks",
      ["    members: 3", "    members: 3\n    peerPort: 2381"],
      "spec/duplicate-listener Port 2381 is that of the health checks",
    ],
    [
      "a jump host beside Session Manager",
      ["    keyName", "    sessionManager: true\n    jump: gate\n    keyName"],
      "spec/session-jump Session Manager needs no jump host",
    ],
    [
      "Kubernetes",
      ["  workers:", "  kubernetes: { version: v1.35.4 }\n  workers:"],
      "Provider aws does not run kubeadm yet",
    ],
    [
      "an option of ssh that haplan sets",
      ["    keyName", "    sshOptions: [BatchMode=no]\n    keyName"],
      "spec/reserved-ssh-option",
    ],
  ] as const)("with %s is rejected", (_, [from, to], expected) => {
    expect(example).toContain(from);
    expect(findings(example.replace(from, to)).join("\n")).toContain(expected);
  });
});

describe("the tags of a spec", () => {
  it("may differ from each other, and from haplan's Name, in the case of their letters alone", () => {
    expect(findings(example.replace("[Team=platform]", "[Team=platform, team=x, name=cloud]"))).toEqual([]);
  });
});

describe("the model of the load balancer", () => {
  it("is internal and hides the addresses of clients, so that a master reaches itself through it", () => {
    const { spec } = specReader.parse("cloud.yaml", example);
    const balancer = desiredResources(spec!, awsModel).find(({ type }) => type === "haplan_load_balancer");
    expect(balancer?.attributes).toMatchObject({ internal: true, preserve_client_ip: false });
  });
});

describe("the model of instances", () => {
  const machine = (text: string, name: string): ReturnType<typeof desiredResources>[number] => {
    const { spec, diagnostics } = specReader.parse("cloud.yaml", text);
    if (spec === null) throw new Error(JSON.stringify(diagnostics));
    return desiredResources(spec, awsModel).find(({ address }) => address === `haplan_machine.${name}`)!;
  };

  it("describes a master with its volume and what it lets in", () => {
    expect(machine(example, "m1").attributes).toMatchObject({
      address: "10.0.1.10",
      image: "ssm:/aws/service/debian/release/13/latest/amd64",
      instance_type: "m7i.large",
      volume_size: 20,
      ingress: expect.arrayContaining(["tcp/2380 from masters", "tcp/2381 from load-balancer"]),
      ssh_user: "admin",
    });
    expect(machine(example, "m1").attributes).toMatchObject({ placement_group: null, volume_kms_key: null });
  });

  it("gives a worker its own type, and no volume", () => {
    const { attributes } = machine(example, "w1");
    expect(attributes).toMatchObject({ instance_type: "t3.small", ingress: ["tcp/22 from 10.0.0.0/16"] });
    expect(attributes).not.toHaveProperty("volume_size");
  });

  it("A8: lets ssh in at the ports of its machines, of each role at its own", () => {
    const text = example
      .replace("    keyName:", "    port: 2222\n    keyName:")
      .replace("zone: eu-central-1a }", "zone: eu-central-1a, ssh: { port: 22 } }")
      .replace("address: 10.0.2.20,", "address: 10.0.2.20, ssh: { port: 2022 },");
    const { spec, diagnostics } = specReader.parse("cloud.yaml", text);
    expect(diagnostics).toEqual([]);
    const portsOf = (name: string): readonly string[] => {
      const machine = desiredResources(spec!, awsModel).find(({ address }) => address === `haplan_machine.${name}`);
      const ingress = machine?.attributes["ingress"] as readonly string[];
      return ingress.filter((rule) => /from 10\./.test(rule) && !rule.startsWith("tcp/2379"));
    };
    expect(portsOf("m1")).toEqual(["tcp/22 from 10.0.0.0/16", "tcp/2222 from 10.0.0.0/16"]);
    expect(portsOf("w1")).toEqual(["tcp/2022 from 10.0.0.0/16", "tcp/2222 from 10.0.0.0/16"]);
  });

  it("puts masters of one zone on different racks", () => {
    const near = example.replaceAll("eu-central-1b", "eu-central-1a");
    expect(machine(near, "m2").attributes["placement_group"]).toBe("haplan-cloud-eu-central-1a");
    expect(machine(near, "m3").attributes["placement_group"]).toBeNull();
  });

  it.each([
    ["t4g.small", "arm64"],
    ["m7gd.large", "arm64"],
    ["a1.medium", "arm64"],
    ["c7gn.metal", "arm64"],
    ["g5.xlarge", "amd64"],
    ["g4dn.xlarge", "amd64"],
    ["m7i-flex.large", "amd64"],
    ["m6a.large", "amd64"],
  ])("takes for %s an image of %s", (type, architecture) => {
    expect(machine(example.replace("m7i.large", type), "m1").attributes["image"]).toMatch(
      new RegExp(`${architecture}$`),
    );
  });
});
